package seglog

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/vfs"
)

// maintain has the work done that nobody waits for, if there is any: seals,
// freeing dead segments, moving what lives in nearly dead ones, spares. One
// goroutine at a time does it. It must not be called by the leader.
func (s *Store) maintain() {
	if !s.work.Load() || s.stopped.Err() != nil {
		return
	}
	s.mu.Lock()
	busy := s.busy
	s.busy = true
	s.mu.Unlock()
	if busy {
		return
	}
	run := s.o.Background
	if run == nil {
		run = func(work func()) { go work() }
	}
	s.background.Add(1)
	run(func() {
		defer s.background.Done()
		s.chores()
	})
}

// chores works until nothing is left to do, or something cannot be done now.
func (s *Store) chores() {
	for {
		s.work.Store(false)
		err := s.free() // first: a full disk puts the rest off
		if err == nil {
			err = s.sealAll()
		}
		if err == nil {
			err = s.compact()
		}
		if err == nil {
			err = s.prepare()
		}
		if err != nil {
			s.o.Logger.Warn("maintenance put off", "dir", s.dir, "error", err)
			if !harmless(err) {
				_ = s.explain(err) // the next write reports it
			}
		}
		s.mu.Lock()
		if !s.work.Load() || err != nil || s.stopped.Err() != nil {
			s.busy = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// sealAll writes the indexes that are missing.
func (s *Store) sealAll() error {
	for {
		s.mu.RLock()
		var open *segment
		for _, seg := range s.segs[:len(s.segs)-1] {
			if !seg.sealed && seg.live > 0 {
				open = seg
				break
			}
		}
		s.mu.RUnlock()
		if open == nil {
			return nil
		}
		if err := s.seal(open); err != nil {
			return err
		}
	}
}

// free takes dead segments out of the log: they become spares, or go. What made
// them dead is durable before that, so that the log never refers to them again.
func (s *Store) free() error {
	s.mu.Lock()
	var dead []*segment
	for _, seg := range s.segs[:len(s.segs)-1] {
		if seg.live == 0 {
			dead = append(dead, seg)
		}
	}
	s.mu.Unlock()
	if len(dead) == 0 {
		return s.sweep()
	}
	if s.lazy() {
		r := s.newRequest()
		r.sync = true
		if err := s.runInside(r); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.segs = slices.DeleteFunc(s.segs, func(seg *segment) bool { return slices.Contains(dead, seg) })
	s.mu.Unlock()
	for _, seg := range dead {
		seg.users.Wait()
		s.indexes.forget(seg)
		if err := s.retire(seg); err != nil {
			return err
		}
	}
	return s.sweep()
}

// retire makes a spare of a dead segment if there is need of one.
func (s *Store) retire(seg *segment) error {
	if s.keeps(seg.written) {
		return s.recycle(seg)
	}
	s.discard(seg)
	return nil
}

// discard has the file of a dead segment removed.
func (s *Store) discard(seg *segment) {
	s.trash = append(s.trash, removal{seg.name, seg.written})
	if err := seg.f.Close(); err != nil {
		s.o.Logger.Warn("close dead segment", "dir", s.dir, "segment", seg.name, "error", err)
	}
}

// large reports whether a file of that size is worth keeping as a spare.
func (s *Store) large(size int64) bool { return size >= s.o.SegmentSize-s.o.SegmentSize/8 }

// removal is a file that is to be removed, and its size.
type removal struct {
	name string
	size int64
}

// pause is how long the next removal waits: the disk takes its time to free
// blocks.
func (r removal) pause() time.Duration {
	const most, of = 100 * time.Millisecond, 64 << 20
	return time.Duration(min(r.size, of)) * most / of
}

// sweep removes files that are no longer used. A removal that a crash undoes
// does no harm: nothing refers to the file.
func (s *Store) sweep() error {
	for len(s.trash) > 0 {
		if err := vfs.RemoveAll(s.fs, s.trash[0].name); err != nil {
			return &unchangedError{fmt.Errorf("remove: %w", err)}
		}
		pause := s.trash[0].pause()
		if s.trash = s.trash[1:]; len(s.trash) > 0 {
			s.pause(pause)
		}
	}
	return nil
}

// prepare makes a spare when the active segment is half full and large enough
// to be worth it.
func (s *Store) prepare() error {
	s.mu.RLock()
	needed := s.halfway && len(s.spares) == 0 && s.o.SegmentSize >= 4*growMax
	s.mu.RUnlock()
	if !needed || s.stopped.Err() != nil {
		return nil
	}
	return s.makeSpare()
}

// runInside is run for work that the log does for itself.
func (s *Store) runInside(r *request) error {
	err := s.run(r)
	var early *unchangedError
	if err != nil && !errors.As(err, &early) {
		err = &unchangedError{err} // it is poisoned already if need be
	}
	return err
}
