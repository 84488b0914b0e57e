package seglog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// commit writes the requests behind the tail, one frame each, with one write
// and, if any of them or the policy asks for it, one sync. Only the leader
// calls it. When it fails the log is as it was, or poisoned.
func (s *Store) commit(reqs []*request) error {
	s.mu.RLock()
	broken := s.broken
	s.mu.RUnlock()
	if broken != nil {
		return s.poisoned()
	}
	err := s.append(reqs)
	if err == nil && s.mustSync(reqs) {
		err = s.syncTail()
	}
	if err == nil {
		s.acknowledge()
		return nil
	}
	return s.explain(err)
}

// full reports that the next write belongs into the next segment: the frames
// since the checkpoint fill it, or weigh as much as the checkpoint, if that is
// more.
func (s *Store) full() bool {
	return s.tail.end-s.tail.head >= max(s.o.SegmentSize, s.tail.head)
}

func (s *Store) mustSync(reqs []*request) bool {
	if s.o.Sync == SyncBatch || s.o.Sync == SyncAlways {
		return true
	}
	s.mu.RLock()
	dead := len(s.segs) > 1 && s.segs[0].live == 0
	s.mu.RUnlock()
	if dead {
		return true // it may go once what made it dead is durable
	}
	for _, r := range reqs {
		if r.sync {
			return true
		}
	}
	return false
}

// append writes the frames and moves the tail behind them. A failed write
// leaves the tail where it was.
func (s *Store) append(reqs []*request) error {
	if s.full() && slices.ContainsFunc(reqs, func(r *request) bool { return len(r.ops) > 0 }) {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	enc := newEncoder(s.tail)
	enc.buf = s.buf[:0]
	entries := 0
	for _, r := range reqs {
		if len(r.ops) > 0 {
			enc.ops(r.ops)
			entries += r.entries()
		}
	}
	if cap(enc.buf) <= commitBytes {
		s.buf = enc.buf
	}
	if err := s.write(enc.buf); err != nil {
		return err
	}
	s.tail = enc.tail()
	s.mu.Lock()
	s.stats.unsynced += uint64(entries)
	s.mu.Unlock()
	return nil
}

// write puts b behind the tail. A full disk may have taken part of it: that
// part is cut off again, so that the file is as before.
func (s *Store) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := s.tail.seg.f.WriteAt(b, s.tail.end)
	if err == nil || !vfs.IsFull(err) {
		return err
	}
	cut := s.tail.seg.f.Truncate(s.tail.end)
	if cut == nil {
		cut = s.tail.seg.f.Sync() // else a power cut could bring the refused write back
	}
	if cut != nil {
		return &syncError{errors.Join(err, cut)}
	}
	s.tail.durable = s.tail.end
	return err
}

// syncTail makes the active segment durable up to the tail.
func (s *Store) syncTail() error {
	if s.tail.durable == s.tail.end {
		return nil
	}
	start := s.o.Now()
	if err := s.tail.seg.f.SyncData(); err != nil {
		return &syncError{fmt.Errorf("sync %s: %w", s.tail.seg.name, err)}
	}
	took := s.o.Now().Sub(start)
	s.tail.durable = s.tail.end
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.syncs++
	s.stats.syncTime += took
	s.stats.syncMx = max(s.stats.syncMx, took)
	s.stats.synced += s.stats.unsynced
	s.stats.unsynced = 0
	return nil
}

// acknowledge lets readers that walk files go as far as the tail.
func (s *Store) acknowledge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.seg.size = s.tail.end
}

// explain turns a failure into what the caller is told: a write that found the
// disk full, or no file to begin a segment in, changed nothing and may be tried
// again; anything else ends all writing, because nobody knows what the disk
// holds now.
func (s *Store) explain(err error) error {
	var failed *syncError
	var early *unchangedError
	switch {
	case errors.As(err, &failed):
	case vfs.IsFull(err):
		return fmt.Errorf("write: log %s: %w: %w", s.dir, fault.ErrFull, err)
	case errors.As(err, &early):
		return fmt.Errorf("write: log %s: %w", s.dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = err
		s.o.Logger.Error("log poisoned: writes fail until it is reopened", "dir", s.dir, "error", err)
	}
	return s.poisoned()
}
