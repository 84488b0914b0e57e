package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// importer reads an export into a generation. It accepts only what an exporter
// writes, to the byte.
type importer struct {
	s    *Store
	gen  Ingester
	o    ImportOptions
	in   *frame.Reader
	at   int64 // where the current frame begins
	sums *digester

	chunks       chunks // frames of rows that are hashed together
	count, bytes uint64 // of rows so far, and of their keys and values

	indexes  catalog
	size     int // of the frame of rows before this one
	last     []byte
	earliest uint64 // deadline
	trailer  trailer

	mark       mark // of the new state
	timed      bool
	identified bool // the identity is in the generation
}

func newImporter(s *Store, gen Ingester, r io.Reader, o *ImportOptions) (*importer, error) {
	longest := frameBytes + 8 + s.o.MaxKey + rowDeadlineHeader + s.o.MaxValue
	im := &importer{
		s: s, gen: gen, sums: newDigester(), chunks: newChunks(false), earliest: math.MaxUint64,
		in: frame.NewReader(r, streamSeed, uint32(max(longest, 2*maxMembership))),
	}
	if o != nil {
		im.o = *o
	}
	if im.o.Mark != nil {
		if _, err := im.o.Mark.private(); err != nil {
			return nil, err
		}
	}
	return im, nil
}

func (im *importer) run(ctx context.Context) error {
	kind, payload, err := im.next(ctx)
	if err != nil {
		return err
	}
	if kind != frameHeader || !bytes.Equal(payload, streamHeader()) {
		return im.header(kind, payload)
	}
	for done := false; !done; {
		if kind, payload, err = im.next(ctx); err != nil {
			return err
		}
		switch {
		case kind == frameIndex && im.last == nil:
			err = im.index(payload)
		case kind == frameRows:
			err = im.rows(payload)
		case kind == frameTrailer:
			done = true
			err = im.end(payload)
		default:
			err = im.damage("frame of kind %d is out of place", kind)
		}
		if err != nil {
			return err
		}
	}
	return im.ended()
}

// ended publishes what was read if the stream ends here.
func (im *importer) ended() error {
	im.at = im.in.Offset()
	_, _, err := im.in.Next()
	if err == io.EOF { //nolint:errorlint // Next returns it bare
		return im.publish()
	}
	for _, no := range []error{nil, frame.ErrShort, frame.ErrHeader, frame.ErrPayload, frame.ErrTooLong} {
		if errors.Is(err, no) {
			return im.damage("something follows the trailer")
		}
	}
	return im.sort(err)
}

// header tells a newer format from what is no export.
func (im *importer) header(kind byte, payload []byte) error {
	if kind == frameHeader && len(payload) > len(streamMagic) && string(payload[:len(streamMagic)]) == streamMagic {
		return fmt.Errorf("export of format version %d, this build knows %d: %w", payload[len(streamMagic)], streamVersion, fault.ErrUnsupported)
	}
	return notExport(nil)
}

func notExport(err error) error {
	return &fault.Corruption{Path: "export", Class: fault.Foreign, Reason: "the stream is not an export", Err: err}
}

// next reads a frame.
func (im *importer) next(ctx context.Context) (byte, []byte, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	if im.s.gate.closed() {
		return 0, nil, fmt.Errorf("store: %w", fault.ErrClosed)
	}
	im.at = im.in.Offset()
	kind, payload, err := im.in.Next()
	return kind, payload, im.sort(err)
}

// sort tells damage, and what is over our limits, from a stream that cannot be
// read.
func (im *importer) sort(err error) error {
	switch {
	case err == nil:
		return nil
	case err == io.EOF || errors.Is(err, frame.ErrShort): //nolint:errorlint // Next returns io.EOF bare
		return &fault.Corruption{Path: "export", Offset: im.at, Class: fault.Torn, Reason: "the stream ends before its trailer", Err: err}
	case errors.Is(err, frame.ErrHeader) && im.at == 0:
		return notExport(err)
	case errors.Is(err, frame.ErrHeader) || errors.Is(err, frame.ErrPayload):
		return &fault.Corruption{Path: "export", Offset: im.at, Class: fault.Committed, Err: err}
	case errors.Is(err, frame.ErrTooLong):
		return fmt.Errorf("a row is over this store's limits: %w: %w", fault.ErrInvalid, err)
	default:
		return fmt.Errorf("read at %d: %w", im.at, err)
	}
}

func (im *importer) damage(format string, args ...any) error {
	return &fault.Corruption{Path: "export", Offset: im.at, Class: fault.Committed, Reason: fmt.Sprintf(format, args...)}
}

func (im *importer) index(payload []byte) error {
	x, err := parseDefinition(payload)
	if err != nil {
		return im.damage("%v", err)
	}
	if n := len(im.indexes); n == maxDefinitions || n > 0 && im.indexes[n-1].Name >= x.Name {
		return im.damage("index %q is out of order", x.Name)
	}
	if x.extract, err = x.resolve(im.s.o.Extractors); err != nil {
		return err
	}
	x.id = uint32(len(im.indexes) + 1)
	im.indexes = append(im.indexes, x)
	im.sums.index(payload)
	return nil
}

func (im *importer) rows(payload []byte) error {
	if len(payload) == 0 {
		return im.damage("frame without rows")
	}
	size := 0
	var f framed
	for rest := payload; len(rest) > 0; {
		x, encoded, more, err := streamRow(rest)
		if err != nil {
			return im.damage("%v", err)
		}
		if bytes.Compare(im.last, x.key) >= 0 {
			return im.damage("a row is out of order")
		}
		if size == 0 && im.last != nil && !cutBefore(im.size, x.key) || size > 0 && cutBefore(size, x.key) {
			return im.damage("a frame ends in the wrong place")
		}
		if err := im.s.checkPair(x.key, x.value); err != nil {
			return err
		}
		if err := im.row(&x); err != nil {
			return err
		}
		f.rows++
		f.bytes += uint64(len(x.key) + len(x.value))
		size += len(encoded)
		im.last = append(im.last[:0], x.key...)
		rest = more
	}
	im.size = size
	im.count += f.rows
	im.bytes += f.bytes
	im.hash(payload, f)
	if im.o.Progress != nil {
		im.o.Progress(im.count, im.bytes)
	}
	return nil
}

// hash adds a frame to the digest.
func (im *importer) hash(payload []byte, f framed) {
	c := im.chunks.open
	f.lo = len(c.buf)
	c.buf = append(c.buf, payload...)
	f.hi = len(c.buf)
	c.frames = append(c.frames, f)
	if len(c.buf) >= chunkBytes {
		im.sums.hash(c)
		im.chunks.swap()
	}
}

// row puts a row, its place in the queue and its index entries.
func (im *importer) row(x *stored) error {
	if err := im.gen.Put(rowKey(x.key), x.raw); err != nil {
		return err
	}
	if x.deadline != 0 {
		im.timed = true
		im.earliest = min(im.earliest, x.deadline)
		if err := im.gen.Put(deadlineKey(x.deadline, x.key), nil); err != nil {
			return err
		}
	}
	for _, def := range im.indexes {
		if !def.ready && bytes.Compare(x.key, def.built) > 0 {
			continue
		}
		if entry := def.entry(x.key, x.value); entry != nil {
			if err := im.gen.Put(entry, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// end compares what came with what the trailer says.
func (im *importer) end(payload []byte) error {
	t, err := parseTrailer(payload)
	if err != nil {
		return im.damage("%v", err)
	}
	im.sums.hash(im.chunks.open)
	d := im.sums.finish(Mark{})
	switch {
	case t.rows != d.Rows || t.bytes != d.Bytes:
		return im.damage("%d rows of %d bytes, the trailer says %d of %d", d.Rows, d.Bytes, t.rows, t.bytes)
	case t.root != d.Root:
		return im.damage("digest is %v, the trailer says %v", d.Root, t.root)
	case im.earliest <= t.mark.clock:
		return im.damage("a row was dead when it was exported")
	}
	im.trailer = t
	return nil
}

// publish adds what a store keeps beside its rows.
func (im *importer) publish() error {
	im.mark = im.trailer.mark
	if im.o.Mark != nil {
		m, err := im.o.Mark.private()
		if err != nil {
			return err
		}
		m.clock = max(m.clock, im.mark.clock)
		im.mark = m
	}
	if err := im.gen.Put([]byte(keyFormat), []byte{formatVersion}); err != nil {
		return err
	}
	if err := writeMark(im.gen.Put, im.mark, mark{}); err != nil {
		return err
	}
	for _, x := range im.indexes {
		if err := im.gen.Put(definitionKey(x.Name), storedDefinition(x)); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) summary() Summary {
	return Summary{Rows: im.trailer.rows, Bytes: im.trailer.bytes, Digest: im.trailer.root, Mark: im.mark.public()}
}
