package etcdraft

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/trimarandb/trimaran/fault"
)

// reads are those who wait for raft to name an index, and for the machine to
// reach one; guarded by Runner.mu.
type reads struct {
	prefix []byte // of the contexts
	count  uint64
	asked  map[string]chan uint64
	ticks  int           // since raft was asked again
	moved  chan struct{} // closed and replaced when the machine has moved
}

func newReads(id uint64, random [8]byte) reads {
	return reads{
		prefix: append(binary.BigEndian.AppendUint64(nil, id), random[:]...),
		asked:  map[string]chan uint64{}, moved: make(chan struct{}),
	}
}

// ReadIndex returns when the machine has applied all that was committed when it
// was called, anywhere in the group: what is read from the machine then is
// linearizable. It goes on asking while there is no leader; ctx says how long.
func (r *Runner) ReadIndex(ctx context.Context) error {
	answer := make(chan uint64, 1)
	var key string
	if err := r.With(func(n *raft.RawNode) error {
		r.count++
		key = string(binary.BigEndian.AppendUint64(slices.Clip(r.prefix), r.count))
		r.asked[key] = answer
		n.ReadIndex([]byte(key))
		return nil
	}); err != nil {
		return err
	}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.asked, key)
	}()
	select {
	case index := <-answer:
		return r.Wait(ctx, index)
	case <-ctx.Done():
		return fmt.Errorf("read index: %w", ctx.Err())
	case <-r.ctx.Done():
		return r.ended()
	}
}

// Wait returns when the machine has applied the entry at index.
func (r *Runner) Wait(ctx context.Context, index uint64) error {
	for {
		r.mu.Lock()
		moved := r.moved
		r.mu.Unlock()
		if r.applied.Load() >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d, applied is %d: %w", index, r.applied.Load(), ctx.Err())
		case <-r.ctx.Done():
			return r.ended()
		}
	}
}

func (r *Runner) ended() error {
	if err := r.Err(); err != nil {
		return err
	}
	return fmt.Errorf("raft node: %w", fault.ErrClosed)
}

// answered tells those who asked; r.mu is held.
func (r *Runner) answered(states []raft.ReadState) {
	for _, s := range states {
		if answer, ok := r.asked[string(s.RequestCtx)]; ok {
			answer <- s.Index
			delete(r.asked, string(s.RequestCtx))
		}
	}
}

// askAgain repeats what may have been lost with a leader, now and then; r.mu is
// held.
func (r *Runner) askAgain(n *raft.RawNode) {
	if r.ticks++; r.ticks < r.election {
		return
	}
	r.ticks = 0
	for key := range r.asked {
		n.ReadIndex([]byte(key))
	}
}

// advanced notes that the machine is at index.
func (r *Runner) advanced(index uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied.Store(index)
	close(r.moved)
	r.moved = make(chan struct{})
}
