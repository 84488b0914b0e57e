package seglog

import (
	"fmt"
	"slices"
	"sort"

	"github.com/trimarandb/trimaran/raftlog"
)

// group is one log as far as it is kept in memory: what it is, and in which
// segments its entries lie, but not where in them. Guarded by Store.mu, but for
// next and queued, which Store.order guards.
type group struct {
	next   raftlog.Shape // as submitted
	queued int           // ops that are submitted and not settled

	// As acknowledged.
	shape   raftlog.Shape
	extents []extent // in order; together the entries from base+1 to last
	stable  map[string][]byte

	recovered uint64 // the last index when the log was opened
}

// extent is a stretch of one group's entries that lie in one segment.
type extent struct {
	seg   *segment
	first uint64
	n     uint64
	bytes int64 // that they occupy; after a cut within a sealed segment, on average
	locs  []loc // while the segment has no index; for each entry
}

func (e *extent) end() uint64 { return e.first + e.n }

func newGroup() *group { return &group{stable: make(map[string][]byte)} }

// empty reports that nothing is known of the group.
func (g *group) empty() bool { return g.shape.Bounds() == raftlog.Bounds{} && len(g.stable) == 0 }

// bytes is what the entries occupy.
func (g *group) bytes() (n uint64) {
	for i := range g.extents {
		n += uint64(g.extents[i].bytes)
	}
	return n
}

// apply makes acknowledged what o says; o has passed Shape.Check. Its entries
// lie in seg at locs, which are relative to base.
func (g *group) apply(o *op, seg *segment, base int64, locs []loc) error {
	if o.remove {
		g.keepBelow(0)
		g.shape = raftlog.Shape{}
		clear(g.stable)
		return nil
	}
	if o.from != 0 {
		return g.move(o, seg, base, locs)
	}
	b := &o.batch
	if b.Reset != nil {
		g.keepBelow(0)
	}
	if b.TruncateFrom != 0 {
		g.keepBelow(b.TruncateFrom)
	}
	if len(b.Entries) > 0 {
		g.add(seg, b.Entries[0].Index, base, locs)
	}
	for _, kv := range b.Stable {
		if kv.Value == nil {
			delete(g.stable, kv.Key)
		} else {
			g.stable[kv.Key] = append([]byte{}, kv.Value...)
		}
	}
	g.shape.Apply(b)
	if b.CompactTo != 0 {
		g.keepAbove(b.CompactTo)
	}
	return nil
}

// add appends entries from first on.
func (g *group) add(seg *segment, first uint64, base int64, locs []loc) {
	n := len(g.extents)
	if n == 0 || g.extents[n-1].seg != seg || g.extents[n-1].locs == nil {
		g.extents = append(g.extents, extent{seg: seg, first: first})
		n++
	}
	e := &g.extents[n-1]
	bytes := int64(0)
	for _, l := range locs {
		e.locs = append(e.locs, loc{l.off + uint32(base/alignment), l.n})
		bytes += l.size()
	}
	e.n += uint64(len(locs))
	e.bytes += bytes
	seg.hold(int64(len(locs)), bytes)
}

// keepBelow drops the entries from index on.
func (g *group) keepBelow(index uint64) {
	n := len(g.extents)
	for n > 0 && g.extents[n-1].first >= index {
		n--
		g.extents[n].drop()
	}
	clear(g.extents[n:])
	g.extents = g.extents[:n]
	if n > 0 && g.extents[n-1].end() > index {
		g.extents[n-1].cutTail(g.extents[n-1].end() - index)
	}
}

// keepAbove drops the entries up to index.
func (g *group) keepAbove(index uint64) {
	n := 0
	for n < len(g.extents) && g.extents[n].end() <= index+1 {
		g.extents[n].drop()
		n++
	}
	g.extents = slices.Delete(g.extents, 0, n)
	if len(g.extents) > 0 && g.extents[0].first <= index {
		g.extents[0].cutHead(index + 1 - g.extents[0].first)
	}
}

// drop lets go of the segment.
func (e *extent) drop() { e.seg.hold(-int64(e.n), -e.bytes) }

// share is what n of the entries occupy: those at the end, or at the start.
func (e *extent) share(n uint64, tail bool) (bytes int64) {
	switch {
	case e.locs == nil:
		return e.bytes / int64(e.n) * int64(n)
	case tail:
		for _, l := range e.locs[e.n-n:] {
			bytes += l.size()
		}
	default:
		for _, l := range e.locs[:n] {
			bytes += l.size()
		}
	}
	return bytes
}

func (e *extent) cutTail(n uint64) {
	bytes := min(e.bytes, e.share(n, true)) // places from an index are a little too large
	e.seg.hold(-int64(n), -bytes)
	e.n -= n
	e.bytes -= bytes
	if e.locs != nil {
		e.locs = shrunk(e.locs[:e.n:e.n]) // what is cut off may be in use by a reader
	}
}

func (e *extent) cutHead(n uint64) {
	bytes := min(e.bytes, e.share(n, false))
	e.seg.hold(-int64(n), -bytes)
	e.n -= n
	e.first += n
	e.bytes -= bytes
	if e.locs != nil {
		e.locs = shrunk(e.locs[n:])
	}
}

// shrunk moves the little that is left of a large array to a smaller one.
func shrunk(locs []loc) []loc {
	if cap(locs) > 1024 && len(locs) < cap(locs)/4 {
		return append([]loc{}, locs...)
	}
	return locs
}

// move makes entries that were copied out of segment o.from live where they
// are now, as far as they still lived there: what was truncated and written
// again meanwhile lies in a later segment.
func (g *group) move(o *op, seg *segment, base int64, locs []loc) error {
	first := o.batch.Entries[0].Index
	end := first + uint64(len(o.batch.Entries))
	moved := make([]extent, 0, len(g.extents)+2)
	for _, e := range g.extents {
		lo, hi := max(first, e.first), min(end, e.end())
		if e.seg.seq != o.from || lo >= hi {
			moved = append(moved, e)
			continue
		}
		if e.locs != nil && e.seg == seg {
			return fmt.Errorf("entry %d of group %v moves within segment %d", lo, o.name, seg.seq)
		}
		before, after := e, e
		if e.first < lo {
			before.n = lo - e.first
			before.bytes = e.share(before.n, false)
			before.locs = part(e.locs, 0, before.n)
			moved = append(moved, before)
		}
		x := extent{seg: seg, first: lo, n: hi - lo, locs: make([]loc, hi-lo)}
		for i := range x.locs {
			l := locs[lo-first+uint64(i)]
			x.locs[i] = loc{l.off + uint32(base/alignment), l.n}
			x.bytes += l.size()
		}
		moved = append(moved, x)
		if hi < e.end() {
			after.first, after.n = hi, e.end()-hi
			after.bytes = e.share(after.n, true)
			after.locs = part(e.locs, hi-e.first, e.n)
			moved = append(moved, after)
		}
	}
	for i := range g.extents {
		g.extents[i].drop()
	}
	for i := range moved {
		moved[i].seg.hold(int64(moved[i].n), moved[i].bytes)
	}
	g.extents = joined(moved)
	return nil
}

func part(locs []loc, lo, hi uint64) []loc {
	if locs == nil {
		return nil
	}
	return locs[lo:hi:hi]
}

// joined makes one extent of neighbours in one segment whose places are known.
func joined(es []extent) []extent {
	out := es[:0]
	for _, e := range es {
		if n := len(out); n > 0 && out[n-1].seg == e.seg && out[n-1].locs != nil && e.locs != nil {
			last := &out[n-1]
			last.locs = append(last.locs[:last.n:last.n], e.locs...)
			last.n += e.n
			last.bytes += e.bytes
			continue
		}
		out = append(out, e)
	}
	return out
}

// extent returns the position of the extent that holds index.
func (g *group) extent(index uint64) int {
	return sort.Search(len(g.extents), func(i int) bool { return g.extents[i].end() > index })
}

// covered reports whether the extents are the entries that the shape has.
func (g *group) covered() bool {
	b := g.shape.Bounds()
	next := b.First()
	for i := range g.extents {
		if g.extents[i].first != next || g.extents[i].n == 0 {
			return false
		}
		next = g.extents[i].end()
	}
	return next == b.Last+1
}
