package snapshot

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
)

// damage remembers what readers found below the surface that a listing looks
// at, for as long as the store is open.
type damage struct {
	mu      sync.Mutex
	m       map[ID]error
	changes atomic.Uint64
}

func (d *damage) note(id ID, err error) {
	if !errors.Is(err, fault.ErrCorrupt) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m == nil {
		d.m = map[ID]error{}
	}
	d.m[id] = err
	d.changes.Add(1)
}

func (d *damage) forget(id ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m[id] != nil {
		d.changes.Add(1)
	}
	delete(d.m, id)
}

func (d *damage) of(id ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.m[id]
}

// describe inspects one container. Damage is in the Meta; an error says that
// it could not be looked at.
func (s *Store) describe(ctx context.Context, o container) (Meta, error) {
	l, err := s.inspect(ctx, o)
	if err == nil {
		m := l.meta()
		m.Damaged = s.damage.of(o.id)
		return m, nil
	}
	m := Meta{ID: o.id, StoredSize: o.size, Damaged: err}
	if l.h.info.Index != 0 {
		m.Info, m.Created, m.Codec, m.Level = l.h.info.clone(), l.h.created, l.h.codec, l.h.level
	}
	m.Index, m.Term = o.id.Index, o.id.Term
	if errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported) {
		return m, nil
	}
	m.Damaged = nil
	return m, err
}

// All yields the snapshots, newest first: by term and index, and of the same
// state the readable ones before the damaged. Header, table and trailer of
// each are read and verified, and so is what readers of this store found in
// the chunks meanwhile; Meta.Damaged tells the result. Verify reads
// everything.
//
// An error says that the bucket could not be listed, or, with a Meta that has
// an ID, that one snapshot could not be looked at; the listing then goes on.
// What is removed meanwhile may be left out. The loop may call the store.
func (s *Store) All(ctx context.Context) iter.Seq2[Meta, error] {
	return func(yield func(Meta, error) bool) {
		list, err := s.listing(ctx)
		if err != nil {
			yield(Meta{}, err)
			return
		}
		for len(list) > 0 {
			n := 1
			for n < len(list) && sameState(list[0].id, list[n].id) {
				n++
			}
			for _, m := range s.describeSame(ctx, list[:n]) {
				if !yield(m.meta, m.err) {
					return
				}
			}
			list = list[n:]
		}
	}
}

func sameState(a, b ID) bool { return a.Term == b.Term && a.Index == b.Index }

func (s *Store) listing(ctx context.Context) ([]container, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer s.leave()
	return s.containers(ctx)
}

type described struct {
	meta Meta
	err  error
}

// describeSame describes snapshots of one state, readable ones first.
func (s *Store) describeSame(ctx context.Context, list []container) (out []described) {
	if err := s.enter(ctx); err != nil {
		return []described{{err: fmt.Errorf("list snapshots: %w", err)}}
	}
	defer s.leave()
	for _, o := range list {
		m, err := s.describe(ctx, o)
		if errors.Is(err, fault.ErrNotFound) {
			continue // removed since the listing
		}
		if err != nil {
			err = fmt.Errorf("describe snapshot %v: %w", o.id, err)
		}
		out = append(out, described{m, err})
	}
	slices.SortStableFunc(out, func(a, b described) int { return a.rank() - b.rank() })
	return out
}

func (d described) rank() int {
	if d.err != nil || d.meta.Damaged != nil {
		return 1
	}
	return 0
}

// Changes counts what may have changed what All yields, and what retention would
// remove: while it stays the same, so do they, but for damage that nobody met
// and time that passes. It reads nothing.
func (s *Store) Changes() uint64 {
	return s.writes.Load() + s.holds.changes.Load() + s.damage.changes.Load()
}

// Stat describes one snapshot as All does. If it is damaged, the error is its
// Meta.Damaged, and the Meta holds what could be read. fault.ErrNotFound:
// there is none with that id, or it was removed.
func (s *Store) Stat(ctx context.Context, id ID) (Meta, error) {
	m, err := s.statMeta(ctx, id)
	if err == nil {
		err = m.Damaged
	}
	if err != nil {
		return m, fmt.Errorf("stat snapshot %v: %w", id, err)
	}
	return m, nil
}

func (s *Store) statMeta(ctx context.Context, id ID) (Meta, error) {
	if err := s.enter(ctx); err != nil {
		return Meta{}, err
	}
	defer s.leave()
	if s.holds.isRemoved(id) {
		return Meta{}, fmt.Errorf("find %s: removed: %w", id.object(), fault.ErrNotFound)
	}
	o, err := s.stat(ctx, id)
	if err != nil {
		return Meta{}, err
	}
	return s.describe(ctx, o)
}

// Latest describes the newest snapshot. If that is damaged, the error is its
// Meta.Damaged: an older one is never returned in its place, because only the
// caller knows whether the log still reaches back that far; All has it.
// fault.ErrNotFound: there are no snapshots.
func (s *Store) Latest(ctx context.Context) (Meta, error) {
	for m, err := range s.All(ctx) {
		if err == nil {
			err = m.Damaged
		}
		if err != nil {
			return m, fmt.Errorf("find the latest snapshot: %w", err)
		}
		return m, nil
	}
	return Meta{}, fmt.Errorf("find the latest snapshot: %w", fault.ErrNotFound)
}
