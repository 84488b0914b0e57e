package seglog

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1. An entry is a record of its own within a run,
// which says its index and term.
//
//	0       4     8
//	| size  | crc | body | zeros up to a multiple of 8
//
// size is that of the body; its top bit says that the body is extended: kind,
// flags, time, Ext and Data. Otherwise the body is Data of a normal entry. crc
// is the CRC-32C of the body, xor mask.
const (
	entryHead = 8
	extended  = 1 << 31

	flagData = 1 << 0 // Data is not nil
	flagExt  = 1 << 1 // Ext is not nil
	flagTime = 1 << 2 // Time is not zero
)

var (
	errRecord   = errors.New("record is malformed")
	errEntrySum = errors.New("entry checksum mismatch")
)

// plain reports whether the body of e is its Data alone.
func plain(e *raftlog.Entry) bool {
	return e.Kind == raftlog.Normal && e.Ext == nil && e.Data != nil && e.Time.IsZero()
}

// appendEntry encodes e, its checksum not masked yet.
func appendEntry(b []byte, e *raftlog.Entry) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	flag := uint32(0)
	sum := uint32(0)
	if !plain(e) {
		flag = extended
		b = appendEntryHead(b, e)
		sum = frame.Sum(0, b[start+entryHead:])
		b, sum = appendSummed(b, sum, e.Ext)
	}
	b, sum = appendSummed(b, sum, e.Data)
	size := len(b) - start - entryHead
	binary.LittleEndian.PutUint32(b[start:], uint32(size)|flag)
	binary.LittleEndian.PutUint32(b[start+4:], sum)
	return pad8(b, start)
}

// pad8 appends zeros until what begins at start is a multiple of 8 bytes long.
func pad8(b []byte, start int) []byte {
	var zeros [alignment]byte
	return append(b, zeros[:-(len(b)-start)&(alignment-1)]...)
}

// appendSummed copies p and sums it on the way, in pieces that stay in the
// cache between the two.
func appendSummed(b []byte, sum uint32, p []byte) ([]byte, uint32) {
	const piece = 16 << 10
	for len(p) > piece {
		b = append(b, p[:piece]...)
		sum = frame.Sum(sum, b[len(b)-piece:])
		p = p[piece:]
	}
	b = append(b, p...)
	return b, frame.Sum(sum, b[len(b)-len(p):])
}

// appendEntryHead encodes all of an extended body but the bytes of Ext and Data.
func appendEntryHead(b []byte, e *raftlog.Entry) []byte {
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
	if flags&flagTime != 0 {
		b = binary.AppendVarint(b, e.Time.Unix())
		b = binary.AppendUvarint(b, uint64(e.Time.Nanosecond()))
	}
	if flags&flagExt != 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Ext)))
	}
	return b
}

// entryRoom is the most that an entry takes beyond its payload.
const entryRoom = entryHead + 2 + 3*binary.MaxVarintLen64 + alignment

// entrySpan is how many bytes the entry at the start of b occupies, as it says
// itself.
func entrySpan(b []byte) int64 {
	return entryHead + aligned(int64(binary.LittleEndian.Uint32(b)&^extended))
}

// maskEntry ties the entry at the start of b, or unties it again, to a place.
func maskEntry(b []byte, seed uint32, off int64, index, term uint64) {
	size, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	binary.LittleEndian.PutUint32(b[4:], sum^mask(seed, off, index, term, size))
}

// parseEntry verifies and decodes the entry at the start of b, which must be
// the one with that index and term in that place. Data and Ext are cut from b,
// with no room to grow. trusted says that the checksum held before.
func parseEntry(b []byte, seed uint32, off int64, index, term uint64, trusted bool) (e raftlog.Entry, err error) {
	if len(b) < entryHead {
		return e, errRecord
	}
	word := binary.LittleEndian.Uint32(b)
	size := int64(word &^ extended)
	if entryHead+size > int64(len(b)) {
		return e, errEntrySum
	}
	body := b[entryHead : entryHead+size : entryHead+size]
	if !trusted && frame.Sum(0, body)^mask(seed, off, index, term, word) != binary.LittleEndian.Uint32(b[4:]) {
		return e, errEntrySum
	}
	e.Index, e.Term = index, term
	if word&extended == 0 {
		e.Data = body
		return e, nil
	}
	return e, parseExtended(body, &e)
}

func parseExtended(body []byte, e *raftlog.Entry) error {
	d := decoder{b: body}
	e.Kind = raftlog.Kind(d.byte())
	flags := d.byte()
	if flags&flagTime != 0 {
		sec, nsec := d.varint(), d.uvarint()
		if nsec >= 1e9 {
			return errRecord
		}
		if e.Time = time.Unix(sec, int64(nsec)).UTC(); e.Time.IsZero() || e.Time.Unix() != sec {
			return errRecord
		}
	}
	ext := uint64(0)
	if flags&flagExt != 0 {
		ext = d.uvarint()
	}
	if ext > uint64(len(d.b)) || flags >= flagTime<<1 {
		return errRecord
	}
	if flags&flagExt != 0 {
		e.Ext = d.take(int(ext))
	}
	if flags&flagData != 0 {
		e.Data = d.take(len(d.b))
	}
	if d.err != nil || len(d.b) > 0 || plain(e) {
		return errRecord
	}
	return nil
}
