package simdisk

import "slices"

// fileState is what of a file is durable and what is loose.
type fileState struct {
	id     int
	stable *frozen
	loose  []looseSector // by place
	sizes  []sizeVersion
	failed int   // the last sync that failed
	reach  int64 // the end of what was written after that
}

// looseSector is sector i in what it was after each write since it was durable.
type looseSector struct {
	i  int
	vs []version
}

type version struct {
	op int
	s  *sector
}

type sizeVersion struct {
	op   int
	size int64
}

func (f *fileState) isLoose() bool { return len(f.loose)+len(f.sizes) > 0 }

// at returns the versions of sector i, to be appended to.
func (f *fileState) at(i int) *[]version {
	k, ok := len(f.loose), false
	// Nearly all writes are at the end.
	if k > 0 && f.loose[k-1].i >= i {
		k, ok = slices.BinarySearchFunc(f.loose, i, func(l looseSector, i int) int { return l.i - i })
	}
	if !ok {
		f.loose = slices.Insert(f.loose, k, looseSector{i: i})
	}
	return &f.loose[k].vs
}

// write does opWrite and opTruncate.
func (f *fileState) write(op int, r *record) {
	for i, s := range r.sectors {
		vs := f.at(r.first + i)
		*vs = append(*vs, version{op, s})
	}
	end := r.size
	if r.kind == opWrite {
		end = r.off + int64(r.n)
		f.reach = max(f.reach, end)
	} else {
		f.reach = min(f.reach, end)
	}
	// Whoever writes up to the end, or truncates, says the size again: that
	// counts if a failed sync lost the last one.
	if n := len(f.sizes); r.size != f.size() || n > 0 && f.sizes[n-1].op < f.failed && end == r.size {
		f.sizes = append(f.sizes, sizeVersion{op, r.size})
	}
}

// size is the length that a running system sees.
func (f *fileState) size() int64 {
	if n := len(f.sizes); n > 0 {
		return f.sizes[n-1].size
	}
	return f.stable.size
}

// sync makes durable what was written since the last sync that failed; what
// was dirty then counts as clean.
func (f *fileState) sync(op int, failed bool) {
	if failed {
		f.failed, f.reach = op, 0
		return
	}
	if !f.isLoose() {
		return
	}
	stable := f.stable.thaw(f.extent())
	f.loose = slices.DeleteFunc(f.loose, func(l looseSector) bool {
		last := l.vs[len(l.vs)-1]
		if last.op < f.failed {
			return false
		}
		stable.set(l.i, last.s)
		return true
	})
	if n := len(f.sizes); n > 0 && f.sizes[n-1].op >= f.failed {
		stable.size = f.sizes[n-1].size
		f.sizes = nil
	}
	// Which size it was a failed sync left open, but not whether it is large
	// enough for what is durable now.
	stable.size = max(stable.size, f.reach)
	for i := range f.sizes {
		f.sizes[i].size = max(f.sizes[i].size, f.reach)
	}
	if len(f.sizes) == 0 {
		stable.cut()
	}
	f.stable = stable
}

// extent is how many sectors have something loose, or lie before one.
func (f *fileState) extent() int {
	if n := len(f.loose); n > 0 {
		return f.loose[n-1].i + 1
	}
	return 0
}

// crash returns what is left of a file.
func (f *fileState) crash(history []*record, by decider) *frozen {
	if !f.isLoose() {
		return f.stable
	}
	c := f.stable.thaw(f.extent())
	v, limit := by.size(f.sizes)
	if v > 0 {
		c.size = min(f.sizes[v-1].size, limit)
	}
	for k := range f.loose {
		l := &f.loose[k]
		v, fate := by.sector(l.vs)
		c.set(l.i, f.arrived(history, l, v, fate))
	}
	c.cut()
	return c
}

// arrived is a sector in its version v after what happened on the way.
func (f *fileState) arrived(history []*record, l *looseSector, v int, fate fate) *sector {
	at := func(v int) *sector {
		if v == 0 {
			return f.stable.sector(l.i)
		}
		return l.vs[v-1].s
	}
	s := at(v)
	switch {
	case fate == sound:
		return s
	case v == 0:
		// Where nothing was ever written, an old block of another file may show.
		if fate.garbage > 0 && s == nil && int64(l.i)*SectorSize >= f.stable.size {
			return &sector{b: garbage(fate.garbage ^ uint64(l.i))}
		}
		return s
	}
	r := history[l.vs[v-1].op]
	switch {
	case r.kind != opWrite:
		return s
	case fate.torn > 0:
		return at(v-1).with(0, s.b[:fate.torn])
	}
	return noisy(at(v-1), s, r, l.i, fate.garbage)
}

// noisy puts garbage where r changed the sector: from the first byte that
// differs to the end of what was written. Bytes written again as they were are
// as they were.
func noisy(before, s *sector, r *record, i int, seed uint64) *sector {
	if before == nil {
		before = &sector{}
	}
	end := int(min(SectorSize, r.off+int64(r.n)-int64(i)*SectorSize))
	first := 0
	for first < end && s.b[first] == before.b[first] {
		first++
	}
	noise := garbage(seed ^ uint64(i))
	return s.with(first, noise[first:end])
}
