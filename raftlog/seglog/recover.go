package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// recover finds out what the log is. What it decides rests on evidence only:
//
//   - Every segment has an intact header of this log that bears its number, for
//     the header is durable before the name is.
//   - The last segment alone says what the log is: its checkpoint, and what its
//     frames did to it. A segment that this state refers to must be there, be
//     the same, and be long enough; one that it does not refer to is dead.
//   - The frames of the last segment end where the first one fails. A frame
//     behind that place that was written after the place had been synced
//     proves damage; otherwise the rest was never acknowledged and is cut off.
//   - A seal says that there is a further segment.
//   - After a clean close the mark says what the log is and where it ends; any
//     other end is damage.
//
// Opening twice decides the same as opening once.
func (s *Store) recover(n names) error {
	headers, err := s.openSegments(n.segs)
	if err != nil {
		return err
	}
	var m *cleanMark
	if n.mark {
		if m, err = s.readMark(); err != nil {
			return err
		}
		if m == nil { // it says nothing, and names may not be durable
			s.marked = true
			if err := s.removeMark(); err != nil {
				return err
			}
		}
	}
	// Before another segment is begun: where the disk is full, it is in one of them.
	if err := s.openSpares(n); err != nil {
		return err
	}
	if m != nil {
		if err = s.openClean(m, headers); err == nil {
			err = s.adopt(m.state)
		}
		s.recovery.Clean = true
	} else {
		err = s.openCrashed(n, headers[len(headers)-1])
	}
	if err == nil {
		err = s.checkSeals()
	}
	for _, g := range s.groups {
		g.next = g.shape.Clone()
		g.recovered = g.shape.Bounds().Last
	}
	return err
}

func (s *Store) openSegments(seqs []uint64) ([]header, error) {
	if len(seqs) == 0 {
		return nil, s.missing(segmentName(1), "the log has an identity and no segment")
	}
	headers := make([]header, len(seqs))
	for i, seq := range seqs {
		seg, h, err := s.openSegment(seq)
		if err != nil {
			return nil, err
		}
		s.segs = append(s.segs, seg)
		headers[i] = h
		if h.id != s.id {
			return nil, &fault.Corruption{Path: s.where(seg.name), Offset: 0, Class: fault.Foreign,
				Reason: fmt.Sprintf("it belongs to log %v, this is log %v", h.id, s.id)}
		}
	}
	return headers, nil
}

// adopt makes st what the log is. The segments that it refers to must be there.
func (s *Store) adopt(st state) error {
	files := make(map[uint64]*segment, len(s.segs))
	for _, seg := range s.segs {
		files[seg.seq] = seg
	}
	for name, g := range st.groups {
		if g.empty() {
			delete(st.groups, name)
			continue
		}
		for i := range g.extents {
			e := &g.extents[i]
			seg := files[e.seg.seq]
			if err := s.checkFile(seg, e); err != nil {
				return err
			}
			if seg != e.seg {
				seg.hold(int64(e.n), e.bytes)
				seg.ended, seg.end = e.seg.ended, e.seg.ended.end
				seg.durable.Store(seg.end)
				e.seg = seg
			}
		}
	}
	active := s.tail.seg
	active.end = s.tail.end
	s.groups = st.groups
	return nil
}

// checkFile fails unless seg is the segment that e lies in. nil is none.
func (s *Store) checkFile(seg *segment, e *extent) error {
	c := &fault.Corruption{Path: s.where(e.seg.name), Offset: -1, Index: e.first, Class: fault.Missing}
	switch {
	case seg == nil:
		c.Reason = "the log has entries there, and the segment is not there"
		return c
	case seg == e.seg:
		return nil
	case seg.salt != e.seg.ended.salt:
		c.Class, c.Offset, c.Reason = fault.Foreign, 0, "it is not the segment of that number that the log refers to"
		return c
	case seg.written < e.seg.ended.end:
		c.Offset, c.Reason = seg.written, fmt.Sprintf("file ends before %d, where its frames end", e.seg.ended.end)
		return c
	}
	return nil
}

// openCrashed reads the last segment as after a crash, and begins another one,
// whether or not anything was cut off: nothing is ever appended behind bytes
// that a crash may have left.
func (s *Store) openCrashed(n names, h header) error {
	r, from, err := s.readLast(h)
	if err != nil {
		return err
	}
	if err := s.setAside(n, r); err != nil {
		return err
	}
	return s.resume(r, from)
}

// readLast finds out what the last segment says, and from which place on that
// is not known to be durable. Nothing is changed.
func (s *Store) readLast(h header) (r *replay, from place, err error) {
	seg := s.segs[len(s.segs)-1]
	if r, err = s.newReplay(seg, h, seg.written); err != nil {
		return nil, from, err
	}
	err = r.run()
	r.reached(0)
	var none *bad
	switch {
	case errors.Is(err, errSealed):
		return nil, from, s.missing(segmentName(seg.seq+1), fmt.Sprintf("%s says that it was there", seg.name))
	case errors.As(err, &none):
		if err := s.judge(r, none); err != nil {
			return nil, from, err
		}
	case !errors.Is(err, io.EOF):
		return nil, from, err
	}
	if from = r.marks[0]; from.off < r.durable {
		return nil, from, s.damage(seg, r.w.off, fmt.Sprintf("frames end before %d, which was synced", r.durable))
	}
	s.recovery.Rewritten = r.w.off - from.off
	if s.recovery.Torn {
		s.recovery.Path, s.recovery.Offset = s.where(seg.name), r.w.off
	}
	return r, from, nil
}

// judge tells a torn tail from damage to what had been acknowledged.
func (s *Store) judge(r *replay, none *bad) error {
	if none.off < r.durable {
		return s.damaged(r.seg.name, none.off, fault.Committed, none.err)
	}
	witness, later, err := r.w.scan(none.off)
	if err != nil {
		return err
	}
	if witness != 0 {
		return s.damaged(r.seg.name, none.off, fault.Committed, fmt.Errorf("%w, and the frame at %d was written after this place was synced", none.err, witness))
	}
	_, err = r.w.headAt(none.off)
	s.recovery.Torn = later || err == nil || !s.blank(r.w, none.off)
	return nil
}

// blank reports whether zeros follow up to the end of the block, as they do
// behind a frame that arrived as a whole.
func (s *Store) blank(w *walker, off int64) bool {
	b, err := w.bytes(off, min(blocks(off), w.limit)-off)
	return err == nil && zero(b)
}

// resume begins the segment after the last one, with a checkpoint of what was
// read. It comes from a file that was not closed in order: after a crash, or a
// failed sync, the kernel may show bytes that the disk does not have and take
// another sync for done. Only bytes that are written again are certain to be
// durable, so entries behind the place that was known to be synced are moved.
// The last segment ends at that place.
func (s *Store) resume(r *replay, from place) error {
	seg := r.seg
	old := &tail{seg: seg, end: from.off, seq: from.seq, sum: from.sum}
	ended := old.fileEnd()
	s.tail = old
	seg.ended = ended
	if err := s.adopt(r.state); err != nil {
		return err
	}
	seg.end = r.w.off // for the entries that are to be moved
	moves, err := s.unsynced(seg, from.off)
	if err != nil {
		return err
	}
	if r.w.off > from.off {
		s.o.Logger.Info("unsynced tail written again", "dir", s.dir, "segment", seg.name, "from", from.off, "to", r.w.off)
	}
	var moved []*batch
	h := header{id: s.id, seq: seg.seq + 1, prevEnd: ended.end, firstSeq: ended.next, prevSum: ended.sum}
	t, err := s.newSegment(h, func(b []byte) []byte {
		return appendCheckpoint(b, append(s.ends(), ended), s.groups)
	}, func(b []byte, t *tail) []byte {
		for i := range moves {
			x := s.newBatch()
			x.records.add(&moves[i])
			b = s.appendBatch(b, t, x)
			moved = append(moved, x)
		}
		return b
	})
	if err != nil {
		return fmt.Errorf("begin segment %s after %s: %w", segmentName(h.seq), seg.name, err)
	}
	for i, x := range moved {
		o := &moves[i]
		if err := o.g.apply(o, t.seg, x.base, x.locs); err != nil {
			return err
		}
	}
	s.finish(seg, ended)
	s.segs = append(s.segs, t.seg)
	s.tail = t
	return nil
}

// appendBatch encodes the frame of x behind t, in the bytes b of a segment that
// is made.
func (s *Store) appendBatch(b []byte, t *tail, x *batch) []byte {
	x.base = t.end + frameSize
	x.place(t.seg.seed, x.base)
	h := frameHead{len: uint32(x.size()), kind: kindBatch, seq: t.seq, durableTo: t.head, prev: t.sum, sum: x.sum(t.seg.seed, x.base)}
	h.put(x.b[block:], t.seg.seed, t.end)
	b = append(b, x.b[block:]...)
	t.last, t.end, t.seq, t.sum = t.end, int64(len(b)), t.seq+1, h.head
	return b
}

// unsynced reads the live entries of a segment that lie behind off, and some
// before it, as ops that move them.
func (s *Store) unsynced(seg *segment, off int64) (ops []op, err error) {
	for _, name := range sortedGroups(s.groups) {
		g := s.groups[name]
		for i := range g.extents {
			e := &g.extents[i]
			n := slices.IndexFunc(e.locs, func(l loc) bool { return l.start() >= off })
			if e.seg != seg || n < 0 {
				continue
			}
			p := s.newPlan(name, e.first+uint64(n), e.end())
			var es []raftlog.Entry
			if err = p.locate(g); err == nil {
				es, err = p.read(nil, math.MaxUint64)
			}
			p.release()
			if err != nil {
				return nil, err
			}
			ops = append(ops, op{name: name, g: g, from: seg.seq, batch: raftlog.Batch{Entries: es}})
		}
	}
	return ops, nil
}

// keepTorn bounds what is kept of a torn tail.
const keepTorn = 1 << 20

// setAside keeps what is cut off, and of earlier times nothing, for people to
// look at.
func (s *Store) setAside(n names, r *replay) error {
	if !s.recovery.Torn {
		return nil
	}
	from := s.recovery.Offset
	b := make([]byte, min(keepTorn, r.seg.written-from))
	got, err := r.seg.f.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	b = bytes.TrimRight(b[:got], "\x00")
	for _, old := range n.torn {
		if err := s.fs.Remove(old); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%020d-%d%s", r.seg.seq, from, tornExt)
	s.o.Logger.Warn("torn tail cut off", "dir", s.dir, "segment", r.seg.name, "offset", from, "kept", name)
	if err := vfs.WriteFile(s.fs, name, b); err != nil && !vfs.IsFull(err) {
		return fmt.Errorf("set the torn tail aside: %w", err)
	}
	return nil
}
