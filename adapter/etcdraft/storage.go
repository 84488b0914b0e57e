package etcdraft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// Options tune a Storage. Nil and zero fields mean the defaults.
type Options struct {
	// FS is where Open finds its directory. Default: the real disk.
	FS vfs.FS
	// Logger hears what is worth knowing and no caller is told. Default: nobody.
	Logger *slog.Logger
}

// Storage is a raft.Storage over a log and a snapshot store. Reads may be made
// by several goroutines, and beside a write; writes take turns.
type Storage struct {
	log     *raftlog.Log
	snaps   *snapshot.Store
	logger  *slog.Logger
	closers []io.Closer // what Open opened, in the order to close it
	machine *KV         // whose snapshots these are; nil where their payload is Snapshot.Data

	boot atomic.Pointer[raftpb.ConfState] // the members that the log began with

	mu    sync.Mutex // held by writes
	hs    hardState  // what raft saved last
	saved hardState  // what the log holds of it
}

var _ raft.Storage = (*Storage)(nil)

// Open opens a storage in dir, and makes it if need be: a segment log, and a
// directory of snapshots of which the newest three are kept. The command
// trimaran looks into both. Errors to test for: fault.ErrLocked and
// *fault.Corruption.
func Open(dir string, o *Options) (_ *Storage, err error) {
	c := config.Default()
	if o != nil {
		c.Options.FS, c.Options.Logger = o.FS, o.Logger
	}
	var closers []io.Closer
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open %s: %w", dir, err), closeAll(closers))
		}
	}()
	ctx := context.Background()
	l, driver, err := c.OpenLog(ctx, dir)
	if err != nil {
		return nil, err
	}
	closers = append(closers, l, driver)
	snaps, staging, err := c.OpenSnapshots(ctx, dir)
	if err != nil {
		return nil, err
	}
	closers = append(closers, snaps, staging)
	s, err := New(l, snaps, o)
	if err != nil {
		return nil, err
	}
	s.closers = closers
	return s, nil
}

// New makes a Storage of a log and a snapshot store that stay the caller's; for
// those of a trimaran.Storage see NewKV. It finishes the install of a snapshot
// that a crash cut short. A log that begins behind the newest valid snapshot,
// or contradicts it, is a *fault.Corruption.
func New(l *raftlog.Log, snaps *snapshot.Store, o *Options) (*Storage, error) {
	s := unloaded(l, snaps, o)
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	return s, nil
}

func unloaded(l *raftlog.Log, snaps *snapshot.Store, o *Options) *Storage {
	s := &Storage{log: l, snaps: snaps, logger: slog.New(slog.DiscardHandler)}
	if o != nil && o.Logger != nil {
		s.logger = o.Logger
	}
	return s
}

// load reads the stable keys.
func (s *Storage) load() error {
	b, err := s.log.Stable(hardStateKey)
	if err == nil {
		s.hs, err = decodeHardState(b)
		s.saved = s.hs
	}
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	members := raftpb.EnsureConfState(nil)
	b, err = s.log.Stable(confStateKey)
	if err == nil {
		members, err = decodeConfState(b)
	}
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	s.boot.Store(members)
	return nil
}

// recover makes the log follow the newest valid snapshot if it does not: that
// one was published, and the write that the log was to follow it by was not
// made. What is committed by what this log says itself does not give way.
func (s *Storage) recover() error {
	newest, err := s.newestOf(func(snapshot.Meta) (bool, error) { return true, nil })
	if err != nil {
		return err
	}
	b, err := s.log.Bounds()
	if err != nil {
		return err
	}
	held, err := s.holds(newest)
	switch {
	case err != nil:
		return err
	case held:
		return nil
	case newest.Index < b.Base.Index:
		return &fault.Corruption{Offset: -1, Index: b.Base.Index, Class: fault.Missing,
			Reason: fmt.Sprintf("the log begins at %d, and the newest valid snapshot holds entries up to %d only", b.First(), newest.Index)}
	case newest.Index <= max(b.Base.Index, min(s.hs.commit, b.Last)):
		return &fault.Corruption{Offset: -1, Index: newest.Index, Class: fault.Foreign,
			Reason: fmt.Sprintf("the newest snapshot holds index %d of term %d, the log has committed that entry with another term: the two are of different histories", newest.Index, newest.Term)}
	}
	s.logger.Warn("the log follows a snapshot whose install was cut short", "index", newest.Index, "term", newest.Term, "last", b.Last)
	return s.log.Reset(raftlog.Position{Index: newest.Index, Term: newest.Term})
}

// Close writes the commit index that no write has taken along, and closes what
// Open opened. What New was given stays open. Close may be called twice.
func (s *Storage) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(raftlog.Batch{}, s.hs)
	if errors.Is(err, fault.ErrClosed) || errors.Is(err, fault.ErrPoisoned) {
		err = nil // it need not be durable
	}
	err = errors.Join(err, closeAll(s.closers))
	s.closers = nil
	return err
}

func closeAll(closers []io.Closer) (err error) {
	for _, c := range closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// InitialState is the hard state saved last, nil if none was, and the membership
// of the newest snapshot, or that of the data of a KV. Of what waits for the
// next write it has the newest. raft.Config.Applied must be the index of that
// membership or, as with MemoryStorage, zero; Start sees to it.
func (s *Storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	applied, cs, err := s.applied()
	if err != nil {
		return nil, nil, fmt.Errorf("initial state: %w", err)
	}
	hs, err := s.hardState(applied)
	if err != nil {
		return nil, nil, fmt.Errorf("initial state: %w", err)
	}
	return hs.message(), cs, nil
}

// applied is up to where the data, or else the newest snapshot, contains the
// log, and the membership there.
func (s *Storage) applied() (uint64, *raftpb.ConfState, error) {
	if s.machine != nil {
		return s.machine.Applied()
	}
	meta, cs, err := s.newest()
	return meta.Index, cs, err
}

// hardState is the one saved last, as far as log and data do not know better: a
// crash may have come between their write and its.
func (s *Storage) hardState(applied uint64) (hardState, error) {
	s.mu.Lock()
	hs := s.hs
	s.mu.Unlock()
	b, err := s.log.Bounds()
	switch {
	case err != nil:
		return hs, err
	case applied > b.Last:
		return hs, &fault.Corruption{Offset: -1, Index: b.Last + 1, Class: fault.Missing,
			Reason: fmt.Sprintf("the state machine contains entries up to %d, the log ends at %d", applied, b.Last)}
	case hs.term < b.LastTerm:
		hs.term, hs.vote = b.LastTerm, 0
	}
	hs.commit = min(max(hs.commit, b.Base.Index, applied), b.Last)
	return hs, nil
}

// FirstIndex is the index of the oldest entry that is there, or would be.
func (s *Storage) FirstIndex() (uint64, error) { return s.log.FirstIndex() }

// LastIndex is the index of the newest entry, or of the last compacted one in an
// empty log.
func (s *Storage) LastIndex() (uint64, error) { return s.log.LastIndex() }

// Term of an entry, or of the last compacted one. Below that it is
// raft.ErrCompacted, after the last entry raft.ErrUnavailable.
func (s *Storage) Term(index uint64) (uint64, error) {
	term, err := s.log.Term(index)
	return term, sentinel(err)
}

// Entries returns the entries of [lo, hi) from the first on, as many as have
// maxSize bytes of protobuf together, and at least one. They are in memory of
// their own. All of the range must be there: raft.ErrCompacted or
// raft.ErrUnavailable otherwise. A damaged one is *fault.Corruption.
func (s *Storage) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	entries, err := s.log.ReadRange(nil, lo, hi, maxSize) // payload alone, so never too few
	if err != nil {
		return nil, sentinel(err)
	}
	out := make([]*raftpb.Entry, 0, len(entries))
	size := uint64(0)
	for i := range entries {
		e, err := fromEntry(&entries[i])
		if err != nil {
			return nil, err
		}
		if size += uint64(proto.Size(e)); i > 0 && size > maxSize {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

// sentinel turns our errors into those that raft compares with.
func sentinel(err error) error {
	switch {
	case errors.Is(err, fault.ErrCompacted):
		return raft.ErrCompacted
	case errors.Is(err, fault.ErrNotFound):
		return raft.ErrUnavailable
	}
	return err
}
