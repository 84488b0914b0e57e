package seglog

import (
	"fmt"

	"github.com/trimarandb/trimaran/vfs"
)

// rotate makes the next segment the active one. The order is what recovery
// relies on: everything before is durable, then the successor with its
// checkpoint and its name, then, at leisure, the seal that says a successor
// exists.
func (s *Store) rotate() error {
	if err := s.syncTail(); err != nil {
		return err
	}
	old := s.tail
	ended := old.fileEnd()
	h := header{id: s.id, seq: old.seg.seq + 1, prevEnd: old.end, firstSeq: old.seq, prevSum: old.sum}
	next, err := s.newSegment(h, func(b []byte) []byte {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return appendCheckpoint(b, append(s.ends(), ended), s.groups)
	}, nil)
	if err != nil {
		return fmt.Errorf("begin segment %s: %w", segmentName(h.seq), err)
	}
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(old.seg, ended)
	s.segs = append(s.segs, next.seg)
	s.tail, s.head, s.halfway = next, next.head, false
	s.work.Store(true)
	return nil
}

// ends tells how the segments before the active one end, as far as anything in
// them lives. Store.mu is held.
func (s *Store) ends() []fileEnd {
	var ends []fileEnd
	for _, seg := range s.segs[:len(s.segs)-1] {
		if seg.live > 0 {
			ends = append(ends, seg.ended)
		}
	}
	return ends
}

// finish notes how a segment ends that is no longer the active one. Store.mu is
// held.
func (s *Store) finish(seg *segment, e fileEnd) {
	seg.ended, seg.end = e, e.end
	for name, g := range s.groups {
		for i := range g.extents {
			if x := &g.extents[i]; x.seg == seg && x.locs != nil {
				seg.toIndex = append(seg.toIndex, indexRun{name: name, first: x.first, locs: x.locs})
			}
		}
	}
}

// seal writes the index of a segment behind its frames, in a frame that also
// tells, should the successor be lost, that there was one. The log is whole
// without, so a full disk puts it off.
func (s *Store) seal(seg *segment) error {
	s.mu.RLock()
	x := seg.index
	runs := seg.toIndex
	s.mu.RUnlock()
	if x == nil {
		x = &index{buildIndex(runs)}
	}
	e := seg.ended
	b, _ := appendFrame(nil, frameHead{kind: kindSeal, seq: e.next, durableTo: e.end, prev: e.sum}, seg.seed, e.end, func(b []byte) []byte {
		return append(b, x.b...)
	})
	if _, err := seg.f.WriteAt(b, e.end); err != nil {
		if vfs.IsFull(err) {
			return &unchangedError{err}
		}
		return fmt.Errorf("seal %s: %w", seg.name, err)
	}
	if err := seg.f.Sync(); err != nil {
		return &syncError{fmt.Errorf("seal %s: %w", seg.name, err)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.sealed, seg.toIndex, seg.index = true, nil, nil
	seg.written = max(seg.written, e.end+int64(len(b)))
	s.indexes.put(seg, x)
	for _, g := range s.groups {
		for i := range g.extents {
			if g.extents[i].seg == seg {
				g.extents[i].locs = nil
			}
		}
	}
	return nil
}
