package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// Status is what a node says of itself.
type Status struct {
	ID            string           `json:"id"`
	Role          string           `json:"role"` // leader, follower, candidate, shutdown
	Ready         bool             `json:"ready"`
	NotReady      string           `json:"not_ready,omitempty"` // why
	Term          uint64           `json:"term"`
	LeaderID      string           `json:"leader_id"`
	LeaderAddress string           `json:"leader_address"`
	RaftAddress   string           `json:"raft_address"`
	HTTPAddress   string           `json:"http_address"`
	Volatile      bool             `json:"volatile"`
	Uptime        string           `json:"uptime"`
	Commit        uint64           `json:"commit_index"`
	AppliedIndex  uint64           `json:"applied_index"`
	AppliedTerm   uint64           `json:"applied_term"`
	Clock         time.Time        `json:"clock"` // of the data
	LogFirst      uint64           `json:"log_first_index"`
	LogLast       uint64           `json:"log_last_index"`
	Voters        []Peer           `json:"voters"`
	Snapshots     []SnapshotStatus `json:"snapshots"`
	Health        trimaran.Health  `json:"health"`
	Halted        string           `json:"halted,omitempty"`
}

// SnapshotStatus describes one snapshot.
type SnapshotStatus struct {
	ID         string    `json:"id"`
	Index      uint64    `json:"index"`
	Term       uint64    `json:"term"`
	Size       int64     `json:"size_bytes"`
	StoredSize int64     `json:"stored_bytes"`
	Created    time.Time `json:"created"`
	Damaged    string    `json:"damaged,omitempty"`
}

func describe(m snapshot.Meta) SnapshotStatus {
	s := SnapshotStatus{ID: m.ID.String(), Index: m.Index, Term: m.Term, Size: m.Size, StoredSize: m.StoredSize, Created: m.Created}
	if m.Damaged != nil {
		s.Damaged = m.Damaged.Error()
	}
	return s
}

var roles = map[raft.RaftState]string{raft.Leader: "leader", raft.Follower: "follower", raft.Candidate: "candidate", raft.Shutdown: "shutdown"}

// Role is leader, follower, candidate or shutdown.
func (n *Node) Role() string { return roles[n.raft.State()] }

// readyWait bounds how long Ready waits for a new term to begin.
const readyWait = 2 * time.Second

// Ready returns nil if the node can serve: the storage is not unhealthy, and
// somebody else leads, or this node does and has applied what was committed
// before its term.
func (n *Node) Ready(ctx context.Context) error {
	if !n.gate.Enter() {
		return fmt.Errorf("node: %w", fault.ErrClosed)
	}
	defer n.gate.Leave()
	if err := n.healthy(ctx); err != nil {
		return err
	}
	_, id := n.raft.LeaderWithID()
	if id == "" {
		return errors.New("no leader is known")
	}
	if string(id) != n.o.ID {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	return n.lead(ctx, n.raft.CurrentTerm())
}

// healthy returns nil unless the node has to be opened again.
func (n *Node) healthy(ctx context.Context) error {
	if err := n.adapter.Err(); err != nil {
		return err
	}
	h := n.s.Health(ctx)
	if h.Overall != trimaran.Unhealthy {
		return nil
	}
	for _, part := range []struct {
		name   string
		status trimaran.Status
	}{{"log", h.Log}, {"snapshots", h.Snapshots}, {"data", h.Data}, {"maintenance", h.Maintenance}} {
		if part.status.State == trimaran.Unhealthy {
			return fmt.Errorf("%s: %s", part.name, part.status.Reason)
		}
	}
	return errors.New("unhealthy")
}

// Status describes the node. What could not be read is zero; Health says why.
func (n *Node) Status(ctx context.Context) Status {
	address, id := n.raft.LeaderWithID()
	st := Status{
		ID: n.o.ID, Role: n.Role(), Term: n.raft.CurrentTerm(), LeaderID: string(id), LeaderAddress: string(address),
		RaftAddress: n.RaftAddress(), HTTPAddress: n.HTTPAddress(), Volatile: n.Volatile(),
		Uptime: time.Since(n.started).Round(time.Second).String(), Commit: n.raft.CommitIndex(),
		Voters: []Peer{}, Snapshots: []SnapshotStatus{}, Health: n.s.Health(ctx),
	}
	if err := n.Ready(ctx); err != nil {
		st.NotReady = err.Error()
	}
	st.Ready = st.NotReady == ""
	if err := n.adapter.Err(); err != nil {
		st.Halted = err.Error()
	}
	if mark, err := n.s.KV().Mark(ctx); err == nil {
		st.AppliedIndex, st.AppliedTerm, st.Clock = mark.Index, mark.Term, mark.Clock
	}
	if b, err := n.s.Log().Bounds(); err == nil {
		st.LogFirst, st.LogLast = b.First(), b.Last
	}
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			st.Voters = append(st.Voters, Peer{ID: string(s.ID), Address: string(s.Address)})
		}
	}
	for meta, err := range n.s.Snapshots().All(ctx) {
		if err == nil {
			st.Snapshots = append(st.Snapshots, describe(meta))
		}
	}
	return st
}

// Snapshot takes a snapshot now and deletes the log entries that it replaces,
// but for the trailing ones. fault.ErrNothingNew: the newest one has it all.
// It goes on when ctx ends before it.
func (n *Node) Snapshot(ctx context.Context) (snapshot.Meta, error) {
	if !n.gate.Enter() {
		return snapshot.Meta{}, fmt.Errorf("snapshot: node: %w", fault.ErrClosed)
	}
	defer n.gate.Leave()
	err := n.await(ctx, n.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return snapshot.Meta{}, fmt.Errorf("snapshot: %w", fault.ErrNothingNew)
	}
	if err != nil {
		return snapshot.Meta{}, fmt.Errorf("snapshot: %w", err)
	}
	return n.s.Snapshots().Latest(ctx)
}
