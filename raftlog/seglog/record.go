package seglog

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1. A group record begins a group's batch; what
// follows up to the next one comes in the order of these tags.
const (
	tagGroup        = 1 // shard, replica
	tagRemove       = 2 // nothing; the group is forgotten
	tagReset        = 3 // index, term
	tagTruncate     = 4 // from
	tagEntry        = 5 // length, crc of body, body
	tagStableSet    = 6 // key, value
	tagStableDelete = 7 // key
	tagCompact      = 8 // to

	flagData = 1 << 0 // Data is not nil
	flagExt  = 1 << 1 // Ext is not nil
	flagTime = 1 << 2 // Time is not zero
)

// op is what one submission does to one group.
type op struct {
	group  raftlog.Group
	remove bool
	batch  raftlog.Batch
	locs   []loc // of batch.Entries, once they have a place
}

// loc is the place of an entry's record, from its checksum on.
type loc struct {
	seg     *segment
	off     int64
	n       int32 // bytes of the record
	payload int32 // of those, Data and Ext
}

// appendOp encodes o at the end of b, whose first byte has the place base in a
// segment with that seed, and sets o.locs.
func appendOp(b []byte, o *op, seg *segment, base int64) []byte {
	b = append(b, tagGroup)
	b = binary.AppendUvarint(b, o.group.Shard)
	b = binary.AppendUvarint(b, o.group.Replica)
	if o.remove {
		return append(b, tagRemove)
	}
	if r := o.batch.Reset; r != nil {
		b = append(b, tagReset)
		b = binary.AppendUvarint(b, r.Index)
		b = binary.AppendUvarint(b, r.Term)
	}
	if o.batch.TruncateFrom != 0 {
		b = append(b, tagTruncate)
		b = binary.AppendUvarint(b, o.batch.TruncateFrom)
	}
	o.locs = o.locs[:0]
	for i := range o.batch.Entries {
		var l loc
		b, l = appendEntry(b, &o.batch.Entries[i], seg, base)
		o.locs = append(o.locs, l)
	}
	for _, kv := range o.batch.Stable {
		if kv.Value == nil {
			b = append(b, tagStableDelete)
			b = appendString(b, kv.Key)
		} else {
			b = append(b, tagStableSet)
			b = appendString(appendString(b, kv.Key), string(kv.Value))
		}
	}
	if o.batch.CompactTo != 0 {
		b = append(b, tagCompact)
		b = binary.AppendUvarint(b, o.batch.CompactTo)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendEntry(b []byte, e *raftlog.Entry, seg *segment, base int64) ([]byte, loc) {
	var room [64]byte
	head := entryHead(room[:0], e)
	size := len(head) + len(e.Ext) + len(e.Data)
	b = append(b, tagEntry)
	b = binary.AppendUvarint(b, uint64(size))
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(append(append(b, head...), e.Ext...), e.Data...)
	l := loc{seg: seg, off: base + int64(start), n: int32(4 + size), payload: int32(e.PayloadSize())}
	binary.LittleEndian.PutUint32(b[start:], frame.Sum(at(seg.seed, l.off), b[start+4:]))
	return b, l
}

// entryHead encodes all of an entry but the bytes of Ext and Data.
func entryHead(b []byte, e *raftlog.Entry) []byte {
	var flags byte
	if e.Data != nil {
		flags |= flagData
	}
	if e.Ext != nil {
		flags |= flagExt
	}
	if !e.Time.IsZero() {
		flags |= flagTime
	}
	b = append(b, byte(e.Kind), flags)
	b = binary.AppendUvarint(b, e.Index)
	b = binary.AppendUvarint(b, e.Term)
	if flags&flagTime != 0 {
		b = binary.AppendVarint(b, e.Time.Unix())
		b = binary.AppendUvarint(b, uint64(e.Time.Nanosecond()))
	}
	if flags&flagExt != 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Ext)))
	}
	return b
}

var (
	errRecord   = errors.New("record is malformed")
	errEntrySum = errors.New("entry checksum mismatch")
)

// parseOps decodes what appendOp encoded: b has the place base in a segment.
// The entries' payloads are lent from b. Whatever the bytes, it returns an
// error rather than panic, and accepts one encoding of each op only.
func parseOps(b []byte, seg *segment, base int64) ([]op, error) {
	d := decoder{b: b}
	var ops []op
	for len(d.b) > 0 && d.err == nil {
		if d.byte() != tagGroup {
			return nil, errRecord
		}
		o := op{group: raftlog.Group{Shard: d.uvarint(), Replica: d.uvarint()}}
		if err := parseOp(&d, &o, seg, base+int64(len(b))); err != nil {
			return nil, err
		}
		ops = append(ops, o)
	}
	return ops, d.err
}

// parseOp decodes the records of one group; end is the place where d ends.
func parseOp(d *decoder, o *op, seg *segment, end int64) error {
	last := byte(tagGroup)
	for len(d.b) > 0 && d.err == nil && d.b[0] != tagGroup {
		tag := d.byte()
		again := tag == last && tag == tagEntry
		stable := tag == tagStableSet || tag == tagStableDelete
		if stable && last == tagStableDelete {
			last = tagStableSet // the two may alternate
		}
		if tag < last || tag == last && !again && !stable || o.remove {
			return errRecord
		}
		last = tag
		switch tag {
		case tagRemove:
			o.remove = true
		case tagReset:
			o.batch.Reset = &raftlog.Position{Index: d.uvarint(), Term: d.uvarint()}
		case tagTruncate:
			o.batch.TruncateFrom = d.nonZero()
		case tagEntry:
			if err := parseEntryRecord(d, o, seg, end); err != nil {
				return err
			}
		case tagStableSet:
			o.batch.Stable = append(o.batch.Stable, raftlog.StableKV{Key: string(d.bytes()), Value: append([]byte{}, d.bytes()...)})
		case tagStableDelete:
			o.batch.Stable = append(o.batch.Stable, raftlog.StableKV{Key: string(d.bytes())})
		case tagCompact:
			o.batch.CompactTo = d.nonZero()
		default:
			return errRecord
		}
	}
	return d.err
}

func parseEntryRecord(d *decoder, o *op, seg *segment, end int64) error {
	size := d.uvarint()
	if d.err != nil || size > math.MaxInt32-4 || size+4 > uint64(len(d.b)) {
		return errRecord
	}
	l := loc{seg: seg, off: end - int64(len(d.b)), n: int32(size + 4)}
	e, err := parseEntry(d.take(int(size)+4), at(seg.seed, l.off))
	if err != nil {
		return err
	}
	l.payload = int32(e.PayloadSize())
	o.batch.Entries = append(o.batch.Entries, e)
	o.locs = append(o.locs, l)
	return nil
}

// parseEntry verifies and decodes an entry from its checksum on. Data and Ext
// are cut from b, with no room to grow.
func parseEntry(b []byte, seed uint32) (raftlog.Entry, error) {
	if len(b) < 4 || frame.Sum(seed, b[4:]) != binary.LittleEndian.Uint32(b) {
		return raftlog.Entry{}, errEntrySum
	}
	d := decoder{b: b[4:]}
	e := raftlog.Entry{Kind: raftlog.Kind(d.byte())}
	flags := d.byte()
	e.Index, e.Term = d.uvarint(), d.uvarint()
	if flags&flagTime != 0 {
		sec, nsec := d.varint(), d.uvarint()
		if nsec >= 1e9 {
			return raftlog.Entry{}, errRecord
		}
		if e.Time = time.Unix(sec, int64(nsec)).UTC(); e.Time.IsZero() || e.Time.Unix() != sec {
			return raftlog.Entry{}, errRecord
		}
	}
	if flags&flagExt != 0 {
		e.Ext = d.bytes()
	}
	if flags&flagData != 0 {
		e.Data = d.take(len(d.b))
	}
	if d.err != nil || len(d.b) > 0 || flags >= flagTime<<1 {
		return raftlog.Entry{}, errRecord
	}
	return e, nil
}
