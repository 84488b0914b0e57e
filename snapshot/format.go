package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// Frozen: part of format v1. docs/format/snapshot.md draws the bytes.
const (
	magic   = "TRISNAP\n"
	version = 1

	preambleSize  = 32 // magic, version, nonce, checksum
	headerFixed   = 56 // header payload before the membership
	chunkPrefix   = 8  // raw length, codec and zeros before the stored bytes
	entrySize     = 48 // one chunk in the table
	pageEntries   = 4096
	trailerFixed  = 72
	trailerSize   = frame.HeaderSize + trailerFixed
	smallestSize  = preambleSize + frame.HeaderSize + headerFixed + trailerSize
	maxChunk      = 4 << 20 // raw bytes of one chunk
	maxMembership = 4 << 20

	kindHeader  = 1
	kindChunk   = 2
	kindTable   = 3
	kindTrailer = 4
)

var (
	le        = binary.LittleEndian
	errDigest = errors.New("digest mismatch")
	errShort  = errors.New("ends too early")
)

// payloadLimit is the longest payload of a kind of frame, 0 if there is no
// such kind.
func payloadLimit(kind byte) uint32 {
	switch kind {
	case kindHeader:
		return headerFixed + maxMembership
	case kindChunk:
		return chunkPrefix + maxChunk
	case kindTable:
		return pageEntries * entrySize
	case kindTrailer:
		return trailerFixed
	}
	return 0
}

// nonce is random and tells containers apart: every checksum starts from it
// and from the place of its frame, so that bytes of another container, or from
// elsewhere in this one, do not verify.
type nonce [16]byte

func (n nonce) seed(off int64) uint32 {
	var b [24]byte
	copy(b[:], n[:])
	le.PutUint64(b[16:], uint64(off))
	return frame.Sum(0, b[:])
}

func appendPreamble(b []byte, n nonce) []byte {
	start := len(b)
	b = append(b, magic...)
	b = le.AppendUint32(b, version)
	b = append(b, n[:]...)
	return le.AppendUint32(b, frame.Sum(0, b[start:]))
}

// parsePreamble needs preambleSize bytes. Its layout stays the same in every
// version, so that a newer one is told from damage.
func parsePreamble(p place, b []byte) (nonce, error) {
	if string(b[:len(magic)]) != magic {
		return nonce{}, p.damaged(0, "no snapshot container begins like this")
	}
	if frame.Sum(0, b[:28]) != le.Uint32(b[28:]) {
		return nonce{}, p.damaged(0, "preamble checksum mismatch")
	}
	if v := le.Uint32(b[8:]); v != version {
		return nonce{}, fmt.Errorf("%s has format version %d, this build reads version %d: %w", p.path, v, version, fault.ErrUnsupported)
	}
	return nonce(b[12:28]), nil
}

// header is what a container says first.
type header struct {
	nonce   nonce
	info    Info
	created time.Time
	codec   Codec
	level   int
}

// appendHeader appends the preamble and the header frame.
func appendHeader(b []byte, h header) []byte {
	base := len(b)
	b = appendPreamble(b, h.nonce)
	start := len(b)
	b = frame.Begin(b)
	b = append(b, byte(h.codec), byte(h.level), 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(b, h.info.Index)
	b = le.AppendUint64(b, h.info.Term)
	b = le.AppendUint64(b, h.info.MembershipIndex)
	b = le.AppendUint64(b, uint64(h.created.Unix()))
	b = le.AppendUint32(b, uint32(h.created.Nanosecond()))
	b = le.AppendUint32(b, uint32(h.info.Clock.Nanosecond()))
	b = le.AppendUint64(b, uint64(h.info.Clock.Unix()))
	b = append(b, h.info.Membership...)
	frame.Finish(b, start, kindHeader, h.nonce.seed(int64(start-base)))
	return b
}

// parseHeader reads the payload of the header frame.
func parseHeader(p place, n nonce, b []byte) (header, error) {
	bad := func(format string, args ...any) (header, error) {
		return header{}, p.damaged(preambleSize, "header: "+format, args...)
	}
	if len(b) < headerFixed {
		return bad("%d bytes, want %d at least", len(b), headerFixed)
	}
	h := header{nonce: n, codec: Codec(b[0]), level: int(b[1])}
	if [6]byte(b[2:8]) != [6]byte{} {
		return bad("reserved bytes are not zero")
	}
	if _, _, err := resolve(h.codec, h.level, 0, 0); err != nil || (h.level == 0) != (h.codec == CodecNone) {
		return bad("codec %v with level %d", h.codec, h.level)
	}
	h.info = Info{Index: le.Uint64(b[8:]), Term: le.Uint64(b[16:]), MembershipIndex: le.Uint64(b[24:])}
	createdNano, clockNano := le.Uint32(b[40:]), le.Uint32(b[44:])
	if createdNano > 999_999_999 || clockNano > 999_999_999 {
		return bad("a time has more than a second of nanoseconds")
	}
	h.created = time.Unix(int64(le.Uint64(b[32:])), int64(createdNano)).UTC()
	h.info.Clock = time.Unix(int64(le.Uint64(b[48:])), int64(clockNano)).UTC()
	h.info.Membership = b[headerFixed:]
	if err := h.info.check(); err != nil {
		return bad("%v", err)
	}
	h.info = h.info.clone()
	return h, nil
}

// size is the number of bytes of preamble and header frame.
func (h header) size() int64 {
	return preambleSize + frame.HeaderSize + headerFixed + int64(len(h.info.Membership))
}

// trailer is what a container says last.
type trailer struct {
	entries uint64
	raw     int64 // payload bytes
	size    int64 // of the container, trailer included
	digest  [32]byte
	chunks  int64
	table   int64 // offset of the first table frame
}

func (t trailer) offset() int64 { return t.size - trailerSize }

func appendTrailer(b []byte, n nonce, t trailer) []byte {
	start := len(b)
	b = frame.Begin(b)
	b = le.AppendUint64(b, t.entries)
	b = le.AppendUint64(b, uint64(t.raw))
	b = le.AppendUint64(b, uint64(t.size))
	b = append(b, t.digest[:]...)
	b = le.AppendUint64(b, uint64(t.chunks))
	b = le.AppendUint64(b, uint64(t.table))
	frame.Finish(b, start, kindTrailer, n.seed(t.offset()))
	return b
}

// parseTrailer reads the payload of the trailer frame that was found at off,
// and checks that what it says fits into the bytes before it.
func parseTrailer(p place, h header, off int64, b []byte) (trailer, error) {
	bad := func(format string, args ...any) (trailer, error) {
		return trailer{}, p.damaged(off, "trailer: "+format, args...)
	}
	if len(b) != trailerFixed {
		return bad("%d bytes, want %d", len(b), trailerFixed)
	}
	t := trailer{
		entries: le.Uint64(b), raw: int64(le.Uint64(b[8:])), size: int64(le.Uint64(b[16:])),
		digest: [32]byte(b[24:]), chunks: int64(le.Uint64(b[56:])), table: int64(le.Uint64(b[64:])),
	}
	switch {
	case t.raw < 0 || t.chunks < 0 || t.table < 0:
		return bad("a size of 2^63 or more")
	case t.offset() != off:
		return bad("is at %d and says that the container has %d bytes", off, t.size)
	case t.table < h.size() || t.table > off:
		return bad("table at %d of %d", t.table, off)
	case t.chunks > (off-t.table)/entrySize || tableSize(t.chunks) != off-t.table:
		return bad("table of %d bytes for %d chunks", off-t.table, t.chunks)
	case t.raw < t.chunks || t.raw/maxChunk > t.chunks:
		return bad("%d bytes of payload in %d chunks", t.raw, t.chunks)
	}
	return t, nil
}

// tableSize is the number of bytes of the table of so many chunks, which the
// caller knows to be few enough.
func tableSize(chunks int64) int64 {
	pages := (chunks + pageEntries - 1) / pageEntries
	return pages*frame.HeaderSize + chunks*entrySize
}

// readFull fills b. Unlike io.ReadFull it returns io.EOF only when r did.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

// ended reports whether a reader came to its proper end; an io.EOF that is
// wrapped is somebody's failure.
func ended(err error) bool { return err == io.EOF } //nolint:errorlint // see above
