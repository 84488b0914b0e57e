package kv

import (
	"context"
	"io"

	"github.com/trimarandb/trimaran/internal/frame"
)

// exporter makes the frames of an export, for a stream and for a digest. While
// it fills a chunk, the one before is sealed and hashed beside it, and is
// written when the next is full.
type exporter struct {
	out    io.Writer // nil if only the digest is wanted
	off    int64     // of what was written
	sums   *digester
	chunks chunks
	frame  framed // the open frame
	stride stride
}

// newExporter is for one walk of s.
func newExporter(s *Store, out io.Writer) *exporter {
	return &exporter{out: out, sums: newDigester(), chunks: newChunks(out != nil), stride: stride{s: s}}
}

// write writes one frame.
func (e *exporter) write(kind byte, payload []byte) error {
	return e.send(frame.Append(nil, kind, streamSeed, payload))
}

func (e *exporter) send(b []byte) error {
	if e.out == nil {
		return nil
	}
	n, err := e.out.Write(b)
	e.off += int64(n)
	return err
}

// walk adds the rows of r, and before them the definitions of all indexes.
func (e *exporter) walk(ctx context.Context, t *txn, r Range) error {
	if err := e.write(frameHeader, streamHeader()); err != nil {
		return err
	}
	indexes, err := readCatalog(t.d)
	if err != nil {
		return err
	}
	for _, x := range indexes {
		definition := appendDefinition(nil, x)
		e.sums.index(definition)
		if err := e.write(frameIndex, definition); err != nil {
			return err
		}
	}
	e.stride.begin()
	defer e.stride.end()
	for x, err := range t.rows(Range{Lo: r.Lo, Hi: r.Hi}) {
		if err == nil {
			err = e.row(ctx, x)
		}
		if err != nil {
			return err
		}
	}
	e.flush()
	if err := e.ship(); err != nil {
		return err
	}
	return e.settle()
}

func (e *exporter) row(ctx context.Context, x *stored) error {
	c := e.chunks.open
	if e.frame.rows > 0 && cutBefore(len(c.buf)-e.frame.lo, x.key) {
		e.flush()
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(c.buf) >= chunkBytes {
			if err := e.ship(); err != nil {
				return err
			}
			c = e.chunks.open
		}
	}
	if e.frame.rows == 0 {
		c.buf = frame.Begin(c.buf)
		e.frame.lo = len(c.buf)
	}
	c.buf = appendStreamRow(c.buf, x.key, x.raw)
	e.frame.rows++
	e.frame.bytes += uint64(len(x.key) + len(x.value))
	return nil
}

// flush ends the open frame, if there is one.
func (e *exporter) flush() {
	if e.frame.rows == 0 {
		return
	}
	c := e.chunks.open
	e.frame.hi = len(c.buf)
	c.frames = append(c.frames, e.frame)
	e.frame = framed{}
}

// ship has the open chunk hashed and goes on with the other one.
func (e *exporter) ship() error {
	e.sums.wait()
	e.stride.chunk()
	if err := e.settle(); err != nil {
		return err
	}
	e.sums.hash(e.chunks.open)
	e.chunks.swap()
	e.stride.begin()
	return nil
}

// settle writes the chunk that was shipped last, once it is sealed.
func (e *exporter) settle() error {
	e.sums.wait()
	c := e.chunks.last
	if len(c.buf) == 0 {
		return nil
	}
	err := e.send(c.buf)
	c.buf, c.frames = c.buf[:0], c.frames[:0]
	return err
}

// finish writes the trailer, and returns the digest.
func (e *exporter) finish(m mark) (Digest, error) {
	d := e.sums.finish(m.public())
	end := trailer{rows: d.Rows, bytes: d.Bytes, root: d.Root, mark: m}
	return d, e.write(frameTrailer, end.appendTo(nil))
}
