package seglog

import (
	"errors"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// moveBytes is how much one write moves.
const moveBytes = 1 << 20

// compact keeps the space of segments that have ended below twice what lives
// in them, and one segment more: it moves the live remains of the segment that
// has the least for its size, so that a group that lags cannot pin the disk,
// and that segment dies.
func (s *Store) compact() error {
	for s.stopped.Err() == nil {
		seg := s.sparsest()
		if seg == nil {
			return nil
		}
		err := s.moveOut(seg)
		if err == nil {
			err = s.free()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sparsest returns the segment to be moved out of, nil if space is within
// bounds. What lives is counted with what it would take elsewhere, so that
// moving always makes room.
func (s *Store) sparsest() *segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	size, live := int64(0), int64(0)
	ended := s.segs[:len(s.segs)-1]
	for _, seg := range ended {
		size += s.occupied(seg)
		live += seg.liveBytes
	}
	if size <= 2*live+s.o.SegmentSize {
		return nil
	}
	need := s.moved()
	live = 0
	var worst *segment
	for _, seg := range ended {
		live += need[seg]
		if !seg.sealed || seg.keep {
			continue
		}
		if worst == nil || float64(need[seg])*float64(s.occupied(worst)) < float64(need[worst])*float64(s.occupied(seg)) {
			worst = seg
		}
	}
	if worst == nil || size <= 2*live+s.o.SegmentSize || 2*need[worst] > s.occupied(worst) {
		return nil
	}
	return worst
}

// occupied is what a segment takes on disk, not counting that files consist of
// whole blocks.
func (s *Store) occupied(seg *segment) int64 {
	return max(seg.ended.end, min(seg.written, s.o.SegmentSize))
}

// moved says what the live remains of each segment would take in another one,
// with their share of its head. Store.mu is held.
func (s *Store) moved() map[*segment]int64 {
	perExtent := int64(frameSize + 24 + 32)
	if s.o.AlignCommits {
		perExtent += block
	}
	need := make(map[*segment]int64, len(s.segs))
	for _, seg := range s.segs {
		need[seg] = seg.liveBytes + s.head*min(seg.liveBytes, s.o.SegmentSize)/s.o.SegmentSize
	}
	for _, g := range s.groups {
		for i := range g.extents {
			need[g.extents[i].seg] += perExtent
		}
	}
	return need
}

// moveOut copies what lives in seg behind the tail and lets it live there.
// Damage stays where it is, to be told by the read of that entry.
func (s *Store) moveOut(seg *segment) error {
	for _, name := range s.livingIn(seg) {
		for {
			moved, err := s.moveSome(seg, name)
			if errors.Is(err, fault.ErrCorrupt) {
				s.o.Logger.Error("live entries of a segment cannot be moved", "dir", s.dir, "segment", seg.name, "error", err)
				s.mu.Lock()
				seg.keep = true
				s.mu.Unlock()
				return nil
			}
			if err != nil {
				return err
			}
			if !moved {
				break
			}
		}
	}
	return nil
}

func (s *Store) livingIn(seg *segment) (names []raftlog.Group) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, g := range s.groups {
		if slices.ContainsFunc(g.extents, func(e extent) bool { return e.seg == seg }) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, raftlog.Group.Compare)
	return names
}

// moveSome moves the first entries of a group that live in seg, and reports
// whether there were any.
func (s *Store) moveSome(seg *segment, name raftlog.Group) (bool, error) {
	p := s.newPlan(name, 0, 0)
	defer p.release()
	s.mu.RLock()
	g := s.groups[name]
	if g != nil {
		if i := slices.IndexFunc(g.extents, func(e extent) bool { return e.seg == seg }); i >= 0 {
			p.next, p.hi = g.extents[i].first, g.extents[i].end()
		}
	}
	var err error
	if p.hi > 0 {
		err = p.locate(g)
	}
	s.mu.RUnlock()
	if p.hi == 0 || err != nil {
		return false, err
	}
	es, err := p.read(nil, moveBytes)
	if err != nil {
		return false, err
	}
	r := s.newRequest()
	r.sync = true
	r.ops = append(r.ops, op{name: name, from: seg.seq, batch: raftlog.Batch{Entries: es}})
	return true, s.runInside(r)
}
