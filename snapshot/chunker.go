package snapshot

import "math/bits"

// chunker decides where a stream is cut, from the bytes themselves, so that an
// insertion moves the cuts near it and no others. A chunk is at least a
// quarter of the target and at most four times it. Past the smallest length a
// rolling hash of the last 64 bytes cuts where its upper bits are zero; one
// bit more is asked for before the target and one less after it, which keeps
// the lengths close together.
type chunker struct {
	smallest, target, largest int
	early, late               uint64 // masks before and after the target
	hash                      uint64
	pos                       int // bytes of the current chunk that were looked at
}

// Frozen: part of format v1. Readers do not depend on where a chunk ends, but
// nodes share chunks only as far as they cut alike.
const (
	gearSeed      = 0x7472696d6172616e // "trimaran"
	gearWindow    = 64
	defaultTarget = 1 << 20
	smallestRatio = 4
	largestRatio  = 4
)

// gearTable is splitmix64 of gearSeed.
var gearTable = func() (table [256]uint64) {
	state := uint64(gearSeed)
	for i := range table {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		table[i] = z ^ z>>31
	}
	return table
}()

// newChunker cuts around target, which must be a power of two.
func newChunker(target int) chunker {
	n := bits.TrailingZeros(uint(target))
	return chunker{
		smallest: target / smallestRatio, target: target, largest: target * largestRatio,
		early: ^uint64(0) << (64 - n - 1), late: ^uint64(0) << (64 - n + 1),
	}
}

// cut looks at chunk, which begins where the last cut was and has grown since
// the last call. It returns the length at which to cut, or 0 if more bytes are
// needed.
func (c *chunker) cut(chunk []byte) int {
	end := min(len(chunk), c.largest)
	i, hash := max(c.pos, c.smallest-gearWindow), c.hash
	for ; i < min(end, c.smallest); i++ {
		hash = hash<<1 + gearTable[chunk[i]]
	}
	for _, part := range [...]struct {
		to   int
		mask uint64
	}{{c.target, c.early}, {c.largest, c.late}} {
		if to := min(end, part.to); i < to {
			var n int
			if hash, n = roll(hash, chunk[i:to], part.mask); n > 0 {
				c.hash, c.pos = 0, 0
				return i + n
			}
			i = to
		}
	}
	if end == c.largest {
		c.hash, c.pos = 0, 0
		return end
	}
	c.hash, c.pos = hash, end
	return 0
}

// roll continues the hash over b, and stops behind the first byte that makes
// the bits of mask zero; n is 0 if there is none. Four bytes at a time spare
// the processor from waiting for each addition before it begins the next.
func roll(hash uint64, b []byte, mask uint64) (_ uint64, n int) {
	t := &gearTable
	for ; n+4 <= len(b); n += 4 {
		q := b[n : n+4 : n+4]
		t0, t1, t2, t3 := t[q[0]], t[q[1]], t[q[2]], t[q[3]]
		h1, h2 := hash<<1+t0, hash<<2+(t0<<1+t1)
		h3, h4 := h2<<1+t2, h2<<2+(t2<<1+t3)
		if h1&mask == 0 || h2&mask == 0 || h3&mask == 0 || h4&mask == 0 {
			break
		}
		hash = h4
	}
	for ; n < len(b); n++ {
		if hash = hash<<1 + t[b[n]]; hash&mask == 0 {
			return hash, n + 1
		}
	}
	return hash, 0
}
