package seglog

import (
	"encoding/binary"

	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1. A group record begins one group's batch; what
// follows up to the next one comes in the order of these tags. A record is a
// multiple of 8 bytes long and begins with the tag.
const (
	tagGroup    = 1 // 0 u56 | shard u64 | replica u64
	tagRemove   = 2 // 0 u56; the group is forgotten
	tagReset    = 3 // 0 u56 | index u64 | term u64
	tagTruncate = 4 // 0 u56 | from u64
	tagRun      = 5 // 0 u24 | count u32 | first u64 | term u64, then as many entries
	tagStable   = 6 // flags u8 | key length u8 | 0 u8 | value length u32 | key | value | zeros
	tagCompact  = 7 // 0 u56 | to u64
	tagMoved    = 8 // 0 u24 | count u32 | first u64 | term u64 | from u64, then as many entries

	flagDelete = 1 << 0 // of a stable record
)

// op is what one submission does to one group.
type op struct {
	name   raftlog.Group
	g      *group
	remove bool
	from   uint64 // the segment that batch.Entries are moved out of; 0: they are new
	batch  raftlog.Batch
	at, n  int // which of the locs beside it are those of batch.Entries
}

// loc is the place of an entry, in units of 8 bytes: 32 GiB of a segment.
type loc struct{ off, n uint32 }

func (l loc) start() int64 { return int64(l.off) * alignment }
func (l loc) size() int64  { return int64(l.n) * alignment }
func (l loc) end() int64   { return l.start() + l.size() }

// run is a stretch of entries with one term among the records of a frame.
type run struct {
	first, term uint64
	at, n       int // which locs
}

// records are the payload of one batch frame, as it is built or was read.
type records struct {
	b    []byte // behind skip bytes that are not part of it
	skip int
	runs []run
	locs []loc // relative to the payload
}

func (r *records) reset(skip int) {
	r.b, r.skip = r.b[:skip], skip
	r.runs, r.locs = r.runs[:0], r.locs[:0]
}

// size is the number of bytes of the payload.
func (r *records) size() int64 { return int64(len(r.b) - r.skip) }

func header8(b []byte, tag byte, words ...uint64) []byte {
	b = append(b, tag, 0, 0, 0, 0, 0, 0, 0)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// add encodes o and notes where its entries lie.
func (r *records) add(o *op) {
	o.at, o.n = len(r.locs), len(o.batch.Entries)
	r.b = header8(r.b, tagGroup, o.name.Shard, o.name.Replica)
	if o.remove {
		r.b = header8(r.b, tagRemove)
		return
	}
	if p := o.batch.Reset; p != nil {
		r.b = header8(r.b, tagReset, p.Index, p.Term)
	}
	if o.batch.TruncateFrom != 0 {
		r.b = header8(r.b, tagTruncate, o.batch.TruncateFrom)
	}
	r.entries(o.batch.Entries, o.from)
	for i := range o.batch.Stable {
		r.stable(&o.batch.Stable[i])
	}
	if o.batch.CompactTo != 0 {
		r.b = header8(r.b, tagCompact, o.batch.CompactTo)
	}
}

func (r *records) entries(es []raftlog.Entry, from uint64) {
	for len(es) > 0 {
		n := 1
		for n < len(es) && es[n].Term == es[0].Term {
			n++
		}
		start := len(r.b)
		if from == 0 {
			r.b = header8(r.b, tagRun, es[0].Index, es[0].Term)
		} else {
			r.b = header8(r.b, tagMoved, es[0].Index, es[0].Term, from)
		}
		binary.LittleEndian.PutUint32(r.b[start+4:], uint32(n))
		r.runs = append(r.runs, run{first: es[0].Index, term: es[0].Term, at: len(r.locs), n: n})
		for i := range es[:n] {
			at := len(r.b)
			r.b = appendEntry(r.b, &es[i])
			r.locs = append(r.locs, loc{uint32((at - r.skip) / alignment), uint32((len(r.b) - at) / alignment)})
		}
		es = es[n:]
	}
}

func (r *records) stable(kv *raftlog.StableKV) {
	start := len(r.b)
	flags := byte(0)
	if kv.Value == nil {
		flags = flagDelete
	}
	r.b = append(r.b, tagStable, flags, byte(len(kv.Key)), 0)
	r.b = binary.LittleEndian.AppendUint32(r.b, uint32(len(kv.Value)))
	r.b = append(append(r.b, kv.Key...), kv.Value...)
	r.b = pad8(r.b, start)
}

// place ties the entries to the place of the payload.
func (r *records) place(seed uint32, off int64) { r.placeFrom(0, seed, off) }

// placeFrom is place for the runs from the n-th on.
func (r *records) placeFrom(n int, seed uint32, off int64) {
	for _, u := range r.runs[n:] {
		for i, l := range r.locs[u.at : u.at+u.n] {
			maskEntry(r.b[r.skip+int(l.start()):], seed, off+l.start(), u.first+uint64(i), u.term)
		}
	}
}

// sum is the checksum of the payload but for the bodies of entries, which have
// their own. It covers those.
func (r *records) sum(seed uint32, off int64) uint32 {
	s := at(seed, off)
	b := r.b[r.skip:]
	done := 0
	for _, l := range r.locs {
		body := int(l.start()) + entryHead
		s = frame.Sum(s, b[done:body])
		done = body + int(binary.LittleEndian.Uint32(b[body-entryHead:])&^extended)
	}
	return frame.Sum(s, b[done:])
}

// opRoom is at least what o takes when it is encoded.
func opRoom(o *op) int64 {
	n := int64(24 + 24 + 16 + 16)
	for i := range o.batch.Entries {
		n += int64(o.batch.Entries[i].PayloadSize()) + entryRoom
		if i == 0 || o.batch.Entries[i].Term != o.batch.Entries[i-1].Term {
			n += 32
		}
	}
	for i := range o.batch.Stable {
		n += 16 + int64(len(o.batch.Stable[i].Key)+len(o.batch.Stable[i].Value))
	}
	return n
}
