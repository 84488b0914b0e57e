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

// damagedAnywhere changes one byte in each part of a container, cuts it and
// extends it, and reads it by every way there is.
func damagedAnywhere(ctx context.Context, e *env) error {
	m, content, err := e.add(ctx, 10, 30_000)
	if err != nil {
		return err
	}
	whole, err := e.container(ctx, m.ID)
	if err != nil {
		return err
	}
	object := m.ID.String() + ".snap"
	damage := map[string][]byte{
		"cut":      whole[:len(whole)-1],
		"cut off":  whole[:20],
		"emptied":  nil,
		"extended": append(bytes.Clone(whole), 0),
	}
	for off := 0; off < len(whole); off += 1 + len(whole)/97 {
		b := bytes.Clone(whole)
		b[off] ^= 0x10
		damage[fmt.Sprintf("changed at %d", off)] = b
	}
	for _, what := range slices.Sorted(keys(damage)) {
		if err := put(ctx, e.bucket, object, damage[what]); err != nil {
			return err
		}
		if got, err := read(ctx, e.Store, m.ID); corrupt("", err) != nil || !bytes.HasPrefix(content, got) {
			return fmt.Errorf("%s: reading = %d bytes (right so far: %v), %v, want a *fault.Corruption", what, len(got), bytes.HasPrefix(content, got), err)
		}
		_, verify := e.Verify(ctx, m.ID, nil)
		_, stat := e.Stat(ctx, m.ID) // what the reader found is remembered
		if err := errors.Join(corrupt("Verify", verify), corrupt("Stat", stat)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := put(ctx, e.bucket, object, whole); err != nil {
		return err
	}
	if err := readsAs(ctx, e.Store, m.ID, content); err != nil {
		return err
	}
	return has(ctx, e.Store, m)
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func damagedNewest(ctx context.Context, e *env) error {
	m, err := e.addAll(ctx, 10, 20, 30)
	if err != nil {
		return err
	}
	b, err := e.container(ctx, m[2].ID)
	if err != nil {
		return err
	}
	if err := put(ctx, e.bucket, m[2].ID.String()+".snap", b[:len(b)-5]); err != nil {
		return err
	}
	got, err := all(ctx, e.Store)
	if err != nil {
		return err
	}
	if !slices.Equal(ids(got), ids([]snapshot.Meta{m[2], m[1], m[0]})) {
		return fmt.Errorf("All = %v, want all three", ids(got))
	}
	latest, err := e.Latest(ctx)
	if err := errors.Join(corrupt("Damaged", got[0].Damaged), corrupt("Latest", err), want("Damaged of an older one", got[1].Damaged, nil)); err != nil {
		return err
	}
	if latest.ID != m[2].ID || latest.Index != 30 || string(latest.Membership) != "members" {
		return fmt.Errorf("Latest = %+v, want what can still be read of %v", latest, m[2].ID)
	}
	// The damaged one counts for nothing, and is not removed as the newest.
	gone, err := e.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	if err != nil || !slices.Equal(ids(gone), ids(m[:1])) {
		return fmt.Errorf("Prune = %v, %v, want %v", ids(gone), err, ids(m[:1]))
	}
	if err := want("Remove of the newest valid", e.Remove(ctx, m[1].ID, nil), fault.ErrInvalid); err != nil {
		return err
	}
	again, err := e.addAll(ctx, 30, 40)
	if err != nil {
		return err
	}
	if gone, err = e.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 2}); err != nil || len(gone) != 2 {
		return fmt.Errorf("Prune = %v, %v, want the damaged one and %v", ids(gone), err, m[1].ID)
	}
	return has(ctx, e.Store, again[1], again[0])
}
