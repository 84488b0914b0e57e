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
	var x expander
	defer x.close()
	for _, e := range r.m.Chunks {
		if err := s.going(r.ctx); err != nil {
			return Meta{}, err
		}
		c, data, err := r.load(e, &x)
		if err != nil {
			return Meta{}, err
		}
		if err := pack.chunk(c, e.Size, e.Digest, data); err != nil {
			return Meta{}, err
		}
	}
	t, err := pack.finish(r.m.Meta.Entries)
	if err != nil {
		return Meta{}, err
	}
	return s.publish(r.ctx, pending, id, t)
}

// load returns a chunk that is here, verified. What turns out to be damaged is
// forgotten, so that Need lists it; of a snapshot that is damaged in one place
// everything is.
func (r *Receiver) load(e ChunkInfo, x *expander) (c Codec, data []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.staged[e.Digest]; ok {
		c, _, data, err = r.st.get(e.Digest)
		if err == nil {
			_, err = x.check(c, e, data)
		}
		if err != nil {
			delete(r.staged, e.Digest)
			_ = r.st.drop(e.Digest) // a later Put replaces it anyway
			return 0, nil, r.damaged(r.st.name, e, err)
		}
		return c, data, nil
	}
	from := r.local[e.Digest]
	c, data, _, err = r.s.chunkAt(r.ctx, from.l, from.e)
	if err != nil && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrNotFound) {
		return 0, nil, err
	}
	if err == nil {
		_, err = x.check(c, e, data)
	}
	if err != nil {
		r.forgetLocal(from.l.id)
		return 0, nil, r.damaged(from.l.place().path, from.e, err)
	}
	return c, data, nil
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
