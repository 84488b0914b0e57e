package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

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

	background sync.WaitGroup // maintenance, leaders without a caller, the flusher
	stopped    context.Context
	stop       context.CancelFunc
	// What lies in a pool, and the pool, outlive the store by up to two
	// collections of garbage: neither refers to it.
	requests *sync.Pool
	plans    *sync.Pool
	nobody   group // stands for groups that are not known

	salt     uint64 // of the segments that this open begins
	recovery Recovery
	recent   recent
	indexes  indexes

	// order fixes the order of writes. It is taken before mu.
	order        sync.Mutex
	queue        []*batch // submitted, and not taken by the leader
	spent        []*batch // for later
	leading      bool
	broken       error   // why writes fail: the first failed write or sync
	failing      error   // a write failed; set until all who were queued behind it know
	marked       bool    // the mark of the last close is there
	shut         bool    // Close was called
	short        request // memory for a batch that takes the short way
	unwritten    records
	unwrittenSeg *segment // where its payload will be, nil while there is none
	unwrittenAt  int64

	// What is acknowledged. Only the leader changes groups, or who holds order
	// while nobody leads; making and forgetting one takes order as well.
	mu      sync.RWMutex
	groups  map[raftlog.Group]*group
	segs    []*segment // in order; the last one is active
	spares  []spare
	head    int64 // of the active segment: header and checkpoint
	halfway bool  // it is half full
	stats   counters

	// Of maintenance.
	work      atomic.Bool // there may be something to do
	busy      bool        // somebody does it; guarded by mu
	trash     []removal   // files that are no longer used
	lastSpare uint64

	// The leader's; handed over with leading under order.
	tail    *tail
	company bool // the last commit carried more than one request
	partial bool // part of a refused write is behind the tail
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
	return s.Submit(batches, nil)
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
		g = &s.nobody
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
	s.order.Lock()
	broken := s.broken
	s.order.Unlock()
	err = s.view("size", name, func(g *group) error {
		size = raftlog.Size{
			Bytes:      g.bytes(),
			Segments:   len(s.segs),
			Spares:     len(s.spares),
			Syncs:      s.stats.syncs,
			SyncTime:   s.stats.syncTime,
			SyncMax:    s.stats.syncMx,
			SyncTimes:  s.stats.times,
			SyncSizes:  s.stats.sizes,
			Synced:     s.stats.synced,
			Poisoned:   broken,
			SyncPolicy: s.o.Sync.String(),

			TrustsMemory: s.o.TrustMemory,
		}
		for _, seg := range s.segs {
			size.LiveBytes += uint64(seg.liveBytes)
			size.DeadBytes += uint64(max(0, seg.written-seg.liveBytes))
		}
		for _, sp := range s.spares {
			size.SpareBytes += uint64(sp.size)
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
	r := s.newRequest()
	r.sync = true
	return s.run(r)
}

// Recovery tells how Open found the log.
type Recovery struct {
	Clean     bool   // it had been closed in order
	Rewritten int64  // bytes that were not known to be durable, and were written again
	Torn      bool   // something that is no frame followed the last one, and was cut off
	Path      string // where it was
	Offset    int64
}

// Recovered tells how Open found the log. What was torn off was in all
// likelihood never acknowledged; but should the disk have damaged the very last
// write after it was synced, it would look the same. A node that wants to rule
// that out neither votes nor leads until it has caught up with UncertainFrom.
func (s *Store) Recovered() Recovery { return s.recovery }

// UncertainFrom returns the index from which on a group's entries may have been
// torn off, if any was: the one after the last that was found.
func (s *Store) UncertainFrom(name raftlog.Group) (index uint64, uncertain bool) {
	if !s.recovery.Torn {
		return 0, false
	}
	_ = s.view("uncertain from", name, func(g *group) error {
		index = g.recovered + 1
		return nil
	})
	return index, true
}

// Close waits for the calls under way, makes everything durable, leaves the
// mark of an orderly end and releases the directory. A poisoned log leaves no
// mark, so that the next Open recovers, and Close says why it is poisoned.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	s.order.Lock()
	s.shut = true // the short way does not pass the gate
	s.order.Unlock()
	s.gate.Close()
	s.stop()
	s.background.Wait()
	err := s.end()
	if err != nil {
		err = fmt.Errorf("close log %s: %w", s.dir, err)
	}
	return errors.Join(err, s.release())
}

// end makes everything durable and leaves the mark, if it is not there from the
// last time.
func (s *Store) end() error {
	if s.broken != nil {
		return fmt.Errorf("%w: %w", fault.ErrPoisoned, s.broken)
	}
	if s.marked {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	err := s.free()
	if err == nil {
		err = s.sealAll()
	}
	if err != nil {
		s.o.Logger.Warn("maintenance put off", "dir", s.dir, "error", err)
		if !harmless(err) {
			return err
		}
	}
	// With attributes: the mark vouches for the length of the file as well.
	if err := s.tail.seg.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.tail.seg.name, err)
	}
	return s.leaveMark()
}

// release closes files, lock and directory.
func (s *Store) release() error {
	var err error
	for _, seg := range s.segs {
		err = errors.Join(err, seg.f.Close())
	}
	for _, sp := range s.spares {
		err = errors.Join(err, sp.f.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return errors.Join(err, s.fs.Close())
}
