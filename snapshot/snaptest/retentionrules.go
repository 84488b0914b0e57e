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

func removeNewest(ctx context.Context, e *env) error {
	m, err := e.addAll(ctx, 10, 20, 30)
	if err != nil {
		return err
	}
	if err := errors.Join(want("Remove of the newest", e.Remove(ctx, m[2].ID, nil), fault.ErrInvalid),
		has(ctx, e.Store, m[2], m[1], m[0]),
		want("Remove of an older one", e.Remove(ctx, m[1].ID, nil), nil),
		want("Remove again", e.Remove(ctx, m[1].ID, nil), fault.ErrNotFound),
		has(ctx, e.Store, m[2], m[0]),
		want("Remove by force", e.Remove(ctx, m[2].ID, &snapshot.RemoveOptions{Force: true}), nil),
		has(ctx, e.Store, m[0]),
		want("Remove of the last", e.Remove(ctx, m[0].ID, &snapshot.RemoveOptions{}), fault.ErrInvalid),
		want("Remove of the last by force", e.Remove(ctx, m[0].ID, &snapshot.RemoveOptions{Force: true}), nil)); err != nil {
		return err
	}
	return errors.Join(has(ctx, e.Store), absent(ctx, e.bucket, m[0].ID.String()+".snap"))
}

func held(ctx context.Context, e *env) error {
	old, content, err := e.add(ctx, 10, 60_000)
	if err != nil {
		return err
	}
	young, _, err := e.add(ctx, 20, 10)
	if err != nil {
		return err
	}
	object := old.ID.String() + ".snap"
	r, err := e.Open(ctx, old.ID)
	if err != nil {
		return err
	}
	start := make([]byte, 100)
	if _, err := io.ReadFull(r, start); err != nil {
		return errors.Join(err, r.Close())
	}
	release := e.Pin(old.ID)
	if err := want("Remove of a held one", e.Remove(ctx, old.ID, nil), nil); err != nil {
		return err
	}
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(start, rest...), content) {
		return fmt.Errorf("an open reader got %d bytes, %v after Remove, want %d", 100+len(rest), err, len(content))
	}
	_, stat := e.Stat(ctx, old.ID)
	if err := errors.Join(has(ctx, e.Store, young), want("Stat", stat, fault.ErrNotFound), r.Close()); err != nil {
		return err
	}
	if err := readsAs(ctx, e.Store, old.ID, content); err != nil {
		return fmt.Errorf("by its pin: %w", err)
	}
	release()
	release()
	_, open := e.Open(ctx, old.ID)
	return errors.Join(want("Open after the last release", open, fault.ErrNotFound), absent(ctx, e.bucket, object))
}

func policies(ctx context.Context, e *env) error {
	var m []snapshot.Meta
	for i := range 6 {
		e.now = time.Unix(1_000_000, 0).Add(time.Duration(i) * time.Hour)
		one, _, err := e.add(ctx, uint64(i+1)*10, 2000)
		if err != nil {
			return err
		}
		m = append(m, one)
	}
	release := e.Pin(m[0].ID)
	defer release()
	r, err := e.Open(ctx, m[1].ID)
	if err != nil {
		return err
	}
	e.now = e.now.Add(24 * time.Hour)
	check := func(p snapshot.Policy, gone []snapshot.Meta, kept ...snapshot.Meta) error {
		plan, err := e.Plan(ctx, p)
		if err != nil {
			return err
		}
		pruned, err := e.Prune(ctx, p)
		if err != nil {
			return err
		}
		if !slices.Equal(ids(plan), ids(gone)) || !slices.Equal(ids(pruned), ids(gone)) {
			return fmt.Errorf("%v: Plan %v, Prune %v, want %v", p, ids(plan), ids(pruned), ids(gone))
		}
		return has(ctx, e.Store, kept...)
	}
	err = errors.Join(
		check(snapshot.Policy{Strategy: snapshot.Combined, KeepCount: 1, MaxAge: 27 * time.Hour}, nil, m[5], m[4], m[3], m[2], m[1], m[0]),
		check(snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 3}, m[2:3], m[5], m[4], m[3], m[1], m[0]),
		check(snapshot.Policy{Strategy: snapshot.KeepByAge, MaxAge: 25 * time.Hour}, m[3:4], m[5], m[4], m[1], m[0]),
		check(snapshot.Policy{Strategy: snapshot.Combined, KeepCount: 1, MaxAge: time.Minute}, m[4:5], m[5], m[1], m[0]),
		r.Close(),
		check(snapshot.Policy{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: 1}, m[1:2], m[5], m[0]),
	)
	release()
	return errors.Join(err, check(snapshot.Policy{Strategy: snapshot.KeepByAge, MaxAge: time.Nanosecond}, m[:1], m[5]))
}

func clockBack(ctx context.Context, e *env) error {
	m, err := e.addAll(ctx, 10, 20, 30)
	if err != nil {
		return err
	}
	e.now = e.now.Add(-1000 * time.Hour)
	gone, err := e.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepByAge, MaxAge: time.Second})
	if err != nil || len(gone) > 0 {
		return fmt.Errorf("Prune = %v, %v, want nothing", ids(gone), err)
	}
	return has(ctx, e.Store, m[2], m[1], m[0])
}

func leastRecent(ctx context.Context, e *env) error {
	m, err := e.addAll(ctx, 10, 20, 30, 40)
	if err != nil {
		return err
	}
	if _, err := read(ctx, e.Store, m[0].ID); err != nil {
		return err
	}
	limit := m[0].StoredSize + m[2].StoredSize + m[3].StoredSize
	gone, err := e.Prune(ctx, snapshot.Policy{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: limit})
	if err != nil || !slices.Equal(ids(gone), ids(m[1:2])) {
		return fmt.Errorf("Prune = %v, %v, want %v: it was opened before all others", ids(gone), err, ids(m[1:2]))
	}
	if _, err := e.Prune(ctx, snapshot.Policy{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: 1}); err != nil {
		return err
	}
	return has(ctx, e.Store, m[3])
}

func maxSnapshots(ctx context.Context, e *env) error {
	m, err := e.addAll(ctx, 10, 20, 30)
	if err != nil {
		return err
	}
	release := e.Pin(m[0].ID)
	defer release()
	more, err := e.addAll(ctx, 40)
	if err != nil {
		return err
	}
	if err := has(ctx, e.Store, more[0], m[2], m[0]); err != nil {
		return err
	}
	// One that is older than all others is no reason to give up the newest.
	release()
	if _, err := e.addAll(ctx, 5); err != nil {
		return err
	}
	return has(ctx, e.Store, more[0], m[2], m[0])
}

func maxSize(ctx context.Context, e *env) error {
	fits, content, err := e.add(ctx, 10, 50_000)
	if err != nil {
		return err
	}
	_, _, err = e.add(ctx, 20, 50_001)
	if err := want("one byte too many", err, fault.ErrFull); err != nil {
		return err
	}
	src, err := newEnv(newPlain().reopen, nil)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	big, _, err := src.add(ctx, 30, 50_001)
	if err != nil {
		return err
	}
	stream, err := src.Stream(ctx, big.ID)
	if err != nil {
		return err
	}
	_, install := e.Install(ctx, stream, nil)
	man, err := src.Manifest(ctx, big.ID)
	if err != nil {
		return err
	}
	_, receive := e.Receive(ctx, man)
	if err := errors.Join(want("Install", install, fault.ErrFull), want("Receive", receive, fault.ErrFull), stream.Close()); err != nil {
		return err
	}
	if err := has(ctx, e.Store, fits); err != nil {
		return err
	}
	return readsAs(ctx, e.Store, fits.ID, content)
}
