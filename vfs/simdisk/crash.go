package simdisk

import (
	"maps"
	"math/bits"
	"slices"
)

// Crash returns what a power cut at this point leaves behind if the loose
// things fall as c says.
func (p *Point) Crash(c Choice) *Image {
	switch c.Mode {
	case None:
		return p.crash(only{-1})
	case Omit:
		return p.crash(without{op: int(c.Arg)})
	case Only:
		return p.crash(only{int(c.Arg)})
	case Cut, Short:
		return p.cut(c)
	case Nth:
		return p.crash(&nth{c.Arg})
	case Sizes:
		return p.crash(hollow{without{op: -1}, c.Arg == 1})
	case Both:
		return p.crash(without{op: -1, both: true})
	case Sample:
		return p.crash(newSample(c.Arg))
	default:
		return p.crash(without{op: -1})
	}
}

// Combinations is how many outcomes there are, torn sectors and garbage aside;
// no more than limit is ever answered. Some may come to the same image.
func (p *Point) Combinations(limit uint64) uint64 {
	n := uint64(1)
	times := func(k int) {
		over, product := bits.Mul64(n, uint64(k))
		if n = min(limit, product); over > 0 {
			n = limit
		}
	}
	for range p.changes {
		times(2)
	}
	for i := range p.files {
		f := &p.files[i]
		times(len(f.sizes) + 1)
		for _, l := range f.loose {
			times(len(l.vs) + 1)
		}
	}
	return n
}

// LastWrite is how many bytes the operation before the point wrote, 0 if it was
// no write: what Cut can shorten.
func (p *Point) LastWrite() int {
	if p.n == 0 || p.history[p.n-1].kind != opWrite {
		return 0
	}
	return p.history[p.n-1].n
}

// cut leaves some bytes of the last write.
func (p *Point) cut(c Choice) *Image {
	n := p.LastWrite()
	if uint64(n) <= c.Arg {
		return p.crash(without{op: -1})
	}
	r := p.history[p.n-1]
	return p.crash(shortened{without{op: -1}, p.n - 1, r, r.off + int64(c.Arg), c.Mode == Short})
}

// shortened keeps all, but of operation op the bytes below end only.
type shortened struct {
	without
	op   int
	r    *record
	end  int64
	file bool // the file ends there too, if the operation made it longer
}

// size knows its file by the operation that no other file has.
func (s shortened) size(vs []sizeVersion) (int, int64) {
	if n := len(vs); s.file && n > 0 && vs[n-1].op == s.op {
		return n, max(s.r.before, s.end)
	}
	return len(vs), unlimited
}

// sector is asked with versions alone, so the place is found by identity.
func (s shortened) sector(vs []version) (int, fate) {
	last := vs[len(vs)-1]
	if last.op != s.op {
		return len(vs), sound
	}
	i := slices.Index(s.r.sectors, last.s)
	arrived := s.end - int64(s.r.first+i)*SectorSize
	switch {
	case arrived <= 0:
		return len(vs) - 1, sound
	case arrived < SectorSize:
		return len(vs), fate{torn: int(arrived)}
	}
	return len(vs), sound
}

func (p *Point) crash(by decider) *Image {
	p.answers = p.answers[:0]
	for _, c := range p.changes {
		p.answers = append(p.answers, byte(by.name(c)))
	}
	m := &Image{names: p.names()}
	m.files = make([]*frozen, len(m.names.files))
	reached := m.names.files
	for i := range p.files {
		// Also what no name leads to is asked for, so that the answers mean the
		// same whatever happened to names.
		c := p.files[i].crash(p.history, by)
		if len(reached) > 0 && reached[0] == p.files[i].id {
			m.files[len(m.files)-len(reached)] = c
			reached = reached[1:]
		}
	}
	return m
}

// names returns what p.answers make of the changes. Most images at a point, and
// many points, have the same.
func (p *Point) names() *names {
	if n := p.made[string(p.answers)]; n != nil {
		return n
	}
	t := table{dirs: maps.Clone(p.dirs), settled: p.settled}
	for i, c := range p.changes {
		sets := c.sets
		switch p.answers[i] {
		case 0:
			continue
		case 2:
			// Without the set that takes the old name away. A directory has one
			// name only, whatever happens.
			sets = sets[len(sets)-1:]
		}
		for _, s := range sets {
			t.apply(s, c.op)
		}
	}
	n := reach(t.dirs)
	p.made[string(p.answers)] = n
	return n
}
