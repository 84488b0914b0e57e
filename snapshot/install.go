package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// Install reads a whole container from r, to its end, and publishes it under a
// new id. Every byte is verified, and every chunk expanded and compared with
// its digest, before anything can be seen; on return the snapshot is durable
// and was read back, as after Writer.Commit. Info and Created are those of the
// source.
//
// A state that the store has already may be installed again: a follower that
// is sent the same snapshot twice, or whose copy is damaged, needs no special
// case, and retention removes what is too much.
//
// *fault.Corruption: r is no whole container. fault.ErrUnsupported: a newer
// version wrote it. fault.ErrInvalid: it has no membership and the store
// requires one. fault.ErrFull: it is larger than allowed, or there is no room.
// An error of r is returned as it came. After an error nothing is published,
// unless the bucket failed in the last step.
//
// Install cannot interrupt r: a reader that waits for a network needs a
// deadline of its own.
func (s *Store) Install(ctx context.Context, r io.Reader, o *InstallOptions) (Meta, error) {
	if o == nil {
		o = &InstallOptions{}
	}
	if err := s.enter(ctx); err != nil {
		return Meta{}, fmt.Errorf("install snapshot: %w", err)
	}
	defer s.leave()
	m, err := s.install(ctx, r, o)
	if err != nil {
		return Meta{}, fmt.Errorf("install snapshot: %w", err)
	}
	return m, nil
}

func (s *Store) install(ctx context.Context, r io.Reader, o *InstallOptions) (_ Meta, err error) {
	in := intake{s: s, p: place{path: "stream", class: fault.Uncommitted}, src: r, progress: o.Progress, total: o.Size}
	if in.total <= 0 {
		in.total = -1
	}
	if in.h, err = readHeader(in.p, r); err != nil {
		return Meta{}, err
	}
	if err := in.h.info.checkMembership(s.o.NoMembership); err != nil {
		return Meta{}, err
	}
	id, err := s.mint(ctx, in.h.info)
	if err != nil {
		return Meta{}, err
	}
	defer s.unmint(id)
	pending, err := s.create(ctx, id.object())
	if err != nil {
		return Meta{}, err
	}
	t, err := in.copy(ctx, namedWriter{pending, id.object()})
	if err != nil {
		return Meta{}, errors.Join(err, pending.Abort())
	}
	m, err := s.publish(ctx, pending, id, t, nil)
	if err != nil {
		return Meta{}, errors.Join(err, pending.Abort())
	}
	return m, nil
}

// namedWriter says what could not be written.
type namedWriter struct {
	w    io.Writer
	name string
}

func (w namedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", w.name, full(err))
	}
	return n, nil
}

// intake verifies a container while it is copied.
type intake struct {
	s        *Store
	p        place
	src      io.Reader
	h        header
	progress Progress
	total    int64
}

// copy copies all of src behind the header, and the header itself, to w.
func (in *intake) copy(ctx context.Context, w io.Writer) (trailer, error) {
	if _, err := w.Write(appendHeader(nil, in.h)); err != nil {
		return trailer{}, err
	}
	tee := io.TeeReader(in.src, w)
	sum, ahead, err := in.chunks(ctx, tee)
	if err != nil {
		return trailer{}, err
	}
	rest := io.MultiReader(bytes.NewReader(ahead), tee)
	want := sum.trailer(0)
	table := newTableReader(in.p, rest, in.h, want)
	for err == nil {
		if err = in.s.going(ctx); err == nil {
			_, err = table.next()
		}
	}
	if !ended(err) {
		return trailer{}, err
	}
	if !bytes.Equal(table.tally.table.Sum(nil), sum.table.Sum(nil)) {
		return trailer{}, in.p.damaged(want.table, "table does not agree with the chunks")
	}
	off := want.offset()
	b, err := readFrame(in.p, rest, off, in.h.nonce, kindTrailer, trailerFixed, nil)
	if err != nil {
		return trailer{}, err
	}
	t, err := parseTrailer(in.p, in.h, off, b[frame.HeaderSize:])
	if err != nil {
		return trailer{}, err
	}
	if t != sum.trailer(t.entries) {
		return trailer{}, in.p.damaged(off, "trailer does not agree with the chunks")
	}
	in.progress.report(t.size, in.total)
	return t, atEnd(in.p, in.src, t.size)
}

// chunks verifies chunks up to the first frame of another kind, which it
// returns. They are expanded side by side.
func (in *intake) chunks(ctx context.Context, r io.Reader) (*tally, []byte, error) {
	c := newCrew(expanders(in.s.o.Workers), in.s.o.Workers+2, in.unpack)
	defer c.dismiss((*expander).close)
	sum, off := newTally(in.h.size()), in.h.size()
	var ahead []byte
	var err error // of reading, which counts behind what was read before
	for {
		for ahead == nil && err == nil && !c.full() {
			t := c.next()
			var kind byte
			if kind, t.frame, err = in.read(ctx, r, off, t.frame); err != nil {
				break
			}
			if kind != kindChunk {
				ahead = slices.Clone(t.frame)
				break
			}
			t.e, t.err = ChunkInfo{Offset: off}, nil
			off += int64(len(t.frame))
			c.begin()
		}
		t := c.take()
		if t == nil {
			return sum, ahead, err
		}
		if err := in.add(sum, t); err != nil {
			return nil, nil, err
		}
	}
}

func (in *intake) read(ctx context.Context, r io.Reader, off int64, buf []byte) (byte, []byte, error) {
	if err := in.s.going(ctx); err != nil {
		return 0, nil, err
	}
	return readAnyFrame(in.p, r, off, in.h.nonce.seed(off), buf)
}

// unpack finds out what a table has to say of a chunk.
func (in *intake) unpack(x *expander, t *unpacking) {
	c, size, data, err := parseChunk(in.p, t.e.Offset, t.frame[frame.HeaderSize:])
	if err != nil {
		t.err = err
		return
	}
	if t.raw, err = x.expand(&t.buf, c, size, data); err != nil {
		t.err = in.p.broken(t.e.Offset, "", err)
		return
	}
	t.e.Size, t.e.StoredSize, t.e.Digest = size, len(data), sha256.Sum256(t.raw)
}

func (in *intake) add(sum *tally, t *unpacking) error {
	if t.err != nil {
		return t.err
	}
	if _, err := sum.add(in.p, t.e.Offset, appendEntry(nil, t.e)); err != nil {
		return err
	}
	if limit := in.s.o.MaxSize; limit > 0 && sum.raw > limit {
		return fmt.Errorf("more than %d bytes: %w", limit, fault.ErrFull)
	}
	in.progress.report(sum.next, in.total)
	return nil
}
