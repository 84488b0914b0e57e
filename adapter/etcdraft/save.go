package etcdraft

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Save makes what a Ready holds durable, all or nothing, in one write and one
// sync of the log. Entries replace those from the first of them on; what is
// compacted already is skipped. A snapshot is published before that write, which
// then empties the log to continue after it; entries must follow it. Nil, or
// raft's own empty values, leave things as they are.
//
// A gap, or a term that falls, is fault.ErrInvalid, and a snapshot that is not
// newer than the newest raft.ErrSnapOutOfDate; in both cases nothing changed.
// fault.ErrFull may be tried again. After any other error the storage is to be
// opened anew.
func (s *Storage) Save(hs *raftpb.HardState, entries []*raftpb.Entry, snap *raftpb.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.hs
	if !raft.IsEmptyHardState(hs) {
		next = fromHardState(hs)
	}
	if !raft.IsEmptySnap(snap) {
		err := s.saveSnapshot(next, entries, snap)
		if err != nil && !errors.Is(err, raft.ErrSnapOutOfDate) { // that one callers compare
			err = fmt.Errorf("save snapshot of index %d: %w", snap.GetMetadata().GetIndex(), err)
		}
		return err
	}
	b, err := s.log.Bounds()
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	for len(entries) > 0 && entries[0].GetIndex() <= b.Base.Index {
		entries = entries[1:]
	}
	if len(entries) == 0 && next.term == s.saved.term && next.vote == s.saved.vote {
		s.hs = next // the commit index alone need not be durable
		return nil
	}
	batch, err := toBatch(entries)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if len(entries) > 0 && entries[0].GetIndex() <= b.Last {
		batch.TruncateFrom = entries[0].GetIndex()
	}
	if err := s.write(batch, next); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

func toBatch(entries []*raftpb.Entry) (b raftlog.Batch, err error) {
	if len(entries) == 0 {
		return b, nil
	}
	b.Entries = make([]raftlog.Entry, len(entries))
	for i, e := range entries {
		if b.Entries[i], err = toEntry(e); err != nil {
			return b, err
		}
	}
	return b, nil
}

// write makes a batch durable together with a hard state; s.mu is held.
func (s *Storage) write(b raftlog.Batch, next hardState) error {
	if next != s.saved {
		b.Stable = append(b.Stable, raftlog.StableKV{Key: hardStateKey, Value: next.encode()})
	}
	if err := s.log.Write(b); err != nil {
		return err
	}
	s.hs, s.saved = next, next
	return nil
}

// saveSnapshot publishes the snapshot, unless it is a reference to one that was
// received, and has the log follow. All that can be wrong is looked at before.
func (s *Storage) saveSnapshot(next hardState, entries []*raftpb.Entry, snap *raftpb.Snapshot) error {
	newest, _, err := s.newest()
	if err != nil {
		return err
	}
	info, err := infoOf(snap)
	switch {
	case err != nil:
		return err
	case info.Index <= newest.Index:
		return raft.ErrSnapOutOfDate
	case len(entries) > 0 && entries[0].GetIndex() != info.Index+1:
		return fmt.Errorf("entry %d is not the one after it: %w", entries[0].GetIndex(), fault.ErrInvalid)
	case len(entries) > 0 && entries[0].GetTerm() < info.Term:
		return fmt.Errorf("entry %d has term %d, the snapshot %d: %w", entries[0].GetIndex(), entries[0].GetTerm(), info.Term, fault.ErrInvalid)
	}
	batch, err := toBatch(entries)
	if err == nil {
		err = batch.Validate(0)
	}
	if err != nil {
		return err
	}
	if s.machine != nil {
		_, err = s.referred(snap)
	} else {
		err = s.publish(info, snap.GetData())
	}
	if err != nil {
		return err
	}
	batch.Reset = &raftlog.Position{Index: info.Index, Term: info.Term}
	return s.write(batch, next)
}

// ApplySnapshot replaces the log by a snapshot, which is durable on return, as
// Save does. One at index 0 says which members a log begins with, and nothing
// else; it is for a log without entries. A snapshot that is not newer than the
// newest is raft.ErrSnapOutOfDate.
func (s *Storage) ApplySnapshot(snap *raftpb.Snapshot) error {
	if !raft.IsEmptySnap(snap) {
		return s.Save(nil, nil, snap)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.log.Bounds()
	switch {
	case err != nil:
		return fmt.Errorf("apply snapshot: %w", err)
	case b.Base.Index > 0:
		return raft.ErrSnapOutOfDate
	case len(snap.GetData()) > 0 || b.Last > 0:
		return fmt.Errorf("apply snapshot: one at index 0 has no data, and comes before the first entry: %w", fault.ErrInvalid)
	}
	cs := snap.GetMetadata().GetConfState()
	encoded, err := encodeConfState(cs)
	if err != nil {
		return err
	}
	if err := s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: confStateKey, Value: encoded}}}); err != nil {
		return fmt.Errorf("apply snapshot: %w", err)
	}
	s.boot.Store(proto.Clone(cs).(*raftpb.ConfState))
	return nil
}

// Compact drops entries up to index, which is included. Up to the last compacted
// one that is raft.ErrCompacted; beyond the newest snapshot, which is all that
// holds what entries did, fault.ErrInvalid.
func (s *Storage) Compact(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.log.Bounds()
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	if index <= b.Base.Index {
		return raft.ErrCompacted
	}
	newest, _, err := s.newest()
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	if index > newest.Index {
		return fmt.Errorf("compact to %d: the newest snapshot holds entries up to %d, take one first: %w", index, newest.Index, fault.ErrInvalid)
	}
	return s.log.CompactTo(index)
}
