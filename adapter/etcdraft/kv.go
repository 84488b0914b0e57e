package etcdraft

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// ApplyFunc applies one committed command inside the transaction that also moves
// the mark. It must do the same on every replica. A command that fails is
// nothing to return: an error means that this replica cannot go on, and halts
// its Runner. The transaction's SetMark, Commit and Rollback are
// fault.ErrInvalid.
type ApplyFunc func(tx *kv.WriteTx, e *raftpb.Entry) error

// KV is a Machine over a trimaran.Storage: the data is durable by itself and
// knows which entry it contains and which members there are. Whoever holds the
// storage takes its snapshots and compacts its log, with Maintain or Snapshot;
// they are streams, to which raftpb.Snapshot.Data only refers.
type KV struct {
	s      *trimaran.Storage
	apply  ApplyFunc
	raft   *Storage
	member bool // the mark has a membership; used by Apply and Restore alone
}

var _ Machine = (*KV)(nil)

// NewKV makes a Machine of s, which stays the caller's, and a raft.Storage of its
// log and snapshots. It must be the only one, and s have Owner OwnerComposite.
// If the log begins behind the newest valid snapshot, because that was damaged,
// NewKV takes a new one of the data for followers that lag.
func NewKV(ctx context.Context, s *trimaran.Storage, apply ApplyFunc, o *Options) (*KV, error) {
	if s == nil || apply == nil {
		return nil, fmt.Errorf("adapt storage to raft: no storage, or nothing that applies: %w", fault.ErrInvalid)
	}
	k := &KV{s: s, apply: apply}
	k.raft = unloaded(s.Log(), s.Snapshots(), o)
	k.raft.machine = k
	if err := k.raft.load(); err != nil {
		return nil, fmt.Errorf("adapt storage to raft: %w", err)
	}
	mark, err := s.KV().Mark(ctx)
	if err != nil {
		return nil, fmt.Errorf("adapt storage to raft: %w", err)
	}
	k.member = len(mark.Membership) > 0
	if s.Recovered().Bare && k.member {
		if _, err := s.Snapshot(ctx, 0); err != nil && !errors.Is(err, fault.ErrNothingNew) {
			return nil, fmt.Errorf("adapt storage to raft: %w", err)
		}
	}
	return k, nil
}

// Storage is the raft.Storage of the log and the snapshots. It is closed before
// the trimaran.Storage.
func (k *KV) Storage() *Storage { return k.raft }

// Applied is the last entry that the data contains, and the members as of it.
func (k *KV) Applied() (uint64, *raftpb.ConfState, error) {
	mark, err := k.s.KV().Mark(context.Background())
	if err != nil || len(mark.Membership) == 0 {
		return mark.Index, k.raft.members(), err
	}
	cs, err := decodeConfState(mark.Membership)
	return mark.Index, cs, err
}

// Apply applies commands and membership changes in one transaction, which also
// moves the mark. What the data contains already is skipped.
func (k *KV) Apply(ctx context.Context, committed []Committed) error {
	entries := make([]raftlog.Entry, len(committed))
	for i, c := range committed {
		var err error
		if entries[i], err = toEntry(c.Entry); err != nil {
			return err
		}
		cs := c.ConfState
		if cs == nil && !k.member && entries[i].Kind == raftlog.NoOp {
			cs = k.raft.members() // those that the log began with are no entry
		}
		if cs == nil {
			continue
		}
		entries[i].Kind = raftlog.Configuration
		if entries[i].Data, err = encodeConfState(cs); err != nil {
			return err
		}
		k.member = true
	}
	at := 0
	return k.s.Apply(ctx, entries, func(tx *kv.WriteTx, e raftlog.Entry) error {
		for committed[at].GetIndex() != e.Index {
			at++
		}
		return k.apply(tx, committed[at].Entry)
	})
}

// Restore replaces the data, durably and in one step, by a snapshot that Save
// was given before, unless it contains that already. A crash between the two is
// made good when the trimaran.Storage is opened again.
func (k *KV) Restore(ctx context.Context, snap *raftpb.Snapshot) error {
	mark, err := k.s.KV().Mark(ctx)
	if err != nil || mark.Index >= snap.GetMetadata().GetIndex() {
		return err
	}
	id, err := snapshot.ParseID(string(snap.GetData()))
	if err != nil {
		return err
	}
	if err := k.s.Restore(ctx, id, nil); err != nil {
		return err
	}
	k.member = true
	return nil
}
