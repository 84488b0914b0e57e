package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Store is a raftlog.Driver on segment files. One process holds a directory at
// a time. All methods may be called by several goroutines.
type Store struct {
	fs   vfs.FS
	dir  string
	id   logID
	o    Options
	lock io.Closer
	gate gate.Gate

	closing sync.Once
	closed  error // what Close returned

	background sync.WaitGroup
	stop       context.CancelFunc // ends the background sync of SyncInterval

	mu      sync.RWMutex
	groups  map[raftlog.Group]*group
	segs    []*segment // in order; the last one is active
	queue   []*request // submitted, and not taken by the leader
	leading bool
	broken  error // why writes fail: the first failed write or sync
	failing error // a write failed; set until all who were queued behind it know
	dead    []*segment
	sweep   bool // a goroutine removes dead segments
	stats   counters

	// The leader's; handed over with Store.leading under mu.
	tail    tail
	company bool // the last commit carried more than one request
	buf     []byte
}

type counters struct {
	syncs, synced    uint64
	syncTime, syncMx time.Duration
	unsynced         uint64 // entries acknowledged since the last sync
}

var (
	_ raftlog.Driver   = (*Store)(nil)
	_ raftlog.Sizer    = (*Store)(nil)
	_ raftlog.Verifier = (*Store)(nil)
)

// Log returns the log of one group. Close it before the store.
func (s *Store) Log(g raftlog.Group) (*raftlog.Log, error) { return raftlog.New(s, g, nil) }

// Write makes batches of several groups durable, all of them or none.
func (s *Store) Write(batches ...raftlog.GroupBatch) error {
	for i := range batches {
		if err := batches[i].Batch.CheckKeys(); err != nil {
			return fmt.Errorf("write to group %v: %w", batches[i].Group, err)
		}
	}
	return s.Submit(slices.Clone(batches), nil)
}

func (s *Store) enter(what string) error {
	if !s.gate.Enter() {
		return fmt.Errorf("%s: log %s: %w", what, s.dir, fault.ErrClosed)
	}
	return nil
}

// view runs fn on a group under the read lock; unknown groups are empty ones.
func (s *Store) view(what string, name raftlog.Group, fn func(g *group) error) error {
	if err := s.enter(what); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.locked(name, fn)
}

// locked is view for a caller that has entered already.
func (s *Store) locked(name raftlog.Group, fn func(g *group) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.groups[name]
	if g == nil {
		g = &group{}
	}
	return fn(g)
}

// Bounds implements raftlog.Driver.
func (s *Store) Bounds(name raftlog.Group) (b raftlog.Bounds, err error) {
	err = s.view("bounds", name, func(g *group) error {
		b = g.shape.Bounds()
		return nil
	})
	return b, err
}

// Term implements raftlog.Driver.
func (s *Store) Term(name raftlog.Group, index uint64) (term uint64, err error) {
	err = s.view("term", name, func(g *group) error {
		term, err = g.shape.Term(index)
		return err
	})
	return term, err
}

// Stable implements raftlog.Driver.
func (s *Store) Stable(name raftlog.Group, key string) (value []byte, err error) {
	err = s.view("stable", name, func(g *group) error {
		v, ok := g.stable[key]
		if !ok {
			return fmt.Errorf("stable key %q: %w", key, fault.ErrNotFound)
		}
		value = append([]byte{}, v...)
		return nil
	})
	return value, err
}

// Groups implements raftlog.Driver.
func (s *Store) Groups() (names []raftlog.Group, err error) {
	err = s.view("groups", raftlog.Group{}, func(*group) error {
		names = sortedGroups(s.groups)
		return nil
	})
	return names, err
}

// Size implements raftlog.Sizer.
func (s *Store) Size(name raftlog.Group) (size raftlog.Size, err error) {
	err = s.view("size", name, func(g *group) error {
		size = raftlog.Size{
			Bytes:      g.bytes,
			Segments:   len(s.segs),
			Syncs:      s.stats.syncs,
			SyncTime:   s.stats.syncTime,
			SyncMax:    s.stats.syncMx,
			Synced:     s.stats.synced,
			Poisoned:   s.broken,
			SyncPolicy: s.o.Sync.String(),
		}
		for _, seg := range s.segs {
			size.LiveBytes += uint64(seg.liveBytes)
			size.DeadBytes += uint64(seg.size - seg.liveBytes)
		}
		return nil
	})
	return size, err
}

// Sync makes durable what was acknowledged before it, whatever the policy.
func (s *Store) Sync() error {
	if err := s.enter("sync"); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.run(&request{sync: true})
}

// Close waits for the calls under way, makes everything durable, leaves the
// mark of an orderly end and releases the directory. A poisoned log leaves no
// mark, so that the next Open recovers, and Close says why it is poisoned.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	s.gate.Close()
	s.stop()
	s.background.Wait()
	err := s.broken
	if err != nil {
		err = fmt.Errorf("close log %s: %w: %w", s.dir, fault.ErrPoisoned, err)
	} else {
		err = s.leaveMark()
	}
	return errors.Join(err, s.release())
}

// leaveMark syncs and writes down where the log ends.
func (s *Store) leaveMark() error {
	// With attributes: the mark vouches for the length of the file as well.
	if err := s.tail.seg.f.Sync(); err != nil {
		return fmt.Errorf("close log %s: sync %s: %w", s.dir, s.tail.seg.name, err)
	}
	m := cleanMark{id: s.id, seq: s.tail.seg.seq, end: s.tail.end, sum: s.tail.sum}
	if err := vfs.WriteFile(s.fs, cleanName, m.append(nil)); err != nil {
		return fmt.Errorf("close log %s: everything is durable, but the mark of a clean close is not: %w", s.dir, err)
	}
	return nil
}

// release closes files, lock and directory.
func (s *Store) release() error {
	var err error
	for _, seg := range slices.Concat(s.dead, s.segs) {
		err = errors.Join(err, seg.f.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return errors.Join(err, s.fs.Close())
}
