package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

func (r *random) remove(ctx context.Context) error {
	s, ok := choose(r.rng, r.model.list)
	if !ok {
		return nil
	}
	force := r.rng.IntN(3) == 0
	err := r.store.Remove(ctx, s.meta.ID, &snapshot.RemoveOptions{Force: force})
	if s == r.model.list[0] && !force {
		return want("Remove of the newest", err, fault.ErrInvalid)
	}
	if err == nil {
		r.model.remove(s)
	}
	return err
}

func (r *random) prune(ctx context.Context) error {
	p := snapshot.Policy{
		Strategy: snapshot.Strategy(1 + r.rng.IntN(4)), KeepCount: 1 + r.rng.IntN(6),
		MaxAge: time.Duration(1+r.rng.IntN(20_000)) * time.Second, MaxTotalSize: int64(1 + r.rng.IntN(300_000)),
	}
	wanted := r.model.victims(p, r.now)
	plan, err := r.store.Plan(ctx, p)
	if err != nil {
		return err
	}
	gone, err := r.store.Prune(ctx, p)
	if err != nil {
		return err
	}
	var metas []snapshot.Meta
	for _, s := range wanted {
		metas = append(metas, s.meta)
		r.model.remove(s)
	}
	if !slices.Equal(ids(plan), ids(metas)) || !slices.Equal(ids(gone), ids(metas)) {
		return fmt.Errorf("%v: Plan %v, Prune %v, want %v", p, ids(plan), ids(gone), ids(metas))
	}
	return nil
}

// offer makes a snapshot in the other store, half of them with nothing that
// this one has.
func (r *random) offer(ctx context.Context) (snapshot.Meta, []byte, error) {
	content := r.content()
	if r.rng.IntN(2) == 0 {
		content = payload(r.rng, r.rng.IntN(60_000))
	}
	m, err := commit(ctx, r.source, r.info(), content, &snapshot.CreateOptions{Codec: snapshot.Codec(r.rng.IntN(5))})
	if err != nil {
		return m, nil, err
	}
	_, err = r.source.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 5})
	return m, content, err
}

func (r *random) stream(ctx context.Context) (snapshot.Meta, []byte, []byte, error) {
	m, content, err := r.offer(ctx)
	if err != nil {
		return m, nil, nil, err
	}
	stream, err := r.source.Stream(ctx, m.ID)
	if err != nil {
		return m, nil, nil, err
	}
	whole, err := io.ReadAll(stream)
	return m, content, whole, errors.Join(err, stream.Close())
}

func (r *random) install(ctx context.Context) error {
	m, content, whole, err := r.stream(ctx)
	if err != nil {
		return err
	}
	got, err := r.store.Install(ctx, bytes.NewReader(whole), nil)
	if err != nil {
		return err
	}
	m.ID = got.ID
	return errors.Join(same(got, m), r.published(got, m.Info, content))
}

func (r *random) installDamage(ctx context.Context) error {
	_, _, whole, err := r.stream(ctx)
	if err != nil {
		return err
	}
	at := r.rng.IntN(len(whole))
	if r.rng.IntN(2) == 0 {
		whole = whole[:at]
	} else {
		whole[at] ^= byte(1 + r.rng.IntN(255))
	}
	_, err = r.store.Install(ctx, bytes.NewReader(whole), nil)
	return corrupt(fmt.Sprintf("Install of a container damaged at %d", at), err)
}

// receive begins a transfer, or goes on with the one that was stopped.
func (r *random) receive(ctx context.Context) error {
	if r.recv != nil && r.recv.r != nil {
		_, err := r.store.Receive(ctx, r.recv.man)
		return want("Receive of what is being received", err, fault.ErrConflict)
	}
	if r.recv == nil {
		m, content, err := r.offer(ctx)
		if err != nil {
			return err
		}
		man, err := r.source.Manifest(ctx, m.ID)
		if err != nil {
			return err
		}
		r.source.Pin(m.ID) // for as long as the run lasts
		r.recv = &transfer{man: man, meta: m, content: content, staged: map[int]bool{}}
	}
	var err error
	if r.recv.r, err = r.store.Receive(ctx, r.recv.man); err != nil {
		return err
	}
	need := r.recv.r.Need()
	for _, n := range need {
		if r.recv.staged[n] {
			return fmt.Errorf("chunk %d is needed again after it was staged", n)
		}
	}
	// A receiver that uses chunks of the store's own snapshots holds these, and
	// the model does not follow that: such a transfer is finished at once.
	if len(need)+len(r.recv.staged) < len(r.recv.man.Chunks) {
		return r.finishReceiving(ctx)
	}
	return nil
}

func (r *random) put(ctx context.Context) error {
	if r.recv == nil || r.recv.r == nil {
		return nil
	}
	n, ok := choose(r.rng, r.recv.r.Need())
	if !ok {
		return nil
	}
	c, err := r.source.Chunk(ctx, r.recv.meta.ID, n)
	if err != nil {
		return err
	}
	r.recv.staged[n] = true
	return errors.Join(r.recv.r.Put(n, c), c.Close())
}

func (r *random) putDamage(ctx context.Context) error {
	if r.recv == nil || r.recv.r == nil {
		return nil
	}
	need := r.recv.r.Need()
	n, ok := choose(r.rng, need)
	if !ok {
		return nil
	}
	c, err := r.source.Chunk(ctx, r.recv.meta.ID, n)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	b[r.rng.IntN(len(b))] ^= byte(1 + r.rng.IntN(255))
	if err := corrupt("Put of a damaged chunk", r.recv.r.Put(n, bytes.NewReader(b))); err != nil {
		return err
	}
	if now := r.recv.r.Need(); !slices.Equal(now, need) {
		return fmt.Errorf("chunks %v are needed after a damaged one was put, want %v", now, need)
	}
	return nil
}

func (r *random) stopReceiving(context.Context) error {
	if r.recv == nil || r.recv.r == nil {
		return nil
	}
	rc := r.recv.r
	r.recv.r = nil
	if r.rng.IntN(3) == 0 {
		r.recv = nil
		return rc.Abort()
	}
	return rc.Close()
}

func (r *random) finishReceiving(ctx context.Context) error {
	if r.recv == nil || r.recv.r == nil {
		return nil
	}
	t := r.recv
	for _, n := range t.r.Need() {
		c, err := r.source.Chunk(ctx, t.meta.ID, n)
		if err != nil {
			return err
		}
		if err := errors.Join(t.r.Put(n, c), c.Close()); err != nil {
			return err
		}
	}
	m, err := t.r.Commit()
	if err != nil {
		return err
	}
	r.recv = nil
	if m.Digest != t.meta.Digest {
		return fmt.Errorf("received digest %s, want %s", m.Digest, t.meta.Digest)
	}
	return r.published(m, t.meta.Info, t.content)
}
