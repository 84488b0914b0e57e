package snapshot

import (
	"context"
	"errors"
	"io"
)

// source walks the chunks of a container in the bucket and its table side by
// side, so that each chunk is known before it is read.
type source struct {
	l     layout
	data  io.ReadCloser
	table *tableReader
	tr    io.Closer
}

// openSource finds a container, reads its ends and stands before the first
// chunk. release ends the hold on it.
func (s *Store) openSource(ctx context.Context, id ID) (_ *source, release func(), err error) {
	release, err = s.hold(id)
	if err != nil {
		return nil, nil, err
	}
	src, err := s.newSource(ctx, id)
	if err != nil {
		release()
		return nil, nil, err
	}
	return src, release, nil
}

func (s *Store) newSource(ctx context.Context, id ID) (*source, error) {
	o, err := s.stat(ctx, id)
	if err != nil {
		return nil, err
	}
	l, err := s.inspect(ctx, o)
	if err != nil {
		return nil, err
	}
	src := &source{l: l}
	if src.table, src.tr, err = s.openTable(ctx, l); err != nil {
		return nil, err
	}
	if src.data, err = s.open(ctx, l.place().path, l.h.size()); err != nil {
		return nil, errors.Join(err, src.tr.Close())
	}
	return src, nil
}

// read reads the frame of the next chunk into buf and verifies nothing of it.
// io.EOF: there are no more, and the table agreed with the trailer.
func (c *source) read(buf []byte) (e ChunkInfo, b []byte, err error) {
	if e, err = c.table.next(); err != nil {
		return e, buf, err
	}
	b, err = appendBytes(c.l.place(), c.data, e.Offset, e.frameSize(), roomFor(buf, e.frameSize()))
	return e, b, err
}

// verify verifies the frame of a chunk by its checksum. It may be called by
// several goroutines, also while read is.
func (c *source) verify(e ChunkInfo, b []byte) (Codec, []byte, error) {
	return checkChunk(c.l.place(), e.Offset, c.l.h.nonce.seed(e.Offset), e, b)
}

func (c *source) close() error { return errors.Join(c.data.Close(), c.tr.Close()) }
