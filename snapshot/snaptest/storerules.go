package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

func roundTrip(ctx context.Context, e *env) error {
	index := uint64(0)
	for codec := snapshot.CodecNone; codec <= snapshot.CodecZstd; codec++ {
		for _, size := range []int{0, 1, 100, 5_000, 70_000} {
			index++
			content := e.payload(size)
			m, err := commit(ctx, e.Store, info(index), content, &snapshot.CreateOptions{Codec: codec})
			if err != nil {
				return fmt.Errorf("%v, %d bytes: %w", codec, size, err)
			}
			if m.Size != int64(size) || m.Entries != uint64(size) || m.Codec != codec || m.Index != index || !m.Created.Equal(e.now) {
				return fmt.Errorf("%v, %d bytes at index %d: Commit = %+v", codec, size, index, m)
			}
			if err := readsAs(ctx, e.Store, m.ID, content); err != nil {
				return fmt.Errorf("%v, %d bytes: %w", codec, size, err)
			}
			got, err := e.Stat(ctx, m.ID)
			if err == nil {
				err = same(got, m)
			}
			if err != nil {
				return fmt.Errorf("Stat: %w", err)
			}
		}
	}
	return nil
}

func uncommitted(ctx context.Context, e *env) error {
	w, err := e.Create(ctx, info(7), nil)
	if err != nil {
		return err
	}
	if _, err := w.Write(e.payload(50_000)); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := has(ctx, e.Store); err != nil {
		return errors.Join(err, w.Close())
	}
	_, latest := e.Latest(ctx)
	if err := errors.Join(want("Latest", latest, fault.ErrNotFound), want("Close", w.Close(), nil), want("second Close", w.Close(), nil)); err != nil {
		return err
	}
	_, err = w.Write([]byte("more"))
	_, cerr := w.Commit()
	if err := errors.Join(want("Write after Close", err, fault.ErrClosed), want("Commit after Close", cerr, fault.ErrClosed)); err != nil {
		return err
	}
	sizes, err := list(ctx, e.bucket)
	if err == nil && len(sizes) > 0 {
		err = fmt.Errorf("the bucket holds %v, want nothing", sizes)
	}
	return err
}

func refused(ctx context.Context, e *env) error {
	m, content, err := e.add(ctx, 5, 1000)
	if err != nil {
		return err
	}
	for name, change := range map[string]func(*snapshot.Info, *snapshot.CreateOptions){
		"index 0":          func(i *snapshot.Info, _ *snapshot.CreateOptions) { i.Index, i.MembershipIndex = 0, 0 },
		"no membership":    func(i *snapshot.Info, _ *snapshot.CreateOptions) { i.Membership = nil },
		"membership above": func(i *snapshot.Info, _ *snapshot.CreateOptions) { i.MembershipIndex = i.Index + 1 },
		"huge membership": func(i *snapshot.Info, _ *snapshot.CreateOptions) {
			i.Membership = make([]byte, snapshot.MaxMembership+1)
		},
		"unknown codec":     func(_ *snapshot.Info, o *snapshot.CreateOptions) { o.Codec = 99 },
		"level beyond zstd": func(_ *snapshot.Info, o *snapshot.CreateOptions) { o.Codec, o.Level = snapshot.CodecZstd, 23 },
		"level of none":     func(_ *snapshot.Info, o *snapshot.CreateOptions) { o.Codec, o.Level = snapshot.CodecNone, 1 },
		"negative level":    func(_ *snapshot.Info, o *snapshot.CreateOptions) { o.Level = -1 },
	} {
		i, o := info(9), snapshot.CreateOptions{}
		change(&i, &o)
		w, err := e.Create(ctx, i, &o)
		if err == nil {
			err = w.Close()
		}
		if err := want("Create with "+name, err, fault.ErrInvalid); err != nil {
			return err
		}
	}
	if err := refusedCalls(ctx, e, m.ID); err != nil {
		return err
	}
	if err := has(ctx, e.Store, m); err != nil {
		return err
	}
	return readsAs(ctx, e.Store, m.ID, content)
}

// refusedCalls asks for what is not there, and for what makes no sense.
func refusedCalls(ctx context.Context, e *env, id snapshot.ID) error {
	nobody := snapshot.ID{Term: 1, Index: 5, Suffix: id.Suffix + 1}
	_, open := e.Open(ctx, nobody)
	_, stat := e.Stat(ctx, nobody)
	_, verify := e.Verify(ctx, nobody, nil)
	_, manifest := e.Manifest(ctx, nobody)
	_, chunk := e.Chunk(ctx, nobody, 0)
	_, stream := e.Stream(ctx, nobody)
	_, beyond := e.Chunk(ctx, id, 1)
	_, plan := e.Plan(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest})
	_, prune := e.Prune(ctx, snapshot.Policy{})
	return errors.Join(want("Open", open, fault.ErrNotFound), want("Stat", stat, fault.ErrNotFound),
		want("Verify", verify, fault.ErrNotFound), want("Manifest", manifest, fault.ErrNotFound),
		want("Chunk", chunk, fault.ErrNotFound), want("Stream", stream, fault.ErrNotFound),
		want("Remove", e.Remove(ctx, nobody, &snapshot.RemoveOptions{Force: true}), fault.ErrNotFound),
		want("Chunk beyond the last", beyond, fault.ErrInvalid),
		want("Plan without a count", plan, fault.ErrInvalid), want("Prune without a strategy", prune, fault.ErrInvalid))
}

func order(ctx context.Context, e *env) error {
	metas, err := e.addAll(ctx, 50, 7, 300, 120, 20)
	if err != nil {
		return err
	}
	for _, name := range []string{"README", "0-0-0.snap", "00000000000000FF-0000000000000001-0000000000000000.snap"} {
		if err := put(ctx, e.bucket, name, []byte("not ours")); err != nil {
			return err
		}
	}
	slices.SortFunc(metas, func(a, b snapshot.Meta) int { return b.ID.Compare(a.ID) })
	if err := has(ctx, e.Store, metas...); err != nil {
		return err
	}
	if metas[0].Index != 300 || metas[4].Index != 7 {
		return fmt.Errorf("newest has index %d, oldest %d, want 300 and 7", metas[0].Index, metas[4].Index)
	}
	latest, err := e.Latest(ctx)
	if err != nil {
		return err
	}
	if err := same(latest, metas[0]); err != nil {
		return fmt.Errorf("Latest: %w", err)
	}
	if _, err := e.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}); err != nil {
		return err
	}
	if err := has(ctx, e.Store, metas[0]); err != nil {
		return err
	}
	return holds(ctx, e.bucket, "README", []byte("not ours"))
}

func owned(ctx context.Context, e *env) error {
	i, content := info(9), e.payload(20_000)
	w, err := e.Create(ctx, i, nil)
	if err != nil {
		return err
	}
	mine := bytes.Clone(content)
	_, err = w.Write(mine)
	clear(mine)
	clear(i.Membership)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	m, err := w.Commit()
	if err != nil {
		return err
	}
	clear(m.Membership)
	for range 2 {
		got, err := e.Stat(ctx, m.ID)
		if err != nil {
			return err
		}
		if string(got.Membership) != "members" {
			return fmt.Errorf("membership is %q, want %q", got.Membership, "members")
		}
		clear(got.Membership)
		man, err := e.Manifest(ctx, m.ID)
		if err != nil {
			return err
		}
		clear(man.Meta.Membership)
		clear(man.Chunks)
	}
	return readsAs(ctx, e.Store, m.ID, content)
}
