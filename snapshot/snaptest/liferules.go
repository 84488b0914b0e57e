package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/ident"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

func identity(ctx context.Context, open Open) error {
	id := ident.Identity{Node: [16]byte{1, 2, 3}, Epoch: 7}
	b, err := open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s, err := snapshot.New(b, nil)
	if err != nil {
		return err
	}
	if got := s.Identity(); !got.IsZero() {
		return errors.Join(fmt.Errorf("Identity = %v before it was set, want none", got), s.Close())
	}
	if err := s.SetIdentity(id); err != nil {
		return errors.Join(err, s.Close())
	}
	if got := s.Identity(); got != id {
		return errors.Join(fmt.Errorf("Identity = %v, want %v", got, id), s.Close())
	}
	if err := errors.Join(has(ctx, s), s.Close()); err != nil || volatile(b) {
		return err
	}
	if b, err = open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if s, err = snapshot.New(b, nil); err != nil {
		return err
	}
	if got := s.Identity(); got != id {
		err = fmt.Errorf("Identity = %v after a new start, want %v", got, id)
	}
	return errors.Join(err, s.Close())
}

func reopenStore(ctx context.Context, open Open) error {
	staging := &snapshot.Options{Staging: vfs.NewMem()}
	e, err := newEnv(open, staging)
	if err != nil {
		return err
	}
	if volatile(e.bucket) {
		return e.Close()
	}
	m, err := e.addAll(ctx, 10, 20)
	if err != nil {
		return errors.Join(err, e.Close())
	}
	w, err := e.Create(ctx, info(30), nil)
	if err == nil {
		_, err = w.Write(e.payload(100_000))
	}
	if err = errors.Join(err, e.Close()); err != nil {
		return err
	}
	return onStore(staging, func(ctx context.Context, e *env) error {
		_, err := e.Verify(ctx, m[1].ID, nil)
		return errors.Join(has(ctx, e.Store, m[1], m[0]), err)
	})(ctx, open)
}

func closeStore(ctx context.Context, e *env) error {
	m, _, err := e.add(ctx, 10, 50_000)
	if err != nil {
		return err
	}
	r, err := e.Open(ctx, m.ID)
	if err != nil {
		return err
	}
	w, err := e.Create(ctx, info(20), nil)
	if err != nil {
		return err
	}
	release := e.Pin(m.ID)
	for _, what := range []string{"Close", "second Close"} {
		if err := want(what, e.Close(), nil); err != nil {
			return err
		}
	}
	release()
	_, reading := r.Read(make([]byte, 10))
	_, writing := w.Write([]byte("x"))
	_, committing := w.Commit()
	_, create := e.Create(ctx, info(30), nil)
	_, open := e.Open(ctx, m.ID)
	_, stat := e.Stat(ctx, m.ID)
	_, latest := e.Latest(ctx)
	_, listing := all(ctx, e.Store)
	_, verify := e.Verify(ctx, m.ID, nil)
	_, prune := e.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	_, manifest := e.Manifest(ctx, m.ID)
	_, chunk := e.Chunk(ctx, m.ID, 0)
	_, stream := e.Stream(ctx, m.ID)
	_, install := e.Install(ctx, bytes.NewReader(nil), nil)
	for what, err := range map[string]error{
		"Read": reading, "Write": writing, "Commit": committing, "Create": create, "Open": open, "Stat": stat,
		"Latest": latest, "All": listing, "Verify": verify, "Prune": prune, "Manifest": manifest, "Chunk": chunk,
		"Stream": stream, "Install": install, "Remove": e.Remove(ctx, m.ID, nil),
		"SetIdentity": e.SetIdentity(ident.Identity{Epoch: 1}),
	} {
		if err := want(what+" after Close", err, fault.ErrClosed); err != nil {
			return err
		}
	}
	return errors.Join(want("Reader.Close", r.Close(), nil), want("Writer.Close", w.Close(), nil))
}

func cancelStore(ctx context.Context, e *env) error {
	m, content, err := e.add(ctx, 10, 50_000)
	if err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	r, err := e.Open(done, m.ID)
	if err != nil {
		cancel()
		return err
	}
	w, err := e.Create(done, info(20), nil)
	cancel()
	if err != nil {
		return err
	}
	_, reading := r.Read(make([]byte, 10))
	_, writing := w.Write([]byte("x"))
	_, committing := w.Commit()
	_, open := e.Open(done, m.ID)
	_, listing := all(done, e.Store)
	_, verify := e.Verify(done, m.ID, nil)
	_, install := e.Install(done, bytes.NewReader(nil), nil)
	for what, err := range map[string]error{
		"Read": reading, "Write": writing, "Commit": committing, "Open": open, "All": listing, "Verify": verify,
		"Install": install, "Remove": e.Remove(done, m.ID, &snapshot.RemoveOptions{Force: true}),
	} {
		if err := want(what+" with a context that is done", err, context.Canceled); err != nil {
			return err
		}
	}
	return errors.Join(r.Close(), w.Close(), has(ctx, e.Store, m), readsAs(ctx, e.Store, m.ID, content))
}
