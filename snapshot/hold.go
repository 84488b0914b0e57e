package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
)

// holds counts who relies on a snapshot, so that a removal can hide it at once
// and delete it when the last one lets go.
type holds struct {
	mu      sync.Mutex
	m       map[ID]*hold
	changes atomic.Uint64 // of what is hidden, and of what nobody holds any more
}

type hold struct {
	readers, pins int
	removed       bool
}

func (h *hold) free() bool { return h.readers+h.pins == 0 }

func (h *holds) of(id ID) *hold {
	if h.m == nil {
		h.m = map[ID]*hold{}
	}
	if h.m[id] == nil {
		h.m[id] = &hold{}
	}
	return h.m[id]
}

func (h *holds) isRemoved(id ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.m[id] != nil && h.m[id].removed
}

func (h *holds) isHeld(id ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.m[id] != nil && !h.m[id].free()
}

// read takes a hold for reading. A removed snapshot can be read only as long
// as it is pinned.
func (h *holds) read(id ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.of(id)
	if e.removed && e.pins == 0 {
		return false
	}
	e.readers++
	return true
}

// pin takes a hold unless the snapshot was removed.
func (h *holds) pin(id ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.of(id)
	if e.removed {
		return false
	}
	e.pins++
	return true
}

// release gives back a hold and reports whether the object is to be deleted.
func (h *holds) release(id ID, pin bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.of(id)
	if pin {
		e.pins--
	} else {
		e.readers--
	}
	if e.free() && !e.removed {
		delete(h.m, id)
		h.changes.Add(1)
	}
	return e.free() && e.removed
}

// remove hides a snapshot. deleteNow: nobody holds it. ok is false where it is
// hidden already, or held and spareHeld is set.
func (h *holds) remove(id ID, spareHeld bool) (deleteNow, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.of(id)
	if e.removed || spareHeld && !e.free() {
		return false, false
	}
	e.removed = true
	h.changes.Add(1)
	return e.free(), true
}

// forget ends the hiding: the object is gone, or could not be removed.
func (h *holds) forget(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.m, id)
	h.changes.Add(1)
}

// removed returns what is hidden and not deleted, oldest first.
func (h *holds) removed() (out []ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, e := range h.m {
		if e.removed {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, ID.Compare)
	return out
}

// hold keeps a snapshot readable until release is called, once.
func (s *Store) hold(id ID) (release func(), err error) {
	if !s.holds.read(id) {
		return nil, fmt.Errorf("find %s: removed: %w", id.object(), fault.ErrNotFound)
	}
	return sync.OnceFunc(func() { s.letGo(id, false) }), nil
}

// Pin keeps a snapshot from being removed by any policy until release is
// called. Remove hides a pinned snapshot at once but deletes it only after the
// last release; until then Open, Manifest, Chunk, Stream and Verify go on to
// find it by its id. Pinning a snapshot that is not there has no effect.
// release may be called twice, and after Close.
func (s *Store) Pin(id ID) (release func()) {
	if !s.holds.pin(id) {
		return func() {}
	}
	return sync.OnceFunc(func() { s.letGo(id, true) })
}

func (s *Store) letGo(id ID, pin bool) {
	if !s.holds.release(id, pin) {
		return
	}
	ctx := context.Background()
	if s.enter(ctx) != nil {
		return // Close deletes what is left
	}
	defer s.leave()
	if err := s.deleteObject(ctx, id); err != nil {
		s.o.Logger.Warn("snapshot store: removed snapshot could not be deleted, it stays hidden until the next open", "id", id.String(), "error", err)
	}
}

// deleteObject deletes the container of a hidden snapshot.
func (s *Store) deleteObject(ctx context.Context, id ID) error {
	if err := s.bucket.Remove(ctx, id.object()); err != nil {
		return fmt.Errorf("remove %s: %w", id.object(), err)
	}
	s.holds.forget(id)
	s.damage.forget(id)
	s.access.forget(id)
	return nil
}

// removeRest deletes what was removed while it was held.
func (s *Store) removeRest(ctx context.Context) (err error) {
	for _, id := range s.holds.removed() {
		err = errors.Join(err, s.deleteObject(ctx, id))
	}
	return err
}
