package seglog

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Read implements raftlog.Driver. Every entry is verified: its own checksum,
// which covers its place, and that it is the index and term the log has there.
func (s *Store) Read(dst []raftlog.Entry, name raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	if err := s.enter("read"); err != nil { // until the files are read, not only until they are found
		return nil, err
	}
	defer s.gate.Leave()
	p := plan{s: s}
	err := s.locked(name, func(g *group) error { return p.locate(g, lo, hi, maxBytes) })
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
	s     *Store
	lo    uint64
	locs  []loc
	terms []uint64 // of each; one for all when they are the same
	held  []*segment
}

func (p *plan) locate(g *group, lo, hi, maxBytes uint64) error {
	if err := g.shape.CheckRange(lo, hi); err != nil || lo == hi {
		return err
	}
	locs := g.locs[lo-g.origin():]
	n, size := uint64(0), uint64(0)
	for n < hi-lo && (n == 0 || size+uint64(locs[n].payload) <= maxBytes) {
		size += uint64(locs[n].payload)
		n++
	}
	p.lo, p.locs = lo, slices.Clone(locs[:n])
	if err := p.expect(g, n); err != nil {
		return err
	}
	for _, l := range p.locs {
		if len(p.held) == 0 || p.held[len(p.held)-1] != l.seg {
			l.seg.users.Add(1)
			p.held = append(p.held, l.seg)
		}
	}
	return nil
}

// expect notes the terms of the next n entries. Terms never fall, so that equal
// ends mean equal terms.
func (p *plan) expect(g *group, n uint64) error {
	for i := range n {
		term, err := g.shape.Term(p.lo + i)
		if err != nil {
			return err
		}
		p.terms = append(p.terms, term)
		if i == 0 {
			last, err := g.shape.Term(p.lo + n - 1)
			if err != nil || last == term {
				return err
			}
		}
	}
	return nil
}

func (p *plan) term(i int) uint64 { return p.terms[min(i, len(p.terms)-1)] }

func (p *plan) release() {
	for _, seg := range p.held {
		seg.users.Done()
	}
}

// read fetches what lies together with one call and decodes it in place. Where
// that fails it goes on entry by entry, up to the one that cannot be read.
func (p *plan) read(dst []raftlog.Entry) ([]raftlog.Entry, error) {
	size := 0
	for rest := p.locs; len(rest) > 0; {
		n, bytes := together(rest)
		size += bytes
		rest = rest[n:]
	}
	dst, arena := raftlog.Arena(dst, len(p.locs), size)
	for i := 0; i < len(p.locs); {
		n, bytes := together(p.locs[i:])
		from := p.locs[i]
		_, err := from.seg.f.ReadAt(arena[:bytes], from.off)
		for _, l := range p.locs[i : i+n] {
			b := arena[l.off-from.off:][:l.n]
			if err != nil {
				if err := p.readOne(b, l); err != nil {
					return dst, err
				}
			}
			e, err := p.decode(b, l, len(dst))
			if err != nil {
				return dst, err
			}
			dst = append(dst, e)
		}
		arena, i = arena[bytes:], i+n
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

// readOne reads one entry. A file that ends before it leaves zeros, which do
// not verify.
func (p *plan) readOne(b []byte, l loc) error {
	n, err := l.seg.f.ReadAt(b, l.off)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	clear(b[n:])
	return nil
}

func (p *plan) decode(b []byte, l loc, i int) (raftlog.Entry, error) {
	index := p.lo + uint64(i)
	e, err := parseEntry(b, at(l.seg.seed, l.off))
	if err != nil {
		return e, &fault.Corruption{Path: p.s.where(l.seg.name), Offset: l.off, Index: index, Class: fault.Committed, Err: err}
	}
	if e.Index != index || e.Term != p.term(i) {
		return e, &fault.Corruption{Path: p.s.where(l.seg.name), Offset: l.off, Index: index, Class: fault.Foreign,
			Reason: fmt.Sprintf("index %d term %d where index %d term %d belongs", e.Index, e.Term, index, p.term(i))}
	}
	return e, nil
}

// where is the path of one of the log's files, for people.
func (s *Store) where(name string) string { return path.Join(s.dir, name) }
