// Package memlog keeps logs in bounded memory. Nothing survives the process,
// the vote included: it is for tests, learners and single-process programs,
// and says so through raftlog.Volatile.
package memlog

import (
	"fmt"
	"slices"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Options tune a Store. Nil and zero fields mean the defaults.
type Options struct {
	// MaxEntries bounds the entries of each group. Default 0: no bound.
	MaxEntries int
	// CircularBuffer makes room in a full group by compacting its oldest
	// entries, but only those that Release has allowed to go. Without it, or
	// when too few are released, a full group refuses with fault.ErrFull.
	CircularBuffer bool
}

// Store is a raftlog.Driver in memory. The zero Store is not usable; see New.
type Store struct {
	o Options

	mu     sync.RWMutex
	closed bool
	groups map[raftlog.Group]*group
	done   completions
}

var (
	_ raftlog.Driver   = (*Store)(nil)
	_ raftlog.Sizer    = (*Store)(nil)
	_ raftlog.Releaser = (*Store)(nil)
	_ raftlog.Volatile = (*Store)(nil)
)

// New returns an empty store.
func New(o *Options) (*Store, error) {
	s := &Store{groups: make(map[raftlog.Group]*group)}
	if o != nil {
		s.o = *o
	}
	switch {
	case s.o.MaxEntries < 0:
		return nil, fmt.Errorf("new memory log: max entries %d: %w", s.o.MaxEntries, fault.ErrInvalid)
	case s.o.CircularBuffer && s.o.MaxEntries == 0:
		return nil, fmt.Errorf("new memory log: a circular buffer needs max entries: %w", fault.ErrInvalid)
	}
	return s, nil
}

// Submit implements raftlog.Driver. The entries are copied.
func (s *Store) Submit(batches []raftlog.GroupBatch, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(batches); err != nil {
		return err
	}
	for i := range batches {
		s.group(batches[i].Group).apply(&batches[i].Batch)
	}
	if done != nil {
		s.done.add(done)
	}
	return nil
}

// admit checks all batches, and sets the compaction of those that need room,
// before any is applied.
func (s *Store) admit(batches []raftlog.GroupBatch) error {
	if s.closed {
		return fmt.Errorf("write: memory log: %w", fault.ErrClosed)
	}
	for i := range batches {
		b := &batches[i]
		if slices.ContainsFunc(batches[:i], func(c raftlog.GroupBatch) bool { return c.Group == b.Group }) {
			return fmt.Errorf("write: group %v appears twice: %w", b.Group, fault.ErrInvalid)
		}
		g := s.groups[b.Group]
		if g == nil {
			g = &group{}
		}
		if err := g.shape.Check(&b.Batch); err != nil {
			return err
		}
		if err := s.fit(g, &b.Batch); err != nil {
			return err
		}
	}
	return nil
}

// fit makes b compact released entries where they would be too many.
func (s *Store) fit(g *group, b *raftlog.Batch) error {
	if s.o.MaxEntries == 0 || len(b.Entries) == 0 {
		return nil
	}
	next := g.shape.Clone()
	next.Apply(b)
	over := int64(next.Bounds().Count()) - int64(s.o.MaxEntries)
	if over <= 0 {
		return nil
	}
	to := next.Bounds().Base.Index + uint64(over)
	if !s.o.CircularBuffer || to > g.released || to >= b.Entries[0].Index {
		return fmt.Errorf("append %d: %d entries at most, %d released for removal: %w",
			b.Entries[0].Index, s.o.MaxEntries, g.released, fault.ErrFull)
	}
	b.CompactTo = to
	return nil
}

func (s *Store) group(name raftlog.Group) *group {
	g := s.groups[name]
	if g == nil {
		g = &group{stable: make(map[string][]byte)}
		s.groups[name] = g
	}
	return g
}

// view runs fn on a group under the read lock; unknown groups are empty ones.
func (s *Store) view(op string, name raftlog.Group, fn func(g *group) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("%s: memory log: %w", op, fault.ErrClosed)
	}
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

// Read implements raftlog.Driver.
func (s *Store) Read(dst []raftlog.Entry, name raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	dst = dst[:0]
	err := s.view("read", name, func(g *group) (err error) {
		dst, err = g.read(dst, lo, hi, maxBytes)
		return err
	})
	return dst, err
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

// Size implements raftlog.Sizer.
func (s *Store) Size(name raftlog.Group) (size raftlog.Size, err error) {
	err = s.view("size", name, func(g *group) error {
		size.Bytes = g.bytes
		for _, g := range s.groups {
			size.LiveBytes += g.bytes
		}
		return nil
	})
	return size, err
}

// Groups implements raftlog.Driver.
func (s *Store) Groups() ([]raftlog.Group, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, fmt.Errorf("groups: memory log: %w", fault.ErrClosed)
	}
	var names []raftlog.Group
	for name, g := range s.groups {
		if !g.empty() {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, raftlog.Group.Compare)
	return names, nil
}

// Remove implements raftlog.Driver.
func (s *Store) Remove(name raftlog.Group) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("remove group %v: memory log: %w", name, fault.ErrClosed)
	}
	delete(s.groups, name)
	return nil
}

// Release implements raftlog.Releaser.
func (s *Store) Release(name raftlog.Group, index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("release to %d: memory log: %w", index, fault.ErrClosed)
	}
	g := s.group(name)
	g.released = max(g.released, index)
	return nil
}

// Volatile implements raftlog.Volatile: nothing survives.
func (s *Store) Volatile() bool { return true }

// Sync implements raftlog.Driver; there is nothing to make durable.
func (s *Store) Sync() error {
	return s.view("sync", raftlog.Group{}, func(*group) error { return nil })
}

// Close forgets everything, after the done functions under way have returned.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.groups = nil
	s.mu.Unlock()
	s.done.wait()
	return nil
}
