package hashiraft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// Options tune what this package opens. Nil and zero fields mean the defaults.
type Options struct {
	// Logger hears what raft and the stores have to say. Default: nobody.
	Logger *slog.Logger
	// FS is where OpenLog and OpenSnapshots find their directory. Default: the
	// real disk.
	FS vfs.FS
	// Snapshots is the snapshot store that raft is given beside a log of OpenLog
	// or NewLog, ours or another one. By it the log follows a snapshot that was
	// installed before a crash; without, it refuses what raft stores next.
	Snapshots raft.SnapshotStore
}

func (o *Options) logger() *slog.Logger {
	if o == nil || o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

func (o *Options) config() *config.Config {
	c := config.Default()
	if o != nil {
		c.Options.FS, c.Options.Logger = o.FS, o.Logger
	}
	return c
}

// OpenLog opens the log and stable store of a node below dir, and makes it if
// need be. It is for a program that has a state machine of its own; see New for
// the other one. The command trimaran looks into it. Errors to test for:
// fault.ErrLocked and *fault.Corruption.
func OpenLog(dir string, o *Options) (*LogStore, error) {
	l, driver, err := o.config().OpenLog(context.Background(), dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	closers := []io.Closer{l, driver}
	s, err := NewLog(l, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), closeAll(closers))
	}
	s.closers = closers
	return s, nil
}

// NewLog makes a LogStore of a log that stays the caller's. If Options name the
// snapshot store, the log follows its newest snapshot where a crash came between
// the install of that and the removal of what it replaced. A log that lost its
// term, and with it votes, or that contradicts the newest snapshot, is a
// *fault.Corruption.
func NewLog(l *raftlog.Log, o *Options) (*LogStore, error) {
	s := &LogStore{log: l, newest: func() (p raftlog.Position, err error) { return p, nil }}
	if o != nil && o.Snapshots != nil {
		s.newest = func() (raftlog.Position, error) { return newestOf(o.Snapshots) }
	}
	if err := s.copied(); err != nil {
		return nil, err
	}
	if _, err := l.Stable(TermKey); !errors.Is(err, fault.ErrNotFound) { // else raft's stable store is another one
		if err := s.votesHold(); err != nil {
			return nil, err
		}
	}
	if err := s.follow(o.logger()); err != nil {
		return nil, err
	}
	return s, nil
}

// newestOf is the newest snapshot that a store lists first.
func newestOf(snaps raft.SnapshotStore) (p raftlog.Position, err error) {
	list, err := snaps.List()
	if err != nil || len(list) == 0 {
		return p, err
	}
	return raftlog.Position{Index: list[0].Index, Term: list[0].Term}, nil
}

// follow makes the log follow the newest snapshot if it does not: that one was
// installed, and what it replaced not yet removed.
func (s *LogStore) follow(logger *slog.Logger) error {
	newest, err := s.newest()
	if err != nil {
		return fmt.Errorf("look for the newest snapshot: %w", err)
	}
	b, err := s.log.Bounds()
	if err != nil || b.Empty() || newest.Index <= b.Base.Index {
		return err
	}
	at, term := b.Last, b.LastTerm // the entry that the snapshot ends with, or the last one before
	if newest.Index < at {
		at = newest.Index
		if term, err = s.log.Term(at); err != nil {
			return err
		}
	}
	commit, err := s.GetCommitIndex()
	switch {
	case err != nil:
		return err
	case term == newest.Term && at == newest.Index:
		return nil
	case term > newest.Term || commit >= newest.Index:
		return &fault.Corruption{Offset: -1, Index: at, Class: fault.Foreign,
			Reason: fmt.Sprintf("the log has entry %d of term %d, the newest snapshot ends with %d of term %d: the two are of different histories", at, term, newest.Index, newest.Term)}
	}
	logger.Warn("the log follows a snapshot whose install was cut short", "index", newest.Index, "term", newest.Term, "last", b.Last)
	return s.log.Reset(newest)
}

// Close closes what OpenLog opened. What NewLog or New was given stays open.
// Close may be called twice.
func (s *LogStore) Close() error {
	err := closeAll(s.closers)
	s.closers = nil
	return err
}

// OpenSnapshots opens a snapshot store below dir, and makes it if need be. It
// keeps the newest retain snapshots, at least one, compressed with zstd. The
// command trimaran looks into it.
func OpenSnapshots(dir string, retain int, o *Options) (*SnapshotStore, error) {
	c := o.config()
	c.Snapshots.Retention = snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: retain}
	snaps, staging, err := c.OpenSnapshots(context.Background(), dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	s := NewSnapshots(snaps, o)
	s.closers = []io.Closer{snaps, staging}
	return s, nil
}

// NewSnapshots makes a SnapshotStore of a store that stays the caller's, on
// whatever bucket. What it keeps is for the store's own retention to say.
func NewSnapshots(snaps *snapshot.Store, o *Options) *SnapshotStore {
	return &SnapshotStore{snaps: snaps, ctx: context.Background(), logger: o.logger(), told: func(snapshot.Meta, bool) {}}
}

// Close closes what OpenSnapshots opened. What NewSnapshots or New was given
// stays open. Close may be called twice.
func (s *SnapshotStore) Close() error {
	err := closeAll(s.closers)
	s.closers = nil
	return err
}

func closeAll(closers []io.Closer) (err error) {
	for _, c := range closers {
		err = errors.Join(err, c.Close())
	}
	return err
}
