package etcdraft

import (
	"context"
	"sync"
)

// queue hands items from one goroutine to another, in order. It never blocks
// who pushes: what is in it is bounded by the limits of raft.Config.
type queue[T any] struct {
	mu    sync.Mutex
	items []T
	some  chan struct{} // holds a token when items may be there
}

func newQueue[T any]() *queue[T] { return &queue[T]{some: make(chan struct{}, 1)} }

func (q *queue[T]) push(items ...T) {
	q.mu.Lock()
	q.items = append(q.items, items...)
	q.mu.Unlock()
	signal(q.some)
}

// take waits until something is there and returns all of it; nil once ctx ends.
func (q *queue[T]) take(ctx context.Context) []T {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-q.some:
		}
		q.mu.Lock()
		items := q.items
		q.items = nil
		q.mu.Unlock()
		if len(items) > 0 {
			return items
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
