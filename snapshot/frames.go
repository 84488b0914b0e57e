package snapshot

import (
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/trimarandb/trimaran/internal/frame"
)

// appendBytes reads n bytes at off and appends them to buf, which it grows in
// steps as they arrive. The end of r inside them is damage; another error is
// returned as it came.
func appendBytes(p place, r io.Reader, off int64, n int, buf []byte) ([]byte, error) {
	const step = 256 << 10
	start := len(buf)
	for len(buf) < start+n {
		have := len(buf)
		want := min(start+n, max(2*have, step))
		buf = slices.Grow(buf, want-have)[:want]
		got, err := readFull(r, buf[have:])
		found := have - start + got
		if ended(err) {
			return nil, p.broken(off+int64(found), fmt.Sprintf("%d bytes wanted, %d found", n, found), errShort)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s at %d: %w", p.path, off+int64(found), err)
		}
	}
	return buf, nil
}

// roomFor returns b without its bytes, or another buffer, with room for n, which
// the caller knows to be within the limits of the format. There are few sizes,
// so that a buffer that is used again and again is seldom replaced, and a long
// one only once: memory that was never written to costs nothing.
func roomFor(b []byte, n int) []byte {
	const long, most = 512 << 10, maxChunk + 64<<10 // with what frames and codecs add
	switch {
	case cap(b) >= n:
		return b[:0]
	case n > long:
		return make([]byte, 0, max(n, most))
	}
	return make([]byte, 0, 1<<bits.Len(uint(n-1)))
}

// readFrame reads a frame of a known kind and payload length into buf and
// verifies it. It returns the whole frame.
func readFrame(p place, r io.Reader, off int64, n nonce, kind byte, size int, buf []byte) ([]byte, error) {
	b, err := appendBytes(p, r, off, frame.HeaderSize+size, buf[:0])
	if err != nil {
		return nil, err
	}
	return b, checkFrame(p, off, n.seed(off), kind, b)
}

// checkFrame verifies a whole frame of a known kind.
func checkFrame(p place, off int64, seed uint32, kind byte, b []byte) error {
	fh, err := frame.Parse(b, seed)
	if err != nil {
		return p.broken(off, "", err)
	}
	if fh.Kind != kind || int64(fh.Len) != int64(len(b)-frame.HeaderSize) {
		return p.damaged(off, "frame of kind %d with %d bytes, want kind %d with %d", fh.Kind, fh.Len, kind, len(b)-frame.HeaderSize)
	}
	if err := fh.Check(seed, b[frame.HeaderSize:]); err != nil {
		return p.broken(off, "", err)
	}
	return nil
}

// readAnyFrame reads the frame that its own header describes into buf, as far
// as the format allows its kind to be that long, and verifies it. It returns
// the whole frame.
func readAnyFrame(p place, r io.Reader, off int64, seed uint32, buf []byte) (byte, []byte, error) {
	b, err := appendBytes(p, r, off, frame.HeaderSize, buf[:0])
	if err != nil {
		return 0, nil, err
	}
	fh, err := frame.Parse(b, seed)
	if err != nil {
		return 0, nil, p.broken(off, "", err)
	}
	if limit := payloadLimit(fh.Kind); fh.Len > limit {
		return 0, nil, p.damaged(off, "frame of kind %d with %d bytes, at most %d", fh.Kind, fh.Len, limit)
	}
	b, err = appendBytes(p, r, off+frame.HeaderSize, int(fh.Len), b)
	if err != nil {
		return 0, nil, err
	}
	if err := fh.Check(seed, b[frame.HeaderSize:]); err != nil {
		return 0, nil, p.broken(off, "", err)
	}
	return fh.Kind, b, nil
}

// readHeader reads preamble and header from the front of a container.
func readHeader(p place, r io.Reader) (header, error) {
	b, err := appendBytes(p, r, 0, preambleSize, nil)
	if err != nil {
		return header{}, err
	}
	n, err := parsePreamble(p, b)
	if err != nil {
		return header{}, err
	}
	kind, b, err := readAnyFrame(p, r, preambleSize, n.seed(preambleSize), b)
	if err != nil {
		return header{}, err
	}
	if kind != kindHeader {
		return header{}, p.damaged(preambleSize, "frame of kind %d, want the header", kind)
	}
	return parseHeader(p, n, b[frame.HeaderSize:])
}

// chunkRoom is how many bytes of a chunk's frame come before the stored bytes.
const chunkRoom = frame.HeaderSize + chunkPrefix

// prefixChunk fills in what the payload of a chunk begins with, in a frame whose
// stored bytes are behind chunkRoom bytes, and returns the sum of the payload
// for seed 0.
func prefixChunk(b []byte, c Codec, raw int) uint32 {
	prefix := b[frame.HeaderSize:chunkRoom]
	clear(prefix)
	le.PutUint32(prefix, uint32(raw))
	prefix[4] = byte(c)
	return frame.Sum(0, b[frame.HeaderSize:])
}

// sealChunk makes b the frame of a chunk for that seed; sum is what prefixChunk
// returned.
func sealChunk(b []byte, seed, sum uint32) {
	frame.Seal(b, 0, kindChunk, seed, frame.Shift(sum, seed, len(b)-frame.HeaderSize))
}

// appendChunk appends the frame of a chunk.
func appendChunk(b []byte, seed uint32, c Codec, raw int, data []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, chunkRoom)...)
	b = append(b, data...)
	sealChunk(b[start:], seed, prefixChunk(b[start:], c, raw))
	return b
}

// parseChunk reads the payload of a chunk frame that was found at off.
func parseChunk(p place, off int64, b []byte) (Codec, int, []byte, error) {
	if len(b) <= chunkPrefix {
		return 0, 0, nil, p.damaged(off, "chunk of %d bytes", len(b))
	}
	raw, c, data := le.Uint32(b), Codec(b[4]), b[chunkPrefix:]
	switch {
	case !c.known() || b[5]|b[6]|b[7] != 0:
		return 0, 0, nil, p.damaged(off, "chunk with codec %v", c)
	case raw == 0 || raw > maxChunk || uint64(len(data)) > uint64(raw) || (c == CodecNone) != (uint64(len(data)) == uint64(raw)):
		return 0, 0, nil, p.damaged(off, "%v chunk of %d bytes stored as %d", c, raw, len(data))
	}
	return c, int(raw), data, nil
}

// checkChunk verifies a whole chunk frame against its entry in a table. The
// stored bytes that it returns are part of b.
func checkChunk(p place, off int64, seed uint32, e ChunkInfo, b []byte) (Codec, []byte, error) {
	if err := checkFrame(p, off, seed, kindChunk, b); err != nil {
		return 0, nil, err
	}
	c, raw, data, err := parseChunk(p, off, b[frame.HeaderSize:])
	if err == nil && raw != e.Size {
		err = p.damaged(off, "chunk of %d bytes, the table says %d", raw, e.Size)
	}
	return c, data, err
}
