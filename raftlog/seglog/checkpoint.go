package seglog

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1. A checkpoint is what the log is without its
// entries, as of the place where it stands. It is authoritative: an entry
// outside its extents, and not written after it, does not exist.
//
//	segments uv, { seq uv, salt u64, end uv, last seq uv, last head u32 } ...
//	groups uv, { shard uv, replica uv, base uv, base term uv, last uv,
//	             runs uv, { first uv, term uv } ...,
//	             extents uv, { segment seq uv, entries uv, bytes uv } ...,
//	             keys uv, { length uv, key, length uv, value } ... } ...

// fileEnd is how a segment ends, and that it is this one and no other.
type fileEnd struct {
	seq  uint64
	salt uint64
	end  int64  // of its frames
	next uint64 // sequence of the frame that would follow
	sum  uint32 // head of its last frame
}

// appendCheckpoint encodes the groups and the segments they refer to. Equal
// states have equal bytes.
func appendCheckpoint(b []byte, segs []fileEnd, groups map[raftlog.Group]*group) []byte {
	b = binary.AppendUvarint(b, uint64(len(segs)))
	for _, s := range segs {
		b = binary.AppendUvarint(b, s.seq)
		b = binary.LittleEndian.AppendUint64(b, s.salt)
		b = binary.AppendUvarint(b, uint64(s.end))
		b = binary.AppendUvarint(b, s.next)
		b = binary.LittleEndian.AppendUint32(b, s.sum)
	}
	names := sortedGroups(groups)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = appendGroup(b, name, groups[name])
	}
	return b
}

func appendGroup(b []byte, name raftlog.Group, g *group) []byte {
	bounds, runs := g.shape.Bounds(), g.shape.Runs()
	for _, v := range [...]uint64{name.Shard, name.Replica, bounds.Base.Index, bounds.Base.Term, bounds.Last, uint64(len(runs))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, r := range runs {
		b = binary.AppendUvarint(binary.AppendUvarint(b, r.First), r.Term)
	}
	b = binary.AppendUvarint(b, uint64(len(g.extents)))
	for i := range g.extents {
		e := &g.extents[i]
		for _, v := range [...]uint64{e.seg.seq, e.n, uint64(e.bytes)} {
			b = binary.AppendUvarint(b, v)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(g.stable)))
	for _, key := range slices.Sorted(maps.Keys(g.stable)) {
		b = appendString(b, key)
		b = binary.AppendUvarint(b, uint64(len(g.stable[key])))
		b = append(b, g.stable[key]...)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// sortedGroups lists the groups that hold anything.
func sortedGroups(groups map[raftlog.Group]*group) []raftlog.Group {
	names := make([]raftlog.Group, 0, len(groups))
	for name, g := range groups {
		if !g.empty() {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, raftlog.Group.Compare)
	return names
}

// state is what a checkpoint says.
type state struct {
	segs   map[uint64]*segment // by sequence, known by name and end only
	groups map[raftlog.Group]*group
}

// parseCheckpoint decodes what appendCheckpoint encoded, and returns what is
// left of b.
func parseCheckpoint(b []byte) (state, []byte, error) {
	d := decoder{b: b}
	st := state{segs: make(map[uint64]*segment), groups: make(map[raftlog.Group]*group)}
	last := uint64(0)
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		e := fileEnd{seq: d.uvarint(), salt: d.uint64(), end: int64(d.uvarint()), next: d.uvarint(), sum: d.uint32()}
		if e.seq <= last || e.end < firstFrame {
			d.fail()
		}
		last = e.seq
		st.segs[e.seq] = &segment{seq: e.seq, name: segmentName(e.seq), ended: e}
	}
	var before raftlog.Group
	for n, first := d.uvarint(), true; n > 0 && d.err == nil; n, first = n-1, false {
		name := raftlog.Group{Shard: d.uvarint(), Replica: d.uvarint()}
		if !first && name.Compare(before) <= 0 {
			d.fail()
		}
		before = name
		g, err := parseGroup(&d, st.segs)
		if err != nil {
			return st, nil, err
		}
		st.groups[name] = g
	}
	return st, d.b, d.err
}

func parseGroup(d *decoder, segs map[uint64]*segment) (*group, error) {
	base := raftlog.Position{Index: d.uvarint(), Term: d.uvarint()}
	last := d.uvarint()
	var runs []raftlog.Run
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		runs = append(runs, raftlog.Run{First: d.uvarint(), Term: d.uvarint()})
	}
	if d.err != nil {
		return nil, d.err
	}
	shape, err := raftlog.NewShape(base, last, runs)
	if err != nil {
		return nil, err
	}
	g := newGroup()
	g.shape = shape
	next := base.Index + 1
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		e := extent{seg: segs[d.uvarint()], first: next, n: d.uvarint(), bytes: int64(d.uvarint())}
		if e.seg == nil || e.bytes < 0 || e.n > last+1-next {
			return nil, errRecord
		}
		e.seg.hold(int64(e.n), e.bytes)
		g.extents = append(g.extents, e)
		next += e.n
	}
	previous := ""
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		key, value := string(d.bytes()), d.bytes()
		if key <= previous {
			d.fail()
		}
		g.stable[key] = append([]byte{}, value...)
		previous = key
	}
	if d.err != nil || g.empty() || !g.covered() {
		return nil, errRecord
	}
	return g, nil
}
