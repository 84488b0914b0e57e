package kv

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/trimarandb/trimaran/internal/frame"
)

// Frozen: part of format v1. The frames of an export, in this order: a header,
// the index definitions by name, the rows by key, a trailer.
const (
	frameHeader  = 1
	frameIndex   = 2
	frameRows    = 3
	frameTrailer = 4

	streamSeed    = 0x54726b76 // "Trkv"
	streamMagic   = "trimaran kv export"
	streamVersion = 1

	// A frame of rows ends where the key of the next row says so, see
	// cutLevel, or once it has this many bytes.
	frameBytes = 256 << 10
)

// Frozen: part of format v1. Of the keys that begin a range of one level, one
// in 2^cutStep begins a range of the next; one key in 2^cutBits begins a range
// of level 0.
const (
	cutSeed   = 0x6b766375 // "kvcu"
	cutBits   = 8
	cutStep   = 4
	cutLevels = 7
)

// cutLevel is the highest level in which key begins a range, -1 for none. It
// depends on the key alone, so a row that comes or goes moves no other
// boundary.
func cutLevel(key []byte) int {
	zeros := bits.LeadingZeros32(frame.Sum(cutSeed, key) * 0x9e3779b1)
	if zeros < cutBits {
		return -1
	}
	return min((zeros-cutBits)/cutStep, cutLevels-1)
}

// appendStreamRow writes a row: both lengths, the key, and the row as it is
// stored.
func appendStreamRow(b, key, raw []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(raw)))
	return append(append(b, key...), raw...)
}

// streamRow reads the first row of b and returns it, its encoding and the
// rest, all aliases of b.
func streamRow(b []byte) (x stored, encoded, rest []byte, err error) {
	d := decoder{b: b}
	keyLen, rawLen := d.u32(), d.u32()
	x.key, x.raw = d.take(uint64(keyLen)), d.take(uint64(rawLen))
	if d.short || len(x.key) == 0 {
		return x, nil, nil, damaged("row of %d and %d bytes in a frame of %d", keyLen, rawLen, len(b))
	}
	x.row, err = parseRow(x.raw)
	return x, b[:len(b)-len(d.b)], d.b, err
}

// cutBefore reports whether an open frame of size bytes has to end before the
// row of key.
func cutBefore(size int, key []byte) bool {
	return size >= frameBytes || size > 0 && cutLevel(key) >= 0
}

// trailer closes an export.
type trailer struct {
	rows, bytes uint64
	root        Sum
	mark        mark
}

func (t trailer) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, t.rows)
	b = binary.BigEndian.AppendUint64(b, t.bytes)
	b = append(b, t.root[:]...)
	b = binary.BigEndian.AppendUint64(b, t.mark.index)
	b = binary.BigEndian.AppendUint64(b, t.mark.term)
	b = binary.BigEndian.AppendUint64(b, t.mark.clock)
	b = binary.BigEndian.AppendUint64(b, t.mark.membershipIndex)
	return appendBytes(b, t.mark.membership)
}

func parseTrailer(b []byte) (trailer, error) {
	d := decoder{b: append([]byte(nil), b...)}
	t := trailer{rows: d.u64(), bytes: d.u64()}
	copy(t.root[:], d.take(uint64(len(t.root))))
	t.mark = mark{index: d.u64(), term: d.u64(), clock: d.u64(), membershipIndex: d.u64(), membership: d.bytes()}
	if !d.end() || t.mark.clock > math.MaxInt64 || t.mark.membershipIndex > t.mark.index {
		return t, damaged("trailer of %d bytes", len(b))
	}
	return t, nil
}

func streamHeader() []byte { return append([]byte(streamMagic), streamVersion) }
