package kv

import (
	"errors"
	"fmt"
	"sync"

	"github.com/trimarandb/trimaran/fault"
)

// syncer makes commits durable and remembers the failure after which nothing
// is written any more. Commits are numbered in the order in which they became
// visible; a sync covers those that were numbered before it began.
type syncer struct {
	d       Driver
	mu      sync.Mutex
	changed *sync.Cond // running or synced changed
	last    uint64     // the number of the last commit
	synced  uint64     // all up to here are durable
	running bool       // somebody is inside d.Sync
	cause   error      // why the store is poisoned
	syncs   uint64
}

// newSyncer counts what the engine holds already as a commit that no sync is
// known to cover.
func newSyncer(d Driver) *syncer {
	s := &syncer{d: d, last: 1}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// committed numbers a commit. The caller holds the writer lock.
func (s *syncer) committed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return s.last
}

// pending reports whether a commit waits for a sync.
func (s *syncer) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced < s.last && s.cause == nil
}

// all makes every commit so far durable.
func (s *syncer) all() error {
	s.mu.Lock()
	n := s.last
	s.mu.Unlock()
	return s.wait(n, true)
}

// wait returns when commit n is durable. With share, another caller's sync
// that began after the commit serves; without, this call makes one itself.
func (s *syncer) wait(n uint64, share bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.cause != nil:
			return s.refuse()
		case share && s.synced >= n:
			return nil
		case s.running:
			s.changed.Wait()
		default:
			if err := s.run(); err != nil || !share {
				return err
			}
		}
	}
}

// run syncs once with the mutex released. A failed sync is never repeated: the
// kernel may by then call the lost pages clean.
func (s *syncer) run() error {
	s.running = true
	n := s.last
	s.mu.Unlock()
	err := s.d.Sync()
	s.mu.Lock()
	s.running = false
	s.syncs++
	s.changed.Broadcast()
	if err != nil {
		if s.cause == nil {
			s.cause = fmt.Errorf("sync: %w", err)
		}
		return s.refuse()
	}
	s.synced = max(s.synced, n)
	return nil
}

// fail poisons the store.
func (s *syncer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = err
	}
	s.changed.Broadcast()
}

// poisoned is nil until a sync or a commit has failed.
func (s *syncer) poisoned() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		return nil
	}
	return s.refuse()
}

func (s *syncer) refuse() error { return fmt.Errorf("%w: %w", fault.ErrPoisoned, s.cause) }

// status is what Stats shows.
func (s *syncer) status() (syncs uint64, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.syncs, s.cause
}

// guard poisons the store when err says that nobody knows what the engine
// holds, and returns err.
func (s *syncer) guard(err error) error {
	if err != nil && !errors.Is(err, fault.ErrFull) {
		s.fail(err)
	}
	return err
}
