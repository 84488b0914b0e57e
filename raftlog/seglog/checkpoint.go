package seglog

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/trimarandb/trimaran/raftlog"
)

// appendCheckpoint encodes what the log is without its entries: per group, in
// order, its base, last index, term runs and stable keys. Equal states have
// equal bytes.
func appendCheckpoint(b []byte, groups map[raftlog.Group]*group) []byte {
	for _, name := range sortedGroups(groups) {
		g := groups[name]
		bounds, runs := g.shape.Bounds(), g.shape.Runs()
		for _, v := range []uint64{name.Shard, name.Replica, bounds.Base.Index, bounds.Base.Term, bounds.Last, uint64(len(runs))} {
			b = binary.AppendUvarint(b, v)
		}
		for _, r := range runs {
			b = binary.AppendUvarint(binary.AppendUvarint(b, r.First), r.Term)
		}
		b = binary.AppendUvarint(b, uint64(len(g.stable)))
		for _, key := range slices.Sorted(maps.Keys(g.stable)) {
			b = appendString(appendString(b, key), string(g.stable[key]))
		}
	}
	return b
}

// sortedGroups lists the groups that hold anything.
func sortedGroups(groups map[raftlog.Group]*group) []raftlog.Group {
	var names []raftlog.Group
	for name, g := range groups {
		if !g.empty() {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, raftlog.Group.Compare)
	return names
}

// parseCheckpoint decodes what appendCheckpoint encoded. The places of its
// entries are not known: they count as lost.
func parseCheckpoint(b []byte) (map[raftlog.Group]*group, error) {
	d := decoder{b: b}
	groups := make(map[raftlog.Group]*group)
	var last raftlog.Group
	for first := true; len(d.b) > 0; first = false {
		name := raftlog.Group{Shard: d.uvarint(), Replica: d.uvarint()}
		if !first && name.Compare(last) <= 0 {
			return nil, errRecord
		}
		last = name
		g, err := parseGroup(&d)
		if err != nil {
			return nil, err
		}
		groups[name] = g
	}
	return groups, d.err
}

func parseGroup(d *decoder) (*group, error) {
	base := raftlog.Position{Index: d.uvarint(), Term: d.uvarint()}
	last, n := d.uvarint(), d.uvarint()
	var runs []raftlog.Run
	for ; n > 0; n-- {
		if runs = append(runs, raftlog.Run{First: d.uvarint(), Term: d.uvarint()}); d.err != nil {
			return nil, d.err
		}
	}
	shape, err := raftlog.NewShape(base, last, runs)
	if err != nil {
		return nil, err
	}
	g := newGroup()
	g.shape, g.lost = shape, last
	previous := ""
	for n := d.uvarint(); n > 0; n-- {
		key, value := string(d.bytes()), d.bytes()
		if d.err != nil || key <= previous {
			return nil, errRecord
		}
		g.stable[key] = append([]byte{}, value...)
		previous = key
	}
	if g.empty() {
		return nil, errRecord
	}
	return g, d.err
}
