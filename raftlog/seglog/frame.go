package seglog

import (
	"encoding/binary"
	"errors"

	"github.com/trimarandb/trimaran/internal/frame"
)

// Frozen: part of format v1. The frames behind a segment's header.
//
//	0       4    5     6    8     16          24     28    32     36    40
//	| len   |kind|flags| 0  | seq | durableTo | prev | sum | 0    | head |
const (
	frameSize = 40

	flagBlock = 1 << 0 // the next frame begins at the next block
)

// frameHead is what precedes a payload. It lies at a multiple of 8 bytes, and
// so does the payload's end.
type frameHead struct {
	len       uint32 // of the payload
	kind      byte
	flags     byte
	seq       uint64 // one more than that of the frame before, also across segments
	durableTo int64  // in this segment, everything before was synced when this was written
	prev      uint32 // head of the frame before
	sum       uint32 // of the payload: see sumPayload and records.sum
	head      uint32 // of the bytes before, at their place
}

// put encodes h for its place and returns its checksum.
func (h *frameHead) put(b []byte, seed uint32, off int64) uint32 {
	clear(b[:frameSize])
	binary.LittleEndian.PutUint32(b, h.len)
	b[4], b[5] = h.kind, h.flags
	binary.LittleEndian.PutUint64(b[8:], h.seq)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.durableTo))
	binary.LittleEndian.PutUint32(b[24:], h.prev)
	binary.LittleEndian.PutUint32(b[28:], h.sum)
	h.head = frame.Sum(at(seed, off), b[:frameSize-4])
	binary.LittleEndian.PutUint32(b[frameSize-4:], h.head)
	return h.head
}

// maybeFrame is a quick look at a word of bytes where a frame might begin: no
// frame has another kind, an unknown flag or a length that is not a multiple
// of 8.
func maybeFrame(word uint64) bool {
	kind := word >> 32 & 0xff
	return word>>40 <= flagBlock && (kind == kindBatch || kind == kindCheckpoint || kind == kindSeal) && word&(alignment-1) == 0
}

// parseFrameHead reads the frame header at the start of b. It says nothing of
// the payload.
func parseFrameHead(b []byte, seed uint32, off int64) (h frameHead, err error) {
	if len(b) < frameSize {
		return h, frame.ErrShort
	}
	if !maybeFrame(binary.LittleEndian.Uint64(b)) {
		return h, frame.ErrHeader
	}
	h = frameHead{
		len:       binary.LittleEndian.Uint32(b),
		kind:      b[4],
		flags:     b[5],
		seq:       binary.LittleEndian.Uint64(b[8:]),
		durableTo: int64(binary.LittleEndian.Uint64(b[16:])),
		prev:      binary.LittleEndian.Uint32(b[24:]),
		sum:       binary.LittleEndian.Uint32(b[28:]),
		head:      binary.LittleEndian.Uint32(b[36:]),
	}
	if frame.Sum(at(seed, off), b[:frameSize-4]) != h.head || binary.LittleEndian.Uint32(b[32:]) != 0 {
		return h, frame.ErrHeader
	}
	return h, nil
}

// end is where the next frame begins, for a frame at off.
func (h *frameHead) end(off int64) int64 {
	n := off + frameSize + int64(h.len)
	if h.flags&flagBlock != 0 {
		n = blocks(n)
	}
	return n
}

// sumPayload is the checksum of a payload that is no batch.
func sumPayload(seed uint32, off int64, payload []byte) uint32 {
	return frame.Sum(at(seed, off+frameSize), payload)
}

// appendFrame encodes a whole frame of another kind than batch for its place.
func appendFrame(b []byte, h frameHead, seed uint32, off int64, fill func([]byte) []byte) ([]byte, frameHead) {
	start := len(b)
	b = append(b, make([]byte, frameSize)...)
	b = fill(b)
	b = append(b, make([]byte, -len(b[start:])&(alignment-1))...)
	payload := b[start+frameSize:]
	h.len = uint32(len(payload))
	h.sum = sumPayload(seed, off, payload)
	h.put(b[start:], seed, off)
	return b, h
}

// mask ties an entry's checksum to its segment, place, index, term and size,
// so that an intact entry in the wrong place does not verify. It is applied
// when the place is known, without another look at the bytes.
func mask(seed uint32, off int64, index, term uint64, size uint32) uint32 {
	x := mix(uint64(seed)<<32 ^ uint64(size))
	x = mix(x ^ uint64(off))
	x = mix(x ^ index)
	return uint32(mix(x ^ term))
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

var errFramePayload = errors.New("frame payload checksum mismatch")
