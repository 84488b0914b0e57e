package seglog

import (
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Read implements raftlog.Driver. Every entry is verified: its own checksum,
// which covers its place, and that it is the index and term the log has there.
func (s *Store) Read(dst []raftlog.Entry, name raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	if err := s.enter("read"); err != nil { // for longer than view does: files must stay open
		return nil, err
	}
	defer s.gate.Leave()
	var p plan
	err := s.view("read", name, func(g *group) error { return p.locate(g, lo, hi, maxBytes) })
	if err != nil || len(p.locs) == 0 {
		return dst[:0], err
	}
	defer p.release()
	dst, err = p.read(dst)
	if err != nil {
		return dst, fmt.Errorf("read entry %d of group %v: log %s: %w", lo+uint64(len(dst)), name, s.dir, err)
	}
	return dst, nil
}

// plan is a read that has let go of the lock: where the entries lie, what they
// must be, and the files that have to stay until it is done.
type plan struct {
	lo    uint64
	locs  []loc
	terms raftlog.Shape
	held  []*segment
}

func (p *plan) locate(g *group, lo, hi, maxBytes uint64) error {
	if err := g.shape.CheckRange(lo, hi); err != nil || lo == hi {
		return err
	}
	first := g.shape.Bounds().First()
	locs := g.locs[lo-first : hi-first]
	n, size := 0, uint64(0)
	for n < len(locs) && (n == 0 || size+uint64(locs[n].payload) <= maxBytes) {
		size += uint64(locs[n].payload)
		n++
	}
	p.lo, p.locs, p.terms = lo, append(p.locs, locs[:n]...), g.shape.Clone()
	for _, l := range p.locs {
		if len(p.held) == 0 || p.held[len(p.held)-1] != l.seg {
			l.seg.users.Add(1)
			p.held = append(p.held, l.seg)
		}
	}
	return nil
}

func (p *plan) release() {
	for _, seg := range p.held {
		seg.users.Done()
	}
}

// read fetches what lies together with one call each and decodes it in place.
func (p *plan) read(dst []raftlog.Entry) ([]raftlog.Entry, error) {
	size := 0
	for rest := p.locs; len(rest) > 0; {
		n, bytes := together(rest)
		size += bytes
		rest = rest[n:]
	}
	dst, arena := raftlog.Arena(dst, len(p.locs), size)
	for rest := p.locs; len(rest) > 0; {
		n, bytes := together(rest)
		if err := fetch(arena[:bytes], rest[0], p.lo+uint64(len(dst))); err != nil {
			return dst, err
		}
		for _, l := range rest[:n] {
			at := l.off - rest[0].off
			e, err := p.decode(arena[at:at+int64(l.n)], l, p.lo+uint64(len(dst)))
			if err != nil {
				return dst, err
			}
			dst = append(dst, e)
		}
		arena, rest = arena[bytes:], rest[n:]
	}
	return dst, nil
}

// together says how many of locs lie so close that one read fetches them, and
// how many bytes that is.
func together(locs []loc) (n, bytes int) {
	const gap = 512 // cheaper to read than to skip with another call
	n = 1
	end := locs[0].off + int64(locs[0].n)
	for n < len(locs) && locs[n].seg == locs[0].seg && locs[n].off >= end && locs[n].off <= end+gap {
		end = locs[n].off + int64(locs[n].n)
		n++
	}
	return n, int(end - locs[0].off)
}

func fetch(b []byte, from loc, index uint64) error {
	n, err := from.seg.f.ReadAt(b, from.off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return &fault.Corruption{Path: from.seg.name, Offset: from.off + int64(n), Index: index, Class: fault.Committed, Reason: "file ends before its entries do"}
	}
	return err
}

func (p *plan) decode(b []byte, l loc, index uint64) (raftlog.Entry, error) {
	e, err := parseEntry(b, at(l.seg.seed, l.off))
	if err != nil {
		return e, &fault.Corruption{Path: l.seg.name, Offset: l.off, Index: index, Class: fault.Committed, Err: err}
	}
	term, err := p.terms.Term(index)
	if err != nil {
		return e, err
	}
	if e.Index != index || e.Term != term {
		return e, &fault.Corruption{Path: l.seg.name, Offset: l.off, Index: index, Class: fault.Foreign,
			Reason: fmt.Sprintf("index %d term %d where index %d term %d belongs", e.Index, e.Term, index, term)}
	}
	return e, nil
}

// where is the path of one of the log's files, for people.
func (s *Store) where(name string) string { return path.Join(s.dir, name) }
