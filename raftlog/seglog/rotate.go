package seglog

import (
	"fmt"

	"github.com/trimarandb/trimaran/vfs"
)

// rotate makes the next segment the active one. The order is what recovery
// relies on: everything before is durable, then the successor with its name,
// then the seal that says a successor exists.
func (s *Store) rotate() error {
	if err := s.syncTail(); err != nil {
		return err
	}
	old := s.tail
	next, err := s.create(s.headerAfter(old), func(enc *encoder) { s.checkpoint(enc) })
	if err != nil {
		return fmt.Errorf("begin segment %s: %w", segmentName(old.seg.seq+1), err)
	}
	s.mu.Lock()
	s.segs = append(s.segs, next.seg)
	s.mu.Unlock()
	s.tail = next
	return s.seal(old)
}

// headerAfter is the header of the segment that follows t.
func (s *Store) headerAfter(t tail) header {
	return header{id: s.id, seq: t.seg.seq + 1, prevEnd: t.end, firstSeq: t.seq, prevSum: t.sum}
}

// checkpoint encodes the acknowledged state, which for the leader is all that
// was committed.
func (s *Store) checkpoint(enc *encoder) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	enc.frame(kindCheckpoint, func(b []byte, _ int64) []byte { return appendCheckpoint(b, s.groups) })
}

// seal ends the segment before the active one with a frame that tells, should
// the successor be lost, that there was one. The log is whole without the
// seal, so a full disk puts it off until the next Open.
func (s *Store) seal(old tail) error {
	enc := newEncoder(old)
	enc.frame(kindSeal, func(b []byte, _ int64) []byte { return b })
	if _, err := old.seg.f.WriteAt(enc.buf, old.end); err != nil {
		if vfs.IsFull(err) {
			s.o.Logger.Warn("segment not sealed: the disk is full", "dir", s.dir, "segment", old.seg.name)
			return nil
		}
		return fmt.Errorf("seal %s: %w", old.seg.name, err)
	}
	if err := old.seg.f.SyncData(); err != nil {
		return &syncError{fmt.Errorf("seal %s: %w", old.seg.name, err)}
	}
	return nil
}

// retire takes the oldest segments that hold nothing live out of the log and
// has them removed. The checkpoint of the segment after them says all they
// said. Segments go oldest first, each durably before the next, so that those
// left always follow one another. Store.mu is held.
func (s *Store) retire() {
	if s.tail.durable != s.tail.end {
		return // what made them dead is not durable yet
	}
	for len(s.segs) > 1 && s.segs[0].live == 0 {
		s.dead = append(s.dead, s.segs[0])
		s.segs = s.segs[1:]
	}
	if len(s.dead) > 0 && !s.sweep {
		s.sweep = true
		s.background.Go(s.removeDead)
	}
}

// removeDead runs until no dead segment is left. A file that cannot be removed
// stays for the next time; a directory that cannot be synced poisons the log,
// for the next removal could then be durable without this one.
func (s *Store) removeDead() {
	for {
		s.mu.Lock()
		if len(s.dead) == 0 {
			s.sweep = false
			s.mu.Unlock()
			return
		}
		seg := s.dead[0]
		s.mu.Unlock()
		seg.users.Wait()
		err := s.fs.Remove(seg.name)
		if err == nil {
			if err = s.fs.SyncDir("."); err != nil {
				_ = s.explain(&syncError{fmt.Errorf("remove %s: %w", seg.name, err)}) // the next write reports it
			}
		}
		s.mu.Lock()
		if err != nil {
			s.o.Logger.Warn("dead segment not removed", "dir", s.dir, "segment", seg.name, "error", err)
			s.sweep = false
			s.mu.Unlock()
			return
		}
		s.dead = s.dead[1:]
		s.mu.Unlock()
		if err := seg.f.Close(); err != nil {
			s.o.Logger.Warn("close removed segment", "dir", s.dir, "segment", seg.name, "error", err)
		}
	}
}
