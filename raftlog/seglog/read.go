package seglog

import (
	"errors"
	"fmt"
	"io"
	"path"
	"sort"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Read implements raftlog.Driver. Every entry is verified: its checksum covers
// its place, and which index and term it must be.
func (s *Store) Read(dst []raftlog.Entry, name raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	if err := s.enter("read"); err != nil { // until the files are read, not only until they are found
		return nil, err
	}
	defer s.gate.Leave()
	p := s.newPlan(name, lo, hi)
	defer p.release()
	s.mu.RLock()
	g := s.groups[name]
	if g == nil {
		g = &s.nobody
	}
	err := p.locate(g)
	s.mu.RUnlock()
	if err != nil || lo == hi {
		return dst[:0], err
	}
	if dst, err = p.read(dst, maxBytes); err != nil {
		return dst, fmt.Errorf("read entry %d of group %v: log %s: %w", p.next, name, s.dir, err)
	}
	return dst, nil
}

// plan is a read that has let go of the lock: in which segments the entries
// lie, which terms they have, and how far it is.
type plan struct {
	s      *Store
	name   raftlog.Group
	next   uint64 // index to be read next
	hi     uint64
	pieces []piece
	runs   []raftlog.Run
	run    int // which of them is looked at
}

// newPlan returns a plan in memory that was used before. Its owner owes a
// release.
func (s *Store) newPlan(name raftlog.Group, lo, hi uint64) *plan {
	p, ok := s.plans.Get().(*plan)
	if !ok {
		p = &plan{}
	}
	*p = plan{s: s, name: name, next: lo, hi: hi, pieces: p.pieces[:0], runs: p.runs[:0]}
	return p
}

// piece is an extent that is read. Its segment stays until release.
type piece struct {
	extent
	places places // where the entries lie, if locs does not say it
	known  bool
}

func (p *plan) locate(g *group) error {
	if err := g.shape.CheckRange(p.next, p.hi); err != nil || p.next == p.hi {
		return err
	}
	for i := g.extent(p.next); i < len(g.extents) && g.extents[i].first < p.hi; i++ {
		p.pieces = append(p.pieces, piece{extent: g.extents[i]})
		g.extents[i].seg.users.Add(1)
	}
	runs := g.shape.Runs()
	from := sort.Search(len(runs), func(i int) bool { return runs[i].First > p.next }) - 1
	for _, r := range runs[from:] {
		if r.First >= p.hi {
			break
		}
		p.runs = append(p.runs, r)
	}
	return nil
}

// release lets go of the segments and of the plan.
func (p *plan) release() {
	for i := range p.pieces {
		p.pieces[i].seg.users.Done()
	}
	clear(p.pieces)
	pool := p.s.plans
	p.s = nil // what lies in a pool outlives the store
	pool.Put(p)
}

// term is that of an index that is not below those asked for before.
func (p *plan) term(index uint64) uint64 {
	for p.run+1 < len(p.runs) && p.runs[p.run+1].First <= index {
		p.run++
	}
	return p.runs[p.run].Term
}

// piece returns the one that holds index, which is not below those asked for
// before, with its places known.
func (p *plan) piece(i *int, index uint64) (*piece, error) {
	for p.pieces[*i].end() <= index {
		*i++
	}
	x := &p.pieces[*i]
	if x.locs != nil || x.known {
		return x, nil
	}
	idx, err := p.s.indexOf(x.seg)
	if err != nil {
		return nil, err
	}
	if x.places, x.known = idx.find(p.name, x.first, x.n); !x.known {
		return nil, p.s.damage(x.seg, x.seg.ended.end, "the index lacks entries that the log has there")
	}
	return x, nil
}

// loc is the place of an entry of x.
func (x *piece) loc(index uint64) loc {
	if x.locs != nil {
		return x.locs[index-x.first]
	}
	return x.places.loc(index - x.places.first)
}

// read fills dst with as many entries as have limit bytes of payload together.
// Their places tell only how long they are at most, so what is left of the
// limit after one round is tried again.
func (p *plan) read(dst []raftlog.Entry, limit uint64) ([]raftlog.Entry, error) {
	enough := limit + limit/4 + block
	n, size, err := p.measure(max(limit, enough)) // enough may have overflown
	dst, arena := raftlog.Arena(dst, int(n), int(size))
	for first := true; p.next < p.hi; first = false {
		if !first || size > limit {
			n, size, err = p.measure(limit)
		}
		if n == 0 {
			return dst, err
		}
		if uint64(len(arena)) < size {
			arena = make([]byte, size)
		}
		var fits bool
		var failed error
		if dst, fits, failed = p.fetch(dst, arena[:size:size], n, &limit); failed != nil || !fits {
			return dst, failed
		}
		arena = arena[size:]
	}
	return dst, nil
}

// measure says how many entries occupy no more than limit bytes, at least one
// unless it cannot be found, and how many bytes fetch needs for them.
func (p *plan) measure(limit uint64) (n, size uint64, err error) {
	var at int
	var last *piece
	var end int64
	for i := p.next; i < p.hi; i++ {
		x, err := p.piece(&at, i)
		if err != nil {
			return n, size, err // once what comes before it is read
		}
		l := x.loc(i)
		more := uint64(l.size())
		if x == last && together(end, l) {
			more = uint64(l.end() - end)
		}
		if n > 0 && size+more > limit {
			break
		}
		size += more
		n++
		last, end = x, l.end()
	}
	return n, size, nil
}

// together reports whether l begins so close behind end that it is cheaper to
// read what is between than to make another call.
func together(end int64, l loc) bool { return l.start() >= end && l.start() <= end+narrowGap*alignment }

// fetch reads the next count entries into arena, those that lie together with
// one call, and appends them to dst as long as limit lasts.
func (p *plan) fetch(dst []raftlog.Entry, arena []byte, count uint64, limit *uint64) (_ []raftlog.Entry, fits bool, err error) {
	at := 0
	for end := p.next + count; p.next < end; {
		x, err := p.piece(&at, p.next)
		if err != nil {
			return dst, false, err
		}
		first := x.loc(p.next)
		n, stop := uint64(1), first.end()
		for p.next+n < min(end, x.end()) {
			l := x.loc(p.next + n)
			if !together(stop, l) {
				break
			}
			stop = l.end()
			n++
		}
		b := arena[:stop-first.start()]
		arena = arena[len(b):]
		cached, failed := p.s.readAt(x.seg, b, first.start())
		for range n {
			l := x.loc(p.next)
			e, err := p.entry(x, l, b[l.start()-first.start():][:l.size()], cached, failed)
			if err != nil {
				return dst, false, err
			}
			size := uint64(e.PayloadSize())
			if size > *limit && len(dst) > 0 {
				return dst, false, nil
			}
			dst = append(dst, e)
			p.next++
			if size > *limit {
				return dst, false, nil
			}
			*limit -= size
		}
	}
	return dst, true, nil
}

// entry verifies and decodes one entry. Where the read of all of them failed
// it is read alone: the failure may be that of another.
func (p *plan) entry(x *piece, l loc, b []byte, cached bool, failed error) (raftlog.Entry, error) {
	if failed != nil {
		n, err := x.seg.f.ReadAt(b, l.start())
		if err != nil && !errors.Is(err, io.EOF) {
			return raftlog.Entry{}, err
		}
		clear(b[n:]) // which does not verify
	}
	e, err := parseEntry(b, x.seg.seed, l.start(), p.next, p.term(p.next), cached && p.s.o.TrustMemory)
	if err != nil {
		err = &fault.Corruption{Path: p.s.where(x.seg.name), Offset: l.start(), Index: p.next, Class: fault.Committed, Err: err}
	}
	return e, err
}

// readAt fills b from a segment, or from memory that has just been written.
func (s *Store) readAt(seg *segment, b []byte, off int64) (cached bool, err error) {
	if s.recent.read(seg, b, off) {
		return true, nil
	}
	if s.lazy() {
		if b = s.readUnwritten(b, seg, off); len(b) == 0 {
			return true, nil
		}
	}
	_, err = seg.f.ReadAt(b, off)
	return false, err
}

// where is the path of one of the log's files, for people.
func (s *Store) where(name string) string { return path.Join(s.dir, name) }
