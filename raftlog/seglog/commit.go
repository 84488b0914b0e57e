package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// commit writes what b carries behind the tail, as one frame with one write
// and, if any request or the policy asks for it, one sync. Only the leader
// calls it. err is what the writes in b are told, syncErr what those are that
// only wanted a sync. When it fails the log is as it was, or poisoned.
func (s *Store) commit(b *batch) (err, syncErr error) {
	s.order.Lock()
	broken := s.broken
	s.order.Unlock()
	if broken != nil {
		return s.poisoned(), s.poisoned()
	}
	err = s.removeMark()
	if err == nil && s.partial {
		if err = s.undo(syscall.ENOSPC); !s.partial {
			err = nil
		}
	}
	if err == nil {
		err = s.flush()
		syncErr = err // what could not be written cannot be synced
	}
	if err == nil && b.size() > 0 {
		err = s.write(b)
	}
	if err != nil {
		err = s.explain(err)
		if errors.Is(err, fault.ErrPoisoned) || syncErr != nil {
			return err, err
		}
	}
	if b.sync || !s.lazy() && err == nil {
		if failed := s.syncTail(); failed != nil {
			failed = s.explain(failed)
			return failed, failed
		}
	}
	return err, nil
}

// write puts b's frame behind the tail, in the next segment if this one is
// full.
func (s *Store) write(b *batch) error {
	n := frameSize + b.size()
	if t := s.tail; t.end > t.head && t.end+n > t.limit-s.leave(b.class) {
		if err := s.rotate(); err != nil {
			// The reserve is there for votes; t is the active segment still.
			room := b.class != classEntries && t.end+n <= t.seg.written-s.leave(b.class)
			if !room || !harmless(err) {
				return err
			}
		}
	}
	err := s.ensure(s.tail, s.tail.end+n, b.class)
	if vfs.IsFull(err) && s.tail.end > s.tail.head && s.roomInSpare(n) {
		// No file can grow, but one is there that is long enough.
		if err = s.rotate(); err == nil {
			err = s.ensure(s.tail, s.tail.end+n, b.class)
		}
	}
	if err != nil {
		return err
	}
	b.seg, b.base = s.tail.seg, s.tail.end+frameSize
	b.place(b.seg.seed, b.base)
	if err := s.writeFrame(&b.records); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.unsynced += uint64(len(b.locs))
	return nil
}

// harmless reports whether a failure left the log as it was.
func harmless(err error) bool {
	var early *unchangedError
	var failed *syncError
	return !errors.As(err, &failed) && (errors.As(err, &early) || vfs.IsFull(err))
}

// writeFrame writes the frame of r, whose entries know their place, and moves
// the tail behind it. It writes whole blocks: the first begins with what is
// there already, the last one ends in zeros. A failed write leaves the tail
// where it was.
func (s *Store) writeFrame(r *records) error {
	t := s.tail
	h := frameHead{len: uint32(r.size()), kind: kindBatch, seq: t.seq, durableTo: t.seg.durable.Load(), prev: t.sum}
	if s.o.AlignCommits {
		h.flags = flagBlock
	}
	h.sum = r.sum(t.seg.seed, t.end+frameSize)
	h.put(r.b[block:], t.seg.seed, t.end)
	rest := int(t.end % block)
	copy(r.b[block-rest:], t.rest())
	r.grow(0)
	n := len(r.b)
	whole := r.b[block-rest : block-rest+int(blocks(int64(rest+n-block)))]
	clear(whole[n-(block-rest):])
	if n, err := writeOut(t.seg.f, whole, t.end-int64(rest)); err != nil {
		s.partial = n > 0
		return s.undo(err)
	}
	s.recent.add(t.seg, t.end, r.b[block:n])
	end := h.end(t.end)
	if left := int(end % block); left > 0 {
		copy(t.block[:], whole[len(whole)-block:][:left])
	}
	t.last, t.end, t.seq, t.sum = t.end, end, t.seq+1, h.head
	return nil
}

// outPiece is how much of a large frame is handed to the device while the rest
// is still being copied to the kernel. Measured: a tenth of the time of 1 MiB;
// smaller frames gain nothing.
const outPiece = 256 << 10

// writeOut writes b at off, so that the device begins early with much of it.
func writeOut(f vfs.File, b []byte, off int64) (n int, err error) {
	hints, ok := f.(vfs.Hinter)
	for ok && len(b) >= 2*outPiece {
		m, err := f.WriteAt(b[:outPiece], off)
		if n += m; err != nil {
			return n, err
		}
		switch err := hints.Hint(vfs.HintWriteOut, off, outPiece); {
		case errors.Is(err, errors.ErrUnsupported), errors.Is(err, fs.ErrPermission):
			ok = false
		case err != nil:
			return n, &syncError{fmt.Errorf("write out: %w", err)}
		}
		b, off = b[outPiece:], off+outPiece
	}
	m, err := f.WriteAt(b, off)
	return n + m, err
}

// undo takes back a write that found the disk full: part of the frame may be
// in the file. Without its header, durably, none of it is a frame. On a file
// system that copies on write there may be no room for that either; then it is
// done before the next write.
func (s *Store) undo(err error) error {
	if !vfs.IsFull(err) || !s.partial {
		return err
	}
	t := s.tail
	const enough = 5 // up to the kind, which is never zero
	n, failed := t.seg.f.WriteAt(zeros[:frameSize], t.end)
	if vfs.IsFull(failed) {
		if n < enough {
			return errors.Join(err, failed)
		}
		failed = nil
	}
	if failed == nil {
		failed = t.seg.f.Sync() // else a power cut could bring the refused write back
	}
	if failed != nil {
		return &syncError{errors.Join(err, failed)}
	}
	s.partial = false
	t.seg.reached(t.end)
	return err
}

// syncTail makes the active segment durable up to the tail.
func (s *Store) syncTail() error {
	end := s.tail.end
	if s.tail.seg.durable.Load() >= end {
		return nil
	}
	if err := s.sync(s.tail.seg, end); err != nil {
		return &syncError{fmt.Errorf("sync %s: %w", s.tail.seg.name, err)}
	}
	return nil
}

// sync makes a segment durable up to end, which was written before.
func (s *Store) sync(seg *segment, end int64) error {
	s.mu.RLock()
	unsynced := s.stats.unsynced
	s.mu.RUnlock()
	start := s.o.Now()
	if err := seg.f.SyncData(); err != nil {
		return err
	}
	took := s.o.Now().Sub(start)
	seg.reached(end)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.syncs++
	s.stats.syncTime += took
	s.stats.syncMx = max(s.stats.syncMx, took)
	s.stats.times.Add(uint64((took + time.Microsecond - 1) / time.Microsecond))
	n := min(unsynced, s.stats.unsynced)
	s.stats.sizes.Add(n)
	s.stats.synced += n
	s.stats.unsynced -= n
	return nil
}

// reached notes that the segment is durable up to end.
func (g *segment) reached(end int64) {
	for {
		was := g.durable.Load()
		if was >= end || g.durable.CompareAndSwap(was, end) {
			return
		}
	}
}

// acknowledge makes a committed batch visible.
func (s *Store) acknowledge(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.seg.end = s.tail.end
	for _, r := range b.reqs {
		for i := range r.ops {
			s.apply(&r.ops[i], b.seg, b.base, &b.records)
		}
	}
	if s.tail.end > s.tail.limit/2 && !s.halfway {
		s.halfway = true
		s.work.Store(true)
	}
}

// apply makes an op visible whose entries lie in seg. Store.mu is held.
func (s *Store) apply(o *op, seg *segment, base int64, r *records) {
	before := len(o.g.extents)
	if err := o.g.apply(o, seg, base, r.locs[o.at:o.at+o.n]); err != nil {
		panic(err) // entries are moved out of sealed segments only
	}
	if o.remove || o.from != 0 || len(o.g.extents) < before || o.batch.CompactTo != 0 {
		s.work.Store(true) // a segment may have died
	}
}

// explain turns a failure into what the caller is told: a write that found the
// disk full, or no file to begin a segment in, changed nothing and may be tried
// again; anything else ends all writing, because nobody knows what the disk
// holds now.
func (s *Store) explain(err error) error {
	var failed *syncError
	var early *unchangedError
	switch {
	case errors.Is(err, fault.ErrPoisoned):
		return err
	case errors.As(err, &failed):
	case vfs.IsFull(err):
		return fmt.Errorf("write: log %s: %w: %w", s.dir, fault.ErrFull, err)
	case errors.As(err, &early):
		return fmt.Errorf("write: log %s: %w", s.dir, err)
	}
	s.order.Lock()
	defer s.order.Unlock()
	if s.broken == nil {
		s.broken = err
		s.o.Logger.Error("log poisoned: writes fail until it is reopened", "dir", s.dir, "error", err)
	}
	return s.poisoned()
}

// counters are what Size tells of syncs.
type counters struct {
	syncs, synced    uint64
	syncTime, syncMx time.Duration
	times, sizes     raftlog.Histogram
	unsynced         uint64 // entries acknowledged since the last sync
}
