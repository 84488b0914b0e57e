package server

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/kv"
)

// The clock of the data moves by an hour at most in one command. So that it
// never holds back the deadline of the next command, an idle leader moves it
// before it falls behind by as much.
const (
	maxLag      = kv.MaxAdvance / 4
	clockPeriod = 5 * time.Minute
	ticksAtOnce = 256
)

// keepClock runs until ctx is over.
func (n *Node) keepClock(ctx context.Context) {
	t := time.NewTicker(clockPeriod)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if n.raft.State() != raft.Leader {
			continue
		}
		if err := n.catchUp(ctx); err != nil && ctx.Err() == nil {
			n.o.Logger.Warn("the clock of the data could not be moved", "error", err)
		}
	}
}

// catchUp brings the clock of the data near the present. A clock that was never
// set needs none: the first command sets it.
func (n *Node) catchUp(ctx context.Context) error {
	if n.o.Tick == nil {
		return nil
	}
	n.ticking.Lock()
	defer n.ticking.Unlock()
	for {
		mark, err := n.s.KV().Mark(ctx)
		if err != nil || mark.Clock.IsZero() {
			return err
		}
		behind := n.o.Now().Sub(mark.Clock)
		if behind <= maxLag {
			return nil
		}
		if err := n.tick(ctx, int(min(behind/kv.MaxAdvance+1, ticksAtOnce))); err != nil {
			return err
		}
		if after, err := n.s.KV().Mark(ctx); err != nil || !after.Clock.After(mark.Clock) {
			return err // somebody's Tick does not tick
		}
	}
}

// expireDue moves the clock past the earliest deadline if that is over.
func (n *Node) expireDue(ctx context.Context) error {
	if n.o.Tick == nil {
		return nil
	}
	if due, err := n.due(ctx); err != nil || !due {
		return err
	}
	n.ticking.Lock()
	defer n.ticking.Unlock()
	if due, err := n.due(ctx); err != nil || !due { // somebody else did it meanwhile
		return err
	}
	return n.tick(ctx, 1)
}

// due reports that a row is alive by the clock of the data and should not be.
func (n *Node) due(ctx context.Context) (bool, error) {
	deadline, err := n.s.KV().NextDeadline(ctx)
	return err == nil && !deadline.IsZero() && !deadline.After(n.o.Now()), err
}

// tick proposes so many commands that move the clock, in one go.
func (n *Node) tick(ctx context.Context, count int) error {
	futures := make([]raft.ApplyFuture, count)
	for i := range futures {
		data, err := n.o.Tick(n.o.Now())
		if err != nil {
			return err
		}
		futures[i] = n.enqueue(ctx, data)
	}
	for _, f := range futures {
		if _, err := n.wait(ctx, f); err != nil {
			return err
		}
	}
	return nil
}
