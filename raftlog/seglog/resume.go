package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// ending is where and how the last segment ends.
type ending struct {
	tail    tail  // behind the last frame; durable is how much of it is known to be synced
	garbage int64 // bytes after it
}

// findEnd looks for the last frame of the last segment.
func (s *Store) findEnd(seg *segment, h header) (ending, error) {
	w := newWalker(seg, h, seg.size)
	e := ending{tail: tail{seg: seg, head: h.headEnd, durable: h.headEnd}}
	for {
		f, err := w.next()
		var none *bad
		switch {
		case err == nil && f.kind == kindSeal:
			return e, s.missing(segmentName(seg.seq+1), fmt.Sprintf("%s says that it was there", seg.name))
		case err == nil:
			e.tail.durable = max(e.tail.durable, f.durableTo)
			continue
		case errors.As(err, &none):
			if err := s.judge(w, seg, h, none); err != nil {
				return e, err
			}
		case !errors.Is(err, io.EOF):
			return e, err
		}
		e.tail.end, e.tail.seq, e.tail.sum = w.off, w.seq, w.sum
		e.garbage = seg.size - w.off
		if e.tail.end < e.tail.durable {
			return e, s.damage(seg, e.tail.end, fmt.Sprintf("frames end before %d, which was synced", e.tail.durable))
		}
		return e, nil
	}
}

// judge tells a torn tail from damage to what had been acknowledged.
func (s *Store) judge(w *walker, seg *segment, h header, none *bad) error {
	if none.off < h.headEnd {
		return s.damaged(seg.name, none.off, fault.Committed, none.err)
	}
	off, err := w.witness(none.off)
	if err != nil {
		return err
	}
	if off == 0 {
		return nil
	}
	return s.damaged(seg.name, none.off, fault.Committed, fmt.Errorf("%w, and the frame at %d was written after this place was synced", none.err, off))
}

// checkMark compares the end that was found with the one that was written down
// when the log was last closed.
func (s *Store) checkMark(e *ending) error {
	m, err := s.readMark()
	if err != nil || m == nil {
		return err
	}
	seg := e.tail.seg
	if m.seq > seg.seq {
		return s.missing(segmentName(m.seq), "the log was closed cleanly with this as its last segment")
	}
	if m.seq != seg.seq || m.end != e.tail.end || m.sum != e.tail.sum || e.garbage != 0 {
		return s.damage(seg, e.tail.end, fmt.Sprintf("frames end here with %d bytes after them; the log was closed cleanly at %d of %s", e.garbage, m.end, segmentName(m.seq)))
	}
	e.tail.durable = e.tail.end
	return nil
}

// resume replays the last segment and makes the log ready for writing.
func (s *Store) resume(e ending, h header) error {
	seg := e.tail.seg
	w := newWalker(seg, h, e.tail.durable)
	if err := s.replay(w, seg); err != nil {
		return err
	}
	if e.garbage > 0 {
		s.o.Logger.Warn("torn tail cut off", "dir", s.dir, "segment", seg.name, "offset", e.tail.end, "bytes", e.garbage)
	}
	if e.tail.durable < e.tail.end || e.garbage > 0 {
		var err error
		if h, err = s.rewrite(w, e.tail.end); err != nil {
			return err
		}
	} else {
		s.tail = e.tail
		seg.size = e.tail.end
	}
	for name, g := range s.groups {
		if bounds := g.shape.Bounds(); g.lost > bounds.Base.Index {
			return &fault.Corruption{Path: s.where(segmentName(s.segs[0].seq - 1)), Offset: -1, Index: bounds.First(), Class: fault.Missing,
				Reason: fmt.Sprintf("entries up to %d of group %v lay in segments that are not there", g.lost, name)}
		}
		g.next = g.shape.Clone()
	}
	return s.begin(h)
}

// rewrite moves the frames from w.off to end into a new segment, and leaves
// behind what a crash wrote after them. They were read
// from a file that was not closed in order: after a crash, or a failed sync,
// the kernel may show bytes that the disk does not have and take another sync
// for done. Only bytes that are written again are certain to be durable.
func (s *Store) rewrite(w *walker, end int64) (h header, err error) {
	seg := s.segs[len(s.segs)-1]
	old := tail{seg: seg, end: w.off, durable: w.off, seq: w.seq, sum: w.sum}
	w.limit = end
	batches, err := s.collect(w, seg)
	if err != nil {
		return h, err
	}
	s.o.Logger.Info("unsynced tail written again", "dir", s.dir, "segment", seg.name, "from", old.end, "to", end)
	h = s.headerAfter(old)
	s.tail, err = s.create(h, func(enc *encoder) {
		s.checkpoint(enc)
		for _, ops := range batches {
			enc.ops(ops)
		}
	})
	if err != nil {
		return h, fmt.Errorf("write the tail of %s again: %w", seg.name, err)
	}
	seg.size = old.end
	s.segs = append(s.segs, s.tail.seg)
	for _, ops := range batches {
		if err := s.applyOps(ops); err != nil {
			return h, s.damaged(seg.name, old.end, fault.Committed, err)
		}
	}
	return h, nil
}

// collect reads batches into memory of their own.
func (s *Store) collect(w *walker, seg *segment) ([][]op, error) {
	var batches [][]op
	for {
		f, err := w.next()
		if errors.Is(err, io.EOF) {
			return batches, nil
		}
		if err != nil {
			return nil, err
		}
		ops, err := parseOps(bytes.Clone(f.body), seg, f.bodyOff)
		if err == nil && f.kind != kindBatch {
			err = fmt.Errorf("frame of kind %d where none belongs", f.kind)
		}
		if err != nil {
			return nil, s.damaged(seg.name, f.off, fault.Committed, err)
		}
		batches = append(batches, ops)
	}
}

// begin does what must be durable before the first write: the segment before
// the active one, whose header is h, is sealed, and the mark of the last close
// is gone.
func (s *Store) begin(h header) error {
	if n := len(s.segs); n > 1 {
		before := s.segs[n-2]
		if err := s.ensureSeal(tail{seg: before, end: h.prevEnd, durable: h.prevEnd, seq: h.firstSeq, sum: h.prevSum}); err != nil {
			return err
		}
	}
	err := vfs.RemoveAll(s.fs, cleanName)
	if err == nil {
		err = s.fs.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("remove the mark of the last close: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire()
	return nil
}

// ensureSeal seals a segment that a crash or a full disk left without. What
// lies behind its frames was moved to the next segment.
func (s *Store) ensureSeal(t tail) error {
	size, err := t.seg.f.Size()
	if err != nil {
		return err
	}
	w := walker{f: t.seg.f, seed: t.seg.seed, off: t.end, limit: size, seq: t.seq, sum: t.sum}
	if f, err := w.next(); err == nil && f.kind == kindSeal && w.off == size {
		return nil
	}
	if err := t.seg.f.Truncate(t.end); err != nil {
		return fmt.Errorf("seal %s: %w", t.seg.name, err)
	}
	return s.seal(t)
}
