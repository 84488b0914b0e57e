package etcdraft

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran/fault"
)

// started is the storage as raft sees it: its state is that of the machine, and
// a snapshot that does not know a member is not sent, for whoever is not in it
// ignores it.
type started struct {
	*Storage
	r  *Runner
	hs *raftpb.HardState
	cs *raftpb.ConfState
}

func (s started) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return s.hs, s.cs, nil
}

func (s started) Snapshot() (*raftpb.Snapshot, error) {
	_, members, err := s.newest()
	if err != nil {
		return nil, err
	}
	if s.r.outgrown(members) {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return s.Storage.Snapshot()
}

// outgrown reports that there are members who are not among old, and has a new
// snapshot taken then, by a machine that can.
func (r *Runner) outgrown(old *raftpb.ConfState) bool {
	if _, ok := r.machine.(Snapshotter); !ok && r.storage.machine == nil {
		return false
	}
	known := all(old)
	if !slices.ContainsFunc(all(r.members.Load()), func(id uint64) bool { return !slices.Contains(known, id) }) {
		return false
	}
	if r.renewing.CompareAndSwap(false, true) {
		r.applies.push(task{renew: true})
	}
	return true
}

func all(cs *raftpb.ConfState) []uint64 {
	return slices.Concat(cs.GetVoters(), cs.GetLearners(), cs.GetVotersOutgoing(), cs.GetLearnersNext())
}

// renew takes a snapshot because raft needs a newer one. That of a KV is written
// while applies go on.
func (r *Runner) renew() error {
	k := r.storage.machine
	if k == nil {
		defer r.renewing.Store(false)
		return r.take()
	}
	r.threads.Go(func() {
		defer r.renewing.Store(false)
		if _, err := k.s.Snapshot(r.ctx, 0); err != nil && !errors.Is(err, fault.ErrNothingNew) {
			r.o.Logger.Warn("no snapshot was taken", "error", err)
		}
	})
	return nil
}

// snapshotInTime takes one of a Snapshotter that has applied enough since the
// last.
func (r *Runner) snapshotInTime() error {
	if r.applied.Load() < r.snapshotAt+r.o.SnapshotEntries {
		return nil
	}
	return r.take()
}

// take has a Snapshotter's state kept, and compacts the log behind it.
func (r *Runner) take() error {
	m, ok := r.machine.(Snapshotter)
	if !ok {
		return nil
	}
	index := r.applied.Load()
	data, err := m.Snapshot(r.ctx)
	if err != nil {
		return fmt.Errorf("snapshot at %d: %w", index, err)
	}
	r.snapshotAt = index // also if it fails: not again at once
	_, err = r.storage.CreateSnapshot(index, r.members.Load(), data)
	switch {
	case errors.Is(err, raft.ErrSnapOutOfDate) || errors.Is(err, fault.ErrFull): // one that was received is newer
		r.o.Logger.Warn("no snapshot was taken", "index", index, "error", err)
		return nil
	case err != nil:
		return err
	}
	r.o.Logger.Info("snapshot taken", "index", index, "size", len(data))
	trailing := uint64(max(0, r.o.TrailingEntries))
	if index <= trailing {
		return nil
	}
	if err := r.storage.Compact(index - trailing); err != nil && !errors.Is(err, raft.ErrCompacted) {
		return err
	}
	return nil
}
