package snapshot

import (
	"errors"

	"github.com/trimarandb/trimaran/fault"
)

// assemble writes the container from what is here and publishes it.
func (r *Receiver) assemble() (_ Meta, err error) {
	s, h := r.s, r.m.header()
	id, err := s.mint(r.ctx, h.info)
	if err != nil {
		return Meta{}, err
	}
	defer s.unmint(id)
	pending, err := s.create(r.ctx, id.object())
	if err != nil {
		return Meta{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, pending.Abort())
		}
	}()
	pack, err := newPacker(namedWriter{pending, id.object()}, h)
	if err != nil {
		return Meta{}, err
	}
	if err := r.copyChunks(pack); err != nil {
		return Meta{}, err
	}
	t, err := pack.finish(r.m.Meta.Entries)
	if err != nil {
		return Meta{}, err
	}
	return s.publish(r.ctx, pending, id, t, nil)
}

// copying is a chunk that is here, on its way into the container.
type copying struct {
	e       ChunkInfo
	codec   Codec
	frame   []byte
	buf     []byte
	sum     uint32
	damaged func(error) error
	err     error
}

// copyChunks writes the chunks in order. They are expanded and compared with
// their digests side by side, each before it is written.
func (r *Receiver) copyChunks(pack *packer) error {
	c := newCrew(expanders(r.s.o.Workers), r.s.o.Workers+2, func(x *expander, t *copying) {
		if t.err == nil {
			_, t.err = x.check(&t.buf, t.codec, t.e, t.frame[chunkRoom:])
			t.sum = prefixChunk(t.frame, t.codec, t.e.Size)
		}
	})
	defer c.dismiss((*expander).close)
	rest := r.m.Chunks
	for {
		for len(rest) > 0 && !c.full() {
			if err := r.s.going(r.ctx); err != nil {
				return err
			}
			t := c.next()
			t.e, rest = rest[0], rest[1:]
			if err := r.load(t); err != nil {
				return err
			}
			c.begin()
		}
		t := c.take()
		if t == nil {
			return nil
		}
		if t.err != nil {
			return t.damaged(t.err)
		}
		if err := pack.chunk(t.e.Size, t.e.Digest, t.frame, t.sum); err != nil {
			return err
		}
	}
}

// load reads a chunk that is here and verifies its checksum; what is wrong with
// it is in t.err. What turns out to be damaged is forgotten by t.damaged, so
// that Need lists it; of a snapshot that is damaged in one place everything is.
func (r *Receiver) load(t *copying) error {
	r.mu.Lock()
	_, staged := r.staged[t.e.Digest]
	from := r.local[t.e.Digest]
	r.mu.Unlock()
	if staged {
		t.codec, _, t.frame, t.err = r.st.get(t.e.Digest)
		t.damaged = func(err error) error { return r.lostStaged(t.e, err) }
		return nil
	}
	t.codec, _, t.frame, t.err = r.s.chunkAt(r.ctx, from.l, from.e)
	t.damaged = func(err error) error { return r.lostLocal(from, err) }
	if t.err != nil && !errors.Is(t.err, fault.ErrCorrupt) && !errors.Is(t.err, fault.ErrNotFound) {
		return t.err
	}
	return nil
}

func (r *Receiver) lostStaged(e ChunkInfo, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.staged, e.Digest)
	_ = r.st.drop(e.Digest) // a later Put replaces it anyway
	return r.damaged(r.st.name, e, err)
}

func (r *Receiver) lostLocal(from localChunk, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLocal(from.l.id)
	return r.damaged(from.l.place().path, from.e, err)
}

func (r *Receiver) damaged(path string, e ChunkInfo, err error) error {
	return place{path: path, class: fault.Uncommitted}.broken(e.Offset, "chunk is to be sent again", err)
}

func (r *Receiver) forgetLocal(id ID) {
	for digest, c := range r.local {
		if c.l.id == id {
			delete(r.local, digest)
		}
	}
	if release := r.holds[id]; release != nil {
		release()
		delete(r.holds, id)
	}
}
