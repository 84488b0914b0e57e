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
	buf   []byte
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

// next returns the next chunk as it is stored, verified by its checksum, and
// its whole frame; both are lent until the next call. io.EOF: there are no
// more, and the table agreed with the trailer. After damage to the chunk alone
// next goes on behind it.
func (c *source) next() (e ChunkInfo, codec Codec, data []byte, err error) {
	if e, err = c.table.next(); err != nil {
		return e, 0, nil, err
	}
	p := c.l.place()
	if c.buf, err = appendBytes(p, c.data, e.Offset, e.frameSize(), c.buf[:0]); err != nil {
		return e, 0, nil, err
	}
	codec, data, err = checkChunk(p, e.Offset, c.l.h.nonce.seed(e.Offset), e, c.buf)
	return e, codec, data, err
}

// raw returns the next chunk as it was written, lent until the next call.
func (c *source) raw(x *expander) ([]byte, error) {
	e, codec, data, err := c.next()
	if err != nil {
		return nil, err
	}
	raw, err := x.check(codec, e, data)
	if err != nil {
		return nil, c.l.place().broken(e.Offset, "", err)
	}
	return raw, nil
}

func (c *source) close() error { return errors.Join(c.data.Close(), c.tr.Close()) }
