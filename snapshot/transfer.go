package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/internal/frame"
)

// Chunk returns one chunk of a snapshot, framed as it is in the container and
// verified by its checksum, for a Receiver elsewhere. It is in memory: the
// reader needs no snapshot any more, and no Close. fault.ErrInvalid: there is
// no chunk n.
func (s *Store) Chunk(ctx context.Context, id ID, n int) (io.ReadCloser, error) {
	b, err := s.chunk(ctx, id, n)
	if err != nil {
		return nil, fmt.Errorf("read chunk %d of snapshot %v: %w", n, id, err)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (s *Store) chunk(ctx context.Context, id ID, n int) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	release, err := s.hold(id)
	if err != nil {
		return nil, err
	}
	defer release()
	o, err := s.stat(ctx, id)
	if err != nil {
		return nil, err
	}
	l, err := s.layout(ctx, o)
	if err != nil {
		return nil, err
	}
	if n < 0 || int64(n) >= l.t.chunks {
		return nil, invalid("there are %d chunks", l.t.chunks)
	}
	e, err := s.entry(ctx, l, int64(n))
	if err != nil {
		return nil, err
	}
	_, _, b, err := s.chunkAt(ctx, l, e)
	s.damage.note(id, err)
	return b, err
}

// entry reads one entry of the table.
func (s *Store) entry(ctx context.Context, l layout, n int64) (e ChunkInfo, err error) {
	off, entries, i := l.t.pageOf(n)
	p := l.place()
	r, err := s.open(ctx, p.path, off)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err := readFrame(p, r, off, l.h.nonce, kindTable, entries*entrySize, nil)
	if err != nil {
		return e, err
	}
	at := frame.HeaderSize + i*entrySize
	// The chunk before is not at hand, so that only the lengths are checked.
	t := newTally(int64(le.Uint64(b[at:])))
	return t.add(p, off+int64(at), b[at:at+entrySize])
}

// chunkAt reads one chunk of a container and returns it with its whole frame.
func (s *Store) chunkAt(ctx context.Context, l layout, e ChunkInfo) (c Codec, data, b []byte, err error) {
	p := l.place()
	r, err := s.open(ctx, p.path, e.Offset)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err = appendBytes(p, r, e.Offset, e.frameSize(), nil)
	if err != nil {
		return 0, nil, nil, err
	}
	c, data, err = checkChunk(p, e.Offset, l.h.nonce.seed(e.Offset), e, b)
	return c, data, b, err
}

// Stream returns a whole container, from header to trailer, for Install
// elsewhere. Each frame is verified by its checksum before its bytes are
// handed out, and io.EOF comes only after a trailer that agreed; the payload
// is not expanded. Like an open reader it outlives removal, and it holds one
// chunk.
func (s *Store) Stream(ctx context.Context, id ID) (io.ReadCloser, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("stream snapshot %v: %w", id, err)
	}
	defer s.leave()
	r, err := s.newReader(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("stream snapshot %v: %w", id, err)
	}
	st := &streamer{src: r.src}
	r.next = st.header
	st.reader = r
	return r, nil
}

// streamer hands out the frames of a container; each step sets the next one.
type streamer struct {
	src    *source
	reader *Reader
	buf    []byte // the frame that is handed out
	off    int64  // of the next table frame
}

func (st *streamer) header() ([]byte, error) {
	st.reader.next = st.chunk
	return appendHeader(nil, st.src.l.h), nil
}

func (st *streamer) chunk() ([]byte, error) {
	e, b, err := st.src.read(st.buf[:0])
	if err == nil {
		st.buf = b
		if _, _, err = st.src.verify(e, b); err != nil {
			return nil, err
		}
		return b, nil
	}
	if !ended(err) {
		return nil, err
	}
	st.off = st.src.l.t.table
	return st.table()
}

func (st *streamer) table() ([]byte, error) {
	st.reader.next = st.table
	l, kind, size := st.src.l, byte(kindTable), 0
	if left := l.t.offset() - st.off; left > 0 {
		size = int(min(left-frame.HeaderSize, pageEntries*entrySize))
	} else {
		kind, size = kindTrailer, trailerFixed
		st.reader.next = st.end
	}
	b, err := readFrame(l.place(), st.src.data, st.off, l.h.nonce, kind, size, st.buf)
	if err != nil {
		return nil, err
	}
	st.buf = b
	st.off += int64(len(b))
	return b, nil
}

func (st *streamer) end() ([]byte, error) { return nil, io.EOF }
