package seglog

import "github.com/trimarandb/trimaran/raftlog"

// group is one log as far as it is kept in memory. All of it is guarded by
// Store.mu.
type group struct {
	next raftlog.Shape // as submitted

	// As acknowledged.
	shape  raftlog.Shape
	locs   []loc // of the entries from origin on
	stable map[string][]byte
	bytes  uint64 // that the entries occupy

	// lost matters while a log is recovered. Entries up to it lay in segments
	// that are gone, for good reason if a compaction of them is replayed later.
	lost uint64
}

func newGroup() *group { return &group{stable: make(map[string][]byte)} }

func (g *group) empty() bool { return g.shape.Bounds() == raftlog.Bounds{} && len(g.stable) == 0 }

// origin is the index of the entry at locs[0].
func (g *group) origin() uint64 { return max(g.shape.Bounds().Base.Index, g.lost) + 1 }

// apply makes acknowledged what o says; o has passed Shape.Check.
func (g *group) apply(o *op) {
	if o.remove {
		g.dropTail(0)
		g.shape, g.lost = raftlog.Shape{}, 0
		clear(g.stable)
		return
	}
	b := &o.batch
	last, origin := g.shape.Bounds().Last, g.origin()
	if b.Reset != nil {
		g.dropTail(0)
		last, origin, g.lost = b.Reset.Index, b.Reset.Index+1, 0
	}
	if from := b.TruncateFrom; from != 0 && from <= last {
		if from < origin { // only below what was lost
			g.lost, origin = from-1, from
		}
		g.dropTail(from - origin)
	}
	g.add(o.locs)
	for _, kv := range b.Stable {
		if kv.Value == nil {
			delete(g.stable, kv.Key)
		} else {
			g.stable[kv.Key] = append([]byte{}, kv.Value...)
		}
	}
	if b.CompactTo >= origin {
		g.dropHead(b.CompactTo - origin + 1)
	}
	g.shape.Apply(b)
}

func (g *group) add(locs []loc) {
	for _, l := range locs {
		g.locs = append(g.locs, l)
		g.bytes += uint64(l.n)
		l.seg.live++
		l.seg.liveBytes += int64(l.n)
	}
}

// dropTail keeps the first n locs.
func (g *group) dropTail(n uint64) {
	g.forget(g.locs[n:])
	g.locs = shrunk(g.locs[:n])
}

// dropHead drops the first n locs.
func (g *group) dropHead(n uint64) {
	g.forget(g.locs[:n])
	g.locs = shrunk(g.locs[n:])
}

// shrunk moves the little that is left of a large array to a smaller one.
func shrunk(locs []loc) []loc {
	if cap(locs) > 1024 && len(locs) < cap(locs)/4 {
		return append([]loc(nil), locs...)
	}
	return locs
}

func (g *group) forget(locs []loc) {
	for _, l := range locs {
		g.bytes -= uint64(l.n)
		l.seg.live--
		l.seg.liveBytes -= int64(l.n)
	}
}
