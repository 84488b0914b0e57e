package snapshot

import (
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

// chunk writes the next chunk, of raw bytes with that digest. b is what of them
// is stored, behind chunkRoom bytes that prefixChunk has seen; sum is what it
// returned.
func (p *packer) chunk(raw int, digest [32]byte, b []byte, sum uint32) error {
	off := p.tally.next
	n := len(p.table)
	p.table = appendEntry(p.table, ChunkInfo{Offset: off, Size: raw, StoredSize: len(b) - chunkRoom, Digest: digest})
	if _, err := p.tally.add(place{}, 0, p.table[n:]); err != nil {
		return err
	}
	sealChunk(b, p.nonce.seed(off), sum)
	return p.write(b)
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
