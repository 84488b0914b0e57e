package simdisk

import (
	"bytes"
	"encoding/binary"
	"hash/crc64"
	"io"
	"slices"
	"sync/atomic"
)

// SectorSize is what a disk writes at once, in bytes.
const SectorSize = 512

// sector never changes once it is part of a content, so that disks share it.
type sector struct {
	b   [SectorSize]byte
	sum atomic.Uint64 // digest of b, 0 while nobody asked
}

var (
	crcTable = crc64.MakeTable(crc64.ECMA)
	noBytes  [SectorSize]byte
)

const zeros = 2 // the digest of a sector without any other byte, as of one never written

func (s *sector) digest() uint64 {
	if s == nil {
		return zeros
	}
	sum := s.sum.Load()
	switch {
	case sum != 0:
		return sum
	case s.b == noBytes:
		sum = zeros
	default:
		sum = mix(crc64.Checksum(s.b[:], crcTable)) | 1
	}
	s.sum.Store(sum)
	return sum
}

// share is what s adds to the digest of a file in which it is sector i.
func (s *sector) share(i int) uint64 {
	d := s.digest()
	if d == zeros {
		return 0
	}
	return mix(d ^ mix(uint64(i)))
}

// with returns s with p at off.
func (s *sector) with(off int, p []byte) *sector {
	n := &sector{}
	if s != nil {
		n.b = s.b
	}
	copy(n.b[off:], p)
	return n
}

// without returns s with zeros from off on.
func (s *sector) without(off int) *sector {
	if s == nil || bytes.Equal(s.b[off:], noBytes[off:]) {
		return s
	}
	n := &sector{}
	copy(n.b[:off], s.b[:])
	return n
}

// content is the bytes of a file. A nil sector reads as zeros; bytes beyond
// size are zeros.
type content struct {
	sectors []*sector
	size    int64
	shared  bool // sectors belong to another content too
}

func sectorsFor(size int64) int { return int((size + SectorSize - 1) / SectorSize) }

func (c *content) sector(i int) *sector {
	if i < len(c.sectors) {
		return c.sectors[i]
	}
	return nil
}

// put replaces the sectors from first on. Those beyond size go.
func (c *content) put(first int, sectors []*sector, size int64) {
	if c.shared {
		c.sectors, c.shared = slices.Clone(c.sectors), false
	}
	n := sectorsFor(size)
	if n > len(c.sectors) {
		c.sectors = append(c.sectors, make([]*sector, n-len(c.sectors))...)
	}
	copy(c.sectors[min(first, len(c.sectors)):], sectors)
	clear(c.sectors[n:])
	c.sectors = c.sectors[:n]
	c.size = size
}

func (c *content) readAt(p []byte, off int64) (int, error) {
	if off >= c.size {
		return 0, io.EOF
	}
	want := len(p)
	p = p[:min(int64(len(p)), c.size-off)]
	for n := 0; n < len(p); {
		at := off + int64(n)
		in := int(at % SectorSize)
		k := min(SectorSize-in, len(p)-n)
		if s := c.sector(int(at / SectorSize)); s != nil {
			copy(p[n:n+k], s.b[in:])
		} else {
			clear(p[n : n+k])
		}
		n += k
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return len(p), nil
}

// bytes returns a copy of everything.
func (c *content) bytes() []byte {
	b := make([]byte, c.size)
	for i, s := range c.sectors {
		if s != nil {
			copy(b[i*SectorSize:], s.b[:])
		}
	}
	return b
}

// written returns the sectors that p at off makes, from the first one on.
func (c *content) written(p []byte, off int64) (first int, sectors []*sector) {
	first = int(off / SectorSize)
	sectors = make([]*sector, 0, sectorsFor(off+int64(len(p)))-first)
	for n := 0; n < len(p); {
		at := off + int64(n)
		in := int(at % SectorSize)
		k := min(SectorSize-in, len(p)-n)
		sectors = append(sectors, c.sector(int(at/SectorSize)).with(in, p[n:n+k]))
		n += k
	}
	return first, sectors
}

// shortened returns the sectors that a truncation to size changes: none if the
// file grows by it.
func (c *content) shortened(size int64) (first int, sectors []*sector) {
	first = int(size / SectorSize)
	if size >= c.size || first >= len(c.sectors) {
		return first, nil
	}
	sectors = make([]*sector, len(c.sectors)-first)
	if in := int(size % SectorSize); in > 0 {
		sectors[0] = c.sectors[first].without(in)
	}
	return first, sectors
}

// frozen is a content that changes no more, and its digest so far.
type frozen struct {
	content
	sum uint64 // of the shares of the sectors
}

func freeze(c content) *frozen {
	f := &frozen{content: c}
	f.shared = true
	for i, s := range c.sectors {
		f.sum += s.share(i)
	}
	return f
}

// thaw returns a copy with places for n sectors, to be changed with set and
// frozen by cut.
func (f *frozen) thaw(n int) *frozen {
	c := &frozen{content: content{sectors: make([]*sector, max(n, len(f.sectors))), size: f.size, shared: true}, sum: f.sum}
	copy(c.sectors, f.sectors)
	return c
}

func (f *frozen) set(i int, s *sector) {
	if old := f.sectors[i]; old != s {
		f.sum += s.share(i) - old.share(i)
		f.sectors[i] = s
	}
}

// cut drops what lies beyond size.
func (f *frozen) cut() {
	n := sectorsFor(f.size)
	for i := n; i < len(f.sectors); i++ {
		f.set(i, nil)
	}
	f.sectors = f.sectors[:min(n, len(f.sectors))]
	if rest := int(f.size % SectorSize); rest != 0 && len(f.sectors) == n {
		f.set(n-1, f.sectors[n-1].without(rest))
	}
}

func (f *frozen) digest() uint64 { return mix(f.sum ^ mix(uint64(f.size))) }

// mix spreads the bits of x (the finisher of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// garbage is noise that depends on seed alone.
func garbage(seed uint64) [SectorSize]byte {
	var b [SectorSize]byte
	for i := 0; i < len(b); i += 8 {
		seed = mix(seed)
		binary.LittleEndian.PutUint64(b[i:], seed)
	}
	return b
}
