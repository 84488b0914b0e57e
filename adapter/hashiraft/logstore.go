package hashiraft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// commitKey holds the staged commit index. Frozen.
const commitKey = "hashiraft/commit"

// LogStore is log and stable store of one raft node, in one value: a
// raft.LogStore without gaps, which also tracks commits, and a raft.StableStore.
// Its methods may be called by several goroutines.
type LogStore struct {
	log     *raftlog.Log
	newest  func() (raftlog.Position, error) // of the newest valid snapshot, zero if there is none
	closers []io.Closer                      // what OpenLog opened, in the order to close it

	mu     sync.Mutex // held by writes
	staged uint64     // to be written with the next entries
}

var (
	_ raft.MonotonicLogStore      = (*LogStore)(nil)
	_ raft.CommitTrackingLogStore = (*LogStore)(nil)
	_ raft.StableStore            = (*LogStore)(nil)
)

// IsMonotonic is true: entries follow one another, and raft empties the log
// after it restored a snapshot.
func (s *LogStore) IsMonotonic() bool { return true }

// FirstIndex is the index of the oldest entry, 0 when the log is empty.
func (s *LogStore) FirstIndex() (uint64, error) {
	b, err := s.log.Bounds()
	if err != nil || b.Empty() {
		return 0, err
	}
	return b.First(), nil
}

// LastIndex is the index of the newest entry, 0 when the log is empty.
func (s *LogStore) LastIndex() (uint64, error) {
	b, err := s.log.Bounds()
	if err != nil || b.Empty() {
		return 0, err
	}
	return b.Last, nil
}

// GetLog reads one entry into memory of its own. An entry that is not there,
// whether it was deleted or never written, is raft.ErrLogNotFound; a damaged
// one is *fault.Corruption.
func (s *LogStore) GetLog(index uint64, l *raft.Log) error {
	e, err := s.log.Entry(index)
	if errors.Is(err, fault.ErrCompacted) || errors.Is(err, fault.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return err
	}
	return toLog(e, l)
}

// StoreLog is StoreLogs of one entry.
func (s *LogStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries, all or none; they are durable on return, as the
// log's sync policy says, together with the commit index staged before. An
// empty log continues wherever the first of them stands.
func (s *LogStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	batch := raftlog.Batch{Entries: make([]raftlog.Entry, len(logs))}
	for i, l := range logs {
		batch.Entries[i] = toEntry(l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.connect(&batch); err != nil {
		return fmt.Errorf("store logs: %w", err)
	}
	if s.staged > 0 {
		batch.Stable = []raftlog.StableKV{{Key: commitKey, Value: binary.BigEndian.AppendUint64(nil, s.staged)}}
	}
	if err := s.log.Write(batch); err != nil {
		return fmt.Errorf("store logs: %w", err)
	}
	s.staged = 0
	return nil
}

// connect lets a log that is empty, or that a snapshot has overtaken, continue at
// the first entry of the batch, in the same atomic write.
func (s *LogStore) connect(batch *raftlog.Batch) error {
	b, err := s.log.Bounds()
	first := batch.Entries[0].Index
	if err != nil || first == 0 || first == b.Last+1 || !b.Empty() && first <= b.Last {
		return err
	}
	newest, err := s.newest()
	if err != nil {
		return err
	}
	before := raftlog.Position{Index: first - 1}
	switch {
	case newest.Index == before.Index && (b.Empty() || newest.Term >= b.LastTerm):
		before = newest
	case !b.Empty():
		return fmt.Errorf("entry %d does not follow entry %d, and the newest snapshot (%d) does not end before it; if there is a newer one, name the snapshot store in Options: %w",
			first, b.Last, newest.Index, fault.ErrInvalid)
	}
	batch.Reset = &before
	return nil
}

// DeleteRange durably deletes [lo, hi], both included: a prefix, a suffix, or
// everything. Entries that are not there count as deleted. A log that was
// emptied continues after the newest snapshot. Anything else would leave a
// gap and is fault.ErrInvalid.
//
// Of everything, what follows the last entry of the newest snapshot stays: raft
// empties the log of a node that was sent a snapshot, but goes on to count those
// entries as there, which others may have committed (Raft, figure 13, rule 6).
func (s *LogStore) DeleteRange(lo, hi uint64) error {
	s.mu.Lock() // raft deletes what a snapshot holds beside StoreLogs
	defer s.mu.Unlock()
	b, err := s.log.Bounds()
	if err != nil {
		return fmt.Errorf("delete range: %w", err)
	}
	if lo > hi || b.Empty() || hi < b.First() || lo > b.Last {
		return nil
	}
	prefix, suffix := lo <= b.First(), hi >= b.Last
	switch {
	case prefix && suffix:
		err = s.clear(b)
	case prefix:
		err = s.log.CompactTo(hi)
	case suffix:
		err = s.log.TruncateFrom(lo)
	default:
		err = fmt.Errorf("[%d, %d] lies inside [%d, %d]: %w", lo, hi, b.First(), b.Last, fault.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("delete range: %w", err)
	}
	return nil
}

// clear empties the log, which then continues after the newest snapshot, or
// leaves what follows that.
func (s *LogStore) clear(b raftlog.Bounds) error {
	newest, err := s.newest()
	if err != nil {
		return err
	}
	if b.First() <= newest.Index && newest.Index < b.Last {
		term, err := s.log.Term(newest.Index)
		if err != nil {
			return err
		}
		if term == newest.Term {
			return s.log.CompactTo(newest.Index)
		}
	}
	return s.log.Reset(newest)
}

// StageCommitIndex keeps index until the next StoreLogs, which writes it in the
// same batch as its entries. A crash before that forgets it.
func (s *LogStore) StageCommitIndex(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged = max(s.staged, index)
	return nil
}

// GetCommitIndex is the commit index written last, never above the last entry;
// 0 if none was.
func (s *LogStore) GetCommitIndex() (uint64, error) {
	index, err := s.number(commitKey)
	if err != nil {
		return 0, err
	}
	last, err := s.LastIndex()
	return min(index, last), err
}
