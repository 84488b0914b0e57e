package snapshot

import (
	"crypto/sha256"
	"io"
	"slices"

	"github.com/trimarandb/trimaran/internal/frame"
)

// packer writes a container from front to back.
type packer struct {
	w     io.Writer
	nonce nonce
	tally *tally
	table []byte
	buf   []byte
}

// newPacker writes preamble and header.
func newPacker(w io.Writer, h header) (*packer, error) {
	p := &packer{w: w, nonce: h.nonce, tally: newTally(h.size())}
	return p, p.write(appendHeader(nil, h))
}

func (p *packer) write(b []byte) error {
	n, err := p.w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// chunk writes the next chunk: raw bytes and their digest, and what of them is
// stored.
func (p *packer) chunk(c Codec, raw int, digest [32]byte, data []byte) error {
	off := p.tally.next
	n := len(p.table)
	p.table = appendEntry(p.table, ChunkInfo{Offset: off, Size: raw, StoredSize: len(data), Digest: digest})
	if _, err := p.tally.add(place{}, 0, p.table[n:]); err != nil {
		return err
	}
	p.buf = appendChunk(p.buf[:0], p.nonce.seed(off), c, raw, data)
	return p.write(p.buf)
}

// raw compresses a chunk and writes it.
func (p *packer) raw(s *squeezer, chunk []byte) error {
	c, data, err := s.squeeze(chunk)
	if err != nil {
		return err
	}
	return p.chunk(c, len(chunk), sha256.Sum256(chunk), data)
}

// finish writes table and trailer.
func (p *packer) finish(entries uint64) (trailer, error) {
	t := p.tally.trailer(entries)
	err := p.write(appendTrailer(appendTable(nil, p.nonce, t.table, p.table), p.nonce, t))
	return t, err
}

// appendTable appends the frames of a table that begins at off.
func appendTable(b []byte, n nonce, off int64, entries []byte) []byte {
	for page := range slices.Chunk(entries, pageEntries*entrySize) {
		b = frame.Append(b, kindTable, n.seed(off), page)
		off += frame.HeaderSize + int64(len(page))
	}
	return b
}
