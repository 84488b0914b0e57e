// Package frame is the framing that every file we write shares: a length that
// is never trusted before its own checksum held, and a checksum of the
// payload.
//
//	 0       4       8      12      16
//	+-------+-------+-------+-------+---------+
//	| len   |kind|0 | sum   | head  | payload |
//	+-------+-------+-------+-------+---------+
//
// All integers are little endian. sum is the CRC-32C of the payload, head that
// of the twelve bytes before it. Both start from a seed that the caller
// derives from the place where the frame belongs, so that an intact frame in
// the wrong place does not verify.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// HeaderSize is the number of bytes before a payload. Frozen: part of every
// format v1.
const HeaderSize = 16

var (
	// ErrShort: the bytes end inside the frame.
	ErrShort = errors.New("frame is cut short")
	// ErrHeader: the header's checksum does not hold; its length means nothing.
	ErrHeader = errors.New("frame header checksum mismatch")
	// ErrPayload: the payload's checksum does not hold.
	ErrPayload = errors.New("frame payload checksum mismatch")
	// ErrTooLong: the length is intact and over the reader's limit.
	ErrTooLong = errors.New("frame is longer than allowed")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum continues the CRC-32C seed over b.
func Sum(seed uint32, b []byte) uint32 { return crc32.Update(seed, castagnoli, b) }

// Shift turns the sum of n bytes that began with seed 0 into what Sum(seed, ...)
// of the same bytes is, in a time that hardly depends on n: so the bytes can be
// summed before the seed is known.
func Shift(sum, seed uint32, n int) uint32 {
	// A checksum is a remainder of polynomials over bits, so the seed moves up
	// by 8n places: it is multiplied with x^8n. Bit 31 is the coefficient of 1.
	power, square := uint32(1)<<31, uint32(1)<<23
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			power = multiply(power, square)
		}
		square = multiply(square, square)
	}
	return sum ^ multiply(power, seed)
}

// multiply multiplies modulo the polynomial of CRC-32C.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}

// Header is what precedes a payload.
type Header struct {
	Kind byte
	Len  uint32
	Sum  uint32
}

// Begin reserves a header at the end of b. Append the payload after it, then
// call Finish with the length that b had before Begin.
func Begin(b []byte) []byte { return append(b, make([]byte, HeaderSize)...) }

// Finish fills the header at b[start:] for the payload that follows it. The
// payload must be shorter than 4 GiB.
func Finish(b []byte, start int, kind byte, seed uint32) {
	Seal(b, start, kind, seed, Sum(seed, b[start+HeaderSize:]))
}

// Seal is Finish for a payload whose Sum the caller knows.
func Seal(b []byte, start int, kind byte, seed, sum uint32) {
	payload := b[start+HeaderSize:]
	if uint64(len(payload)) > math.MaxUint32 {
		panic(fmt.Sprintf("frame: payload of %d bytes", len(payload)))
	}
	h := b[start : start+HeaderSize]
	clear(h)
	binary.LittleEndian.PutUint32(h, uint32(len(payload)))
	h[4] = kind
	binary.LittleEndian.PutUint32(h[8:], sum)
	binary.LittleEndian.PutUint32(h[12:], Sum(seed, h[:12]))
}

// Append appends a whole frame to b.
func Append(b []byte, kind byte, seed uint32, payload []byte) []byte {
	start := len(b)
	b = append(Begin(b), payload...)
	Finish(b, start, kind, seed)
	return b
}

// Parse reads the header at the start of b: ErrShort or ErrHeader when there
// is none. It says nothing of the payload.
func Parse(b []byte, seed uint32) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, ErrShort
	}
	if Sum(seed, b[:12]) != binary.LittleEndian.Uint32(b[12:]) || b[5]|b[6]|b[7] != 0 {
		return Header{}, ErrHeader
	}
	return Header{
		Kind: b[4],
		Len:  binary.LittleEndian.Uint32(b),
		Sum:  binary.LittleEndian.Uint32(b[8:]),
	}, nil
}

// Check verifies the payload that came with h.
func (h Header) Check(seed uint32, payload []byte) error {
	if uint64(len(payload)) != uint64(h.Len) {
		return ErrShort
	}
	if Sum(seed, payload) != h.Sum {
		return ErrPayload
	}
	return nil
}
