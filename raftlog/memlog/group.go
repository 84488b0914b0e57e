package memlog

import "github.com/trimarandb/trimaran/raftlog"

// group is one log. entries[i] has index base+1+i.
type group struct {
	shape    raftlog.Shape
	entries  []raftlog.Entry
	stable   map[string][]byte
	bytes    uint64 // payload of entries
	released uint64
}

func (g *group) empty() bool {
	b := g.shape.Bounds()
	return b == raftlog.Bounds{} && len(g.stable) == 0
}

func (g *group) apply(b *raftlog.Batch) {
	before := g.shape.Bounds()
	g.shape.Apply(b)
	if b.Reset != nil {
		g.drop(0, len(g.entries))
		before = raftlog.Bounds{Base: *b.Reset, Last: b.Reset.Index}
	}
	if b.TruncateFrom != 0 && b.TruncateFrom <= before.Last {
		g.drop(int(b.TruncateFrom-before.First()), len(g.entries))
	}
	for _, e := range b.Entries {
		e = e.Clone()
		e.Time = e.Time.Round(0).UTC() // as it would come back from a disk
		g.entries = append(g.entries, e)
		g.bytes += uint64(e.PayloadSize())
	}
	for _, kv := range b.Stable {
		if kv.Value == nil {
			delete(g.stable, kv.Key)
		} else {
			g.stable[kv.Key] = append([]byte{}, kv.Value...)
		}
	}
	if b.CompactTo > before.Base.Index {
		g.drop(0, int(b.CompactTo-before.Base.Index))
	}
}

// drop removes entries[lo:hi], which is a prefix or a suffix. A long prefix is
// copied away, so that the memory of what went is freed.
func (g *group) drop(lo, hi int) {
	for i := lo; i < hi; i++ {
		g.bytes -= uint64(g.entries[i].PayloadSize())
	}
	if lo > 0 {
		clear(g.entries[lo:])
		g.entries = g.entries[:lo]
		return
	}
	clear(g.entries[:hi])
	g.entries = g.entries[hi:]
	if cap(g.entries) > 64 && len(g.entries) < cap(g.entries)/4 {
		g.entries = append([]raftlog.Entry(nil), g.entries...)
	}
}

func (g *group) read(dst []raftlog.Entry, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	if err := g.shape.CheckRange(lo, hi); err != nil || lo == hi {
		return dst[:0], err
	}
	first := g.shape.Bounds().First()
	entries := g.entries[lo-first : hi-first]
	n, size := 0, 0
	for n < len(entries) && (n == 0 || uint64(size+entries[n].PayloadSize()) <= maxBytes) {
		size += entries[n].PayloadSize()
		n++
	}
	dst, arena := raftlog.Arena(dst, n, size)
	for _, e := range entries[:n] {
		e.Data, arena = place(arena, e.Data)
		e.Ext, arena = place(arena, e.Ext)
		dst = append(dst, e)
	}
	return dst, nil
}

// place copies b to the front of arena and returns the copy and the rest.
func place(arena, b []byte) (placed, rest []byte) {
	if b == nil {
		return nil, arena
	}
	n := copy(arena, b)
	return arena[:n:n], arena[n:]
}
