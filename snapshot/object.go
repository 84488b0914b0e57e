package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/trimarandb/trimaran/fault"
)

// container is a snapshot in the bucket.
type container struct {
	id   ID
	size int64
}

// containers lists the containers that were not removed, newest first. Objects
// with other names are left alone.
func (s *Store) containers(ctx context.Context) ([]container, error) {
	var out []container
	for o, err := range s.bucket.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		if id, ok := parseObject(o.Name); ok && !s.holds.isRemoved(id) {
			out = append(out, container{id: id, size: o.Size})
		}
	}
	slices.SortFunc(out, func(a, b container) int { return b.id.Compare(a.id) })
	return out, nil
}

// stat finds one container, also one that was removed while held.
func (s *Store) stat(ctx context.Context, id ID) (container, error) {
	o, err := s.find(ctx, id.object())
	if err != nil {
		return container{}, fmt.Errorf("find %s: %w", id.object(), err)
	}
	return container{id: id, size: o.Size}, nil
}

func (s *Store) find(ctx context.Context, name string) (Object, error) {
	if st, ok := As[Stater](s.bucket); ok {
		return st.Stat(ctx, name)
	}
	for o, err := range s.bucket.List(ctx) {
		if err != nil || o.Name == name {
			return o, err
		}
	}
	return Object{}, fault.ErrNotFound
}

func (s *Store) open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	r, err := s.bucket.Open(ctx, name, off)
	if err != nil {
		return nil, fmt.Errorf("open %s at %d: %w", name, off, err)
	}
	return r, nil
}

func (s *Store) create(ctx context.Context, name string) (Pending, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	p, err := s.bucket.Create(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, full(err))
	}
	return p, nil
}

// readSmall reads an object that is not longer than limit.
func (s *Store) readSmall(ctx context.Context, name string, limit int) (b []byte, err error) {
	r, err := s.open(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > limit {
		return nil, place{path: name, class: fault.Committed}.damaged(int64(limit), "more than %d bytes", limit)
	}
	return b, nil
}

// writeSmall replaces a small object as a whole.
func (s *Store) writeSmall(ctx context.Context, name string, b []byte) error {
	p, err := s.create(ctx, name)
	if err != nil {
		return err
	}
	if _, err = p.Write(b); err == nil {
		err = p.Commit(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, full(err)), p.Abort())
	}
	return nil
}

// layout is what the ends of a container say.
type layout struct {
	id ID
	h  header
	t  trailer
}

func (l layout) place() place { return stored(l.id) }

// meta is what is told of a container that is whole.
func (l layout) meta() Meta {
	return Meta{
		ID: l.id, Info: l.h.info.clone(), Size: l.t.raw, StoredSize: l.t.size,
		Created: l.h.created, Codec: l.h.codec, Level: l.h.level,
		Digest: digestText(l.t.digest), Entries: l.t.entries,
	}
}

// layout reads header and trailer of a container. What could be read is
// returned with the error too.
func (s *Store) layout(ctx context.Context, o container) (l layout, err error) {
	l.id = o.id
	if l.h, err = s.header(ctx, o); err != nil {
		return l, err
	}
	p, off := l.place(), o.size-trailerSize
	if o.size < smallestSize {
		return l, p.damaged(o.size, "%d bytes, a container has at least %d", o.size, smallestSize)
	}
	r, err := s.open(ctx, p.path, off)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err := readFrame(p, r, off, l.h.nonce, kindTrailer, trailerFixed, nil)
	if err != nil {
		return l, err
	}
	if err := atEnd(p, r, o.size); err != nil {
		return l, err
	}
	l.t, err = parseTrailer(p, l.h, off, b[len(b)-trailerFixed:])
	return l, err
}

// header reads the header and compares it with the name.
func (s *Store) header(ctx context.Context, o container) (h header, err error) {
	p := stored(o.id)
	r, err := s.open(ctx, p.path, 0)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if h, err = readHeader(p, r); err != nil {
		return h, err
	}
	if h.info.Index != o.id.Index || h.info.Term != o.id.Term {
		p.class = fault.Foreign
		return h, p.damaged(preambleSize, "holds index %d of term %d", h.info.Index, h.info.Term)
	}
	return h, nil
}

// atEnd makes sure that nothing follows.
func atEnd(p place, r io.Reader, off int64) error {
	var b [1]byte
	n, err := readFull(r, b[:])
	if n > 0 {
		return p.damaged(off, "bytes follow the end of the container")
	}
	if !ended(err) {
		return fmt.Errorf("read %s at %d: %w", p.path, off, err)
	}
	return nil
}

// openTable begins to read the table of a container.
func (s *Store) openTable(ctx context.Context, l layout) (*tableReader, io.Closer, error) {
	r, err := s.open(ctx, l.place().path, l.t.table)
	if err != nil {
		return nil, nil, err
	}
	return newTableReader(l.place(), r, l.h, l.t), r, nil
}

// entries yields the table of a container; only when it ends without an error
// did the table agree with the trailer.
func (s *Store) entries(ctx context.Context, l layout) iter.Seq2[ChunkInfo, error] {
	return func(yield func(ChunkInfo, error) bool) {
		t, closer, err := s.openTable(ctx, l)
		if err != nil {
			yield(ChunkInfo{}, err)
			return
		}
		defer func() { _ = closer.Close() }() // only read from
		for {
			c, err := t.next()
			if ended(err) || !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// inspect reads everything of a container but its chunks.
func (s *Store) inspect(ctx context.Context, o container) (layout, error) {
	l, err := s.layout(ctx, o)
	if err != nil {
		return l, err
	}
	for _, err := range s.entries(ctx, l) {
		if err != nil {
			return l, err
		}
	}
	return l, nil
}
