package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
)

// Large commands wait for a slot, so that what raft puts into one log write
// stays below what a log takes at once.
const (
	largeCommand = 1 << 20
	largeSlots   = 8
)

// Propose has a command committed and applied, and returns what Apply made of
// it. Commands of concurrent callers share log writes and syncs. data belongs
// to raft from here on.
//
// Errors: *NotLeaderError; fault.ErrInvalid if the command is too large;
// fault.ErrFull if log, data or disk have no room; fault.ErrClosed; ErrUncertain, alone or
// with what happened. After all but the last the command is not applied.
func (n *Node) Propose(ctx context.Context, data []byte) (any, error) {
	if !n.gate.Enter() {
		return nil, fmt.Errorf("propose: node: %w", fault.ErrClosed)
	}
	defer n.gate.Leave()
	if len(data) > n.o.MaxCommand {
		return nil, fmt.Errorf("propose: command of %d bytes, at most %d: %w", len(data), n.o.MaxCommand, fault.ErrInvalid)
	}
	if err := n.lead(ctx, n.raft.CurrentTerm()); err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	if err := n.makeRoom(ctx); err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	if len(data) > largeCommand {
		select {
		case n.large <- struct{}{}:
			defer func() { <-n.large }()
		case <-ctx.Done():
			return nil, fmt.Errorf("propose: wait for other large commands: %w", ctx.Err())
		case <-n.closing:
			return nil, fmt.Errorf("propose: node: %w", fault.ErrClosed)
		}
	}
	done, err := n.admit(data)
	if err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	defer done()
	response, err := n.wait(ctx, n.enqueue(ctx, data))
	if err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	return response, nil
}

// admit refuses a command for which there may be no room when it is applied:
// it would have to be, once it is committed. Call done when it is.
func (n *Node) admit(data []byte) (done func(), err error) {
	grows := n.o.Grows(data)
	if grows == 0 {
		return func() {}, nil
	}
	if err := n.s.Admit(); err != nil || n.o.DataRoom == 0 {
		return func() {}, err
	}
	coming := n.coming.Add(grows)
	done = func() { n.coming.Add(-grows) }
	st, err := n.s.KV().Stats()
	if limit := n.o.DataRoom / 10 * 9; err == nil && st.Size.Memory+coming > limit {
		err = fmt.Errorf("%d bytes of data, %d more do not fit into %d: %w", st.Size.Memory, coming, limit, fault.ErrFull)
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// makeRoom takes a snapshot when a bounded log is half full: one that fills up
// before raft next looks at its threshold would depose the leader.
func (n *Node) makeRoom(ctx context.Context) error {
	if half, err := n.halfFull(); err != nil || !half {
		return err
	}
	n.room.Lock()
	defer n.room.Unlock()
	if half, err := n.halfFull(); err != nil || !half {
		return err // somebody else made room meanwhile
	}
	if _, err := n.Snapshot(ctx); err != nil && !errors.Is(err, fault.ErrNothingNew) {
		return err
	}
	return nil
}

func (n *Node) halfFull() (bool, error) {
	if n.o.LogRoom == 0 {
		return false, nil
	}
	b, err := n.s.Log().Bounds()
	return b.Count() >= n.o.LogRoom/2, err
}

// enqueue hands a command to raft. If ctx has a deadline it waits no longer for
// room in the queue.
func (n *Node) enqueue(ctx context.Context, data []byte) raft.ApplyFuture {
	limit := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Millisecond, time.Until(deadline))
	}
	return n.raft.Apply(data, limit)
}

// wait waits for a command to be applied. Raft forgets futures when it stops,
// so their waiting may outlive ours.
func (n *Node) wait(ctx context.Context, f raft.ApplyFuture) (any, error) {
	err := n.await(ctx, f)
	if err != nil {
		return nil, err
	}
	response := f.Response()
	if halted := n.adapter.Err(); halted != nil {
		if err, failed := response.(error); failed && errors.Is(err, fault.ErrPoisoned) {
			return nil, fmt.Errorf("%w: %w", ErrUncertain, err)
		}
	}
	return response, nil
}

func (n *Node) await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return n.translate(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	case <-n.closing:
		return fmt.Errorf("node: %w: %w", ErrUncertain, fault.ErrClosed)
	}
}
