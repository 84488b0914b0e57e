package seglog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"sort"

	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1. The body of a seal says where the entries of the
// segment lie that were live when the next one was begun.
//
//	0      4    8
//	| runs | 0  | directory: {shard u64, replica u64, first u64, count u32, at u32} ... | ...
//
// The directory is ordered by shard, replica and first. At offset at of the
// body lies a table with a word for each 64 entries of the run: where in the
// body their places are, the top bit set for wide ones. All counts are in
// units of 8 bytes of the segment.
//
//	narrow   base u32 | (entries + 1) x u16: begin of each, end of the last, less base
//	wide     entries x {offset u32, size u32}
//
// Narrow ones say of an entry only where the next one begins, which is at most
// 512 bytes behind its end.
const (
	indexHead  = 8
	indexEntry = 32
	perBlock   = 64
	wide       = 1 << 31
	narrowGap  = 512 / alignment
)

// indexRun is a run of entries of one group while an index is built.
type indexRun struct {
	name  raftlog.Group
	first uint64
	locs  []loc
}

// buildIndex encodes runs, which it puts in order.
func buildIndex(runs []indexRun) []byte {
	slices.SortFunc(runs, func(a, b indexRun) int {
		return cmp.Or(a.name.Compare(b.name), cmp.Compare(a.first, b.first))
	})
	b := make([]byte, indexHead+indexEntry*len(runs))
	binary.LittleEndian.PutUint32(b, uint32(len(runs)))
	for i, r := range runs {
		d := b[indexHead+indexEntry*i:]
		binary.LittleEndian.PutUint64(d, r.name.Shard)
		binary.LittleEndian.PutUint64(d[8:], r.name.Replica)
		binary.LittleEndian.PutUint64(d[16:], r.first)
		binary.LittleEndian.PutUint32(d[24:], uint32(len(r.locs)))
		binary.LittleEndian.PutUint32(d[28:], uint32(len(b)))
		b = appendPlaces(b, r.locs)
	}
	return b
}

func appendPlaces(b []byte, locs []loc) []byte {
	table := len(b)
	n := (len(locs) + perBlock - 1) / perBlock
	b = append(b, make([]byte, 4*n)...)
	for i := range n {
		group := locs[i*perBlock : min(len(locs), (i+1)*perBlock)]
		at := uint32(len(b))
		if narrow(group) {
			b = appendNarrow(b, group)
		} else {
			at |= wide
			for _, l := range group {
				b = binary.LittleEndian.AppendUint32(b, l.off)
				b = binary.LittleEndian.AppendUint32(b, l.n)
			}
		}
		binary.LittleEndian.PutUint32(b[table+4*i:], at)
	}
	return b
}

func narrow(locs []loc) bool {
	base := locs[0].off
	for i, l := range locs {
		end := l.off + l.n
		if l.off < base || end-base > 0xffff {
			return false
		}
		if i > 0 {
			prev := locs[i-1].off + locs[i-1].n
			if l.off < prev || l.off-prev > narrowGap {
				return false
			}
		}
	}
	return true
}

func appendNarrow(b []byte, locs []loc) []byte {
	base, end := locs[0].off, uint32(0)
	b = binary.LittleEndian.AppendUint32(b, base)
	for _, l := range locs {
		b = binary.LittleEndian.AppendUint16(b, uint16(l.off-base))
		end = l.off + l.n
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(end-base))
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// index is the body of a seal whose checksum held.
type index struct{ b []byte }

var errIndex = errors.New("index of the segment is malformed")

// check makes sure that no lookup leaves the body.
func (x index) check() error {
	if len(x.b) < indexHead || uint64(x.runs()) > uint64(len(x.b)-indexHead)/indexEntry {
		return errIndex
	}
	for i := range x.runs() {
		r := x.run(i)
		n := (uint64(r.count) + perBlock - 1) / perBlock
		if r.count == 0 || uint64(r.at)+4*n > uint64(len(x.b)) {
			return errIndex
		}
		for j := range n {
			w := binary.LittleEndian.Uint32(x.b[uint64(r.at)+4*j:])
			entries := min(perBlock, uint64(r.count)-perBlock*j)
			size := 4 + 2*(entries+1)
			if w&wide != 0 {
				size = 8 * entries
			}
			if uint64(w&^wide)+size > uint64(len(x.b)) {
				return errIndex
			}
		}
	}
	return nil
}

func (x index) runs() int { return int(binary.LittleEndian.Uint32(x.b)) }

// places are where the entries of one run lie.
type places struct {
	x     index
	name  raftlog.Group
	first uint64
	count uint32
	at    uint32
}

func (x index) run(i int) places {
	d := x.b[indexHead+indexEntry*i:]
	return places{
		x:     x,
		name:  raftlog.Group{Shard: binary.LittleEndian.Uint64(d), Replica: binary.LittleEndian.Uint64(d[8:])},
		first: binary.LittleEndian.Uint64(d[16:]),
		count: binary.LittleEndian.Uint32(d[24:]),
		at:    binary.LittleEndian.Uint32(d[28:]),
	}
}

// find returns the run of a group that holds n entries from first on.
func (x index) find(name raftlog.Group, first, n uint64) (places, bool) {
	i := sort.Search(x.runs(), func(i int) bool {
		r := x.run(i)
		c := r.name.Compare(name)
		return c > 0 || c == 0 && r.first > first
	})
	if i == 0 {
		return places{}, false
	}
	r := x.run(i - 1)
	ok := r.name == name && r.first <= first && first-r.first+n <= uint64(r.count)
	return r, ok
}

// loc is the place of the i-th entry of the run. Its size may include up to
// 512 bytes that follow it.
func (p *places) loc(i uint64) loc {
	w := binary.LittleEndian.Uint32(p.x.b[uint64(p.at)+i/perBlock*4:])
	b := p.x.b[w&^wide:]
	j := i % perBlock
	if w&wide != 0 {
		return loc{binary.LittleEndian.Uint32(b[8*j:]), binary.LittleEndian.Uint32(b[8*j+4:])}
	}
	base := binary.LittleEndian.Uint32(b)
	lo, hi := binary.LittleEndian.Uint16(b[4+2*j:]), binary.LittleEndian.Uint16(b[6+2*j:])
	return loc{base + uint32(lo), uint32(hi - lo)}
}
