package snapshot

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/trimarandb/trimaran/internal/frame"
)

// ChunkInfo is what the table of a container says of one chunk.
type ChunkInfo struct {
	Offset     int64    // of its frame in the container
	Size       int      // raw bytes
	StoredSize int      // bytes after compression
	Digest     [32]byte // SHA-256 of the raw bytes
}

// frameSize is the number of bytes from Offset to the next chunk.
func (c ChunkInfo) frameSize() int { return chunkRoom + c.StoredSize }

// appendEntry adds one chunk to a table.
func appendEntry(b []byte, c ChunkInfo) []byte {
	b = le.AppendUint64(b, uint64(c.Offset))
	b = le.AppendUint32(b, uint32(c.Size))
	b = le.AppendUint32(b, uint32(c.StoredSize))
	return append(b, c.Digest[:]...)
}

// parseEntry needs entrySize bytes. tally.add checks what it returns.
func parseEntry(b []byte) (off int64, raw, stored uint32, digest [32]byte) {
	return int64(le.Uint64(b)), le.Uint32(b[8:]), le.Uint32(b[12:]), [32]byte(b[16:48])
}

// tally adds up the chunks of a container in their order: what the trailer has
// to say of them.
type tally struct {
	next   int64 // where the next chunk begins
	raw    int64
	chunks int64
	digest hash.Hash // over raw length and digest of each chunk
	table  hash.Hash // over the entries, to compare two ways of getting them
}

func newTally(first int64) *tally {
	return &tally{next: first, digest: sha256.New(), table: sha256.New()}
}

// add takes the next chunk; p and off are the place that its entry comes from.
func (t *tally) add(p place, off int64, b []byte) (ChunkInfo, error) {
	at, raw, stored, digest := parseEntry(b)
	switch {
	case raw == 0 || raw > maxChunk || stored == 0 || stored > raw:
		return ChunkInfo{}, p.damaged(off, "chunk %d has %d bytes stored as %d", t.chunks, raw, stored)
	case at != t.next:
		return ChunkInfo{}, p.damaged(off, "chunk %d is at %d, want %d", t.chunks, at, t.next)
	}
	c := ChunkInfo{Offset: at, Size: int(raw), StoredSize: int(stored), Digest: digest}
	t.next += int64(c.frameSize())
	t.raw += int64(raw)
	t.chunks++
	t.table.Write(b)
	t.digest.Write(b[8:12])
	t.digest.Write(digest[:])
	return c, nil
}

// trailer is what a container of these chunks ends with.
func (t *tally) trailer(entries uint64) trailer {
	return trailer{
		entries: entries, raw: t.raw, size: t.next + tableSize(t.chunks) + trailerSize,
		digest: [32]byte(t.digest.Sum(nil)), chunks: t.chunks, table: t.next,
	}
}

// tableReader reads the entries of a table in order, one page in memory. Each
// entry was checked on its own before it is returned; only io.EOF at the end
// says that they also agree with the trailer.
type tableReader struct {
	p     place
	r     io.Reader
	nonce nonce
	want  trailer
	tally *tally
	off   int64 // of the next page
	page  []byte
	rest  []byte // of page, not yet returned
	err   error
}

func newTableReader(p place, r io.Reader, h header, t trailer) *tableReader {
	return &tableReader{p: p, r: r, nonce: h.nonce, want: t, tally: newTally(h.size()), off: t.table}
}

func (t *tableReader) next() (ChunkInfo, error) {
	if t.err == nil && len(t.rest) == 0 {
		t.err = t.nextPage()
	}
	if t.err != nil {
		return ChunkInfo{}, t.err
	}
	c, err := t.tally.add(t.p, t.off-int64(len(t.rest)), t.rest[:entrySize])
	if err != nil {
		t.err = err
		return ChunkInfo{}, err
	}
	t.rest = t.rest[entrySize:]
	return c, nil
}

func (t *tableReader) nextPage() error {
	left := t.want.chunks - t.tally.chunks
	if left == 0 {
		if t.tally.trailer(t.want.entries) != t.want {
			return t.p.damaged(t.want.offset(), "trailer does not agree with the table")
		}
		return io.EOF
	}
	n := int(min(left, pageEntries)) * entrySize
	var err error
	t.page, err = readFrame(t.p, t.r, t.off, t.nonce, kindTable, n, t.page)
	if err != nil {
		return err
	}
	t.rest = t.page[frame.HeaderSize:]
	t.off += int64(len(t.page))
	return nil
}

// pageOf returns where in a container with that trailer the page with entry n
// begins, how many entries it has, and which of them n is.
func (t trailer) pageOf(n int64) (off int64, entries, i int) {
	page := n / pageEntries
	off = t.table + page*(frame.HeaderSize+pageEntries*entrySize)
	return off, int(min(t.chunks-page*pageEntries, pageEntries)), int(n % pageEntries)
}
