package server

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
)

// Linearizable returns nil once a read of KV sees every command that was
// acknowledged before the call, and no row whose deadline had passed. Only a
// leader can: *NotLeaderError. fault.ErrPoisoned: the state machine halted.
//
// The first call of a term waits until what earlier terms committed is applied
// here; after that a call costs one round of heartbeats, which concurrent
// calls share, and nothing on a node alone.
func (n *Node) Linearizable(ctx context.Context) error {
	if !n.gate.Enter() {
		return fmt.Errorf("read: node: %w", fault.ErrClosed)
	}
	defer n.gate.Leave()
	for {
		term := n.raft.CurrentTerm()
		if err := n.lead(ctx, term); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := n.confirm(ctx); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n.raft.CurrentTerm() == term { // else leadership was lost and won again in between
			break
		}
	}
	if err := n.adapter.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := n.expireDue(ctx); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// confirm returns nil if this node was the leader at some moment of the call.
func (n *Node) confirm(ctx context.Context) error {
	if !n.alone() {
		return n.verifier.wait(ctx, n.closing, n.translate)
	}
	if n.raft.State() != raft.Leader { // nobody else can have become leader without its vote
		return n.notLeader()
	}
	return nil
}

// alone reports that this node is the only voter.
func (n *Node) alone() bool {
	voters, own := 0, false
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters++
			own = own || s.ID == raft.ServerID(n.o.ID)
		}
	}
	return own && voters == 1
}

// lead makes this node ready to serve in a term that it leads: what was
// committed before is applied, and the clock of the data is near the present.
func (n *Node) lead(ctx context.Context, term uint64) error {
	if n.ready.Load() == term && term > 0 {
		return nil
	}
	if n.raft.State() != raft.Leader {
		return n.notLeader()
	}
	n.leading.Lock()
	defer n.leading.Unlock()
	if n.ready.Load() == term {
		return nil
	}
	if err := n.await(ctx, n.raft.Barrier(0)); err != nil {
		return err
	}
	if err := n.adapter.Err(); err != nil {
		return err
	}
	if n.raft.CurrentTerm() != term {
		return n.notLeader()
	}
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	n.ready.Store(term)
	return nil
}

// verifier lets concurrent callers share rounds of verification. A caller takes
// part in a round that begins after its call.
type verifier struct {
	verify func() error

	mu      sync.Mutex
	next    *round // nil if nobody waits for it
	running bool
}

type round struct {
	done chan struct{}
	err  error
}

func (v *verifier) wait(ctx context.Context, closing <-chan struct{}, translate func(error) error) error {
	v.mu.Lock()
	if v.next == nil {
		v.next = &round{done: make(chan struct{})}
	}
	r := v.next
	if !v.running {
		v.running = true
		go v.run()
	}
	v.mu.Unlock()
	select {
	case <-r.done:
		return translate(r.err)
	case <-ctx.Done():
		return ctx.Err()
	case <-closing:
		return fmt.Errorf("node: %w", fault.ErrClosed)
	}
}

func (v *verifier) run() {
	for {
		v.mu.Lock()
		r := v.next
		v.next = nil
		v.running = r != nil
		v.mu.Unlock()
		if r == nil {
			return
		}
		r.err = v.verify()
		close(r.done)
	}
}
