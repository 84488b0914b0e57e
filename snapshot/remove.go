package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Remove removes a snapshot. On return no listing shows it, and unless it is
// pinned or being read its container is gone durably. Where it is, whoever
// holds it goes on, and the container goes with the last of them or with
// Close; a crash before that brings it back.
//
// The newest valid snapshot is removed only with Force: otherwise
// fault.ErrInvalid. fault.ErrNotFound: there is none with that id.
func (s *Store) Remove(ctx context.Context, id ID, o *RemoveOptions) error {
	if err := s.remove(ctx, id, o != nil && o.Force); err != nil {
		return fmt.Errorf("remove snapshot %v: %w", id, err)
	}
	return nil
}

func (s *Store) remove(ctx context.Context, id ID, force bool) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.removing.Lock()
	defer s.removing.Unlock()
	if _, err := s.stat(ctx, id); err != nil {
		return err
	}
	if !force {
		newest, err := s.newest(ctx)
		if err != nil {
			return err
		}
		if newest == id {
			return invalid("it is the newest valid snapshot, and not forced")
		}
	}
	_, err := s.hide(ctx, id, false)
	return err
}

// newest returns the id of the newest valid snapshot, zero if there is none.
// A snapshot that cannot be looked at is an error: it might be the one.
func (s *Store) newest(ctx context.Context) (ID, error) {
	list, err := s.candidates(ctx)
	if err != nil {
		return ID{}, err
	}
	if i := newestValid(list); i >= 0 {
		return list[i].meta.ID, nil
	}
	return ID{}, nil
}

// hide hides a snapshot and deletes its container unless it is held. done is
// false where it is held and that spares it. The caller holds removing.
func (s *Store) hide(ctx context.Context, id ID, spareHeld bool) (done bool, err error) {
	deleteNow, ok := s.holds.remove(id, spareHeld)
	if !ok {
		if spareHeld {
			return false, nil
		}
		return false, fmt.Errorf("find %s: removed: %w", id.object(), fault.ErrNotFound)
	}
	if !deleteNow {
		return true, nil
	}
	if err := s.deleteObject(ctx, id); err != nil {
		s.holds.forget(id)
		return false, err
	}
	return true, nil
}

// candidates describes all snapshots for retention, newest first.
func (s *Store) candidates(ctx context.Context) ([]candidate, error) {
	list, err := s.containers(ctx)
	if err != nil {
		return nil, err
	}
	var out []candidate
	for len(list) > 0 {
		n := 1
		for n < len(list) && sameState(list[0].id, list[n].id) {
			n++
		}
		for _, d := range s.describeSame(ctx, list[:n]) {
			if d.err != nil {
				return nil, d.err
			}
			id := d.meta.ID
			out = append(out, candidate{meta: d.meta, held: s.holds.isHeld(id), opened: s.access.of(id)})
		}
		list = list[n:]
	}
	return out, nil
}

// Plan returns what Prune would remove under that policy, oldest first.
// fault.ErrInvalid: the policy makes no sense.
func (s *Store) Plan(ctx context.Context, p Policy) ([]Meta, error) {
	list, err := s.plan(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("plan %v: %w", p, err)
	}
	return metas(list), nil
}

func (s *Store) plan(ctx context.Context, p Policy) ([]candidate, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	list, err := s.candidates(ctx)
	if err != nil {
		return nil, err
	}
	return p.victims(s.o.Now(), list), nil
}

func metas(list []candidate) (out []Meta) {
	for _, c := range list {
		out = append(out, c.meta)
	}
	return out
}

// Prune removes what the policy allows, oldest first, and returns what it
// removed, also next to an error. What somebody began to read or pinned
// meanwhile stays. A snapshot that cannot be looked at stops it before it
// removes anything. fault.ErrInvalid: the policy makes no sense.
func (s *Store) Prune(ctx context.Context, p Policy) ([]Meta, error) {
	out, err := s.prune(ctx, p)
	if err != nil {
		return out, fmt.Errorf("prune by %v: %w", p, err)
	}
	return out, nil
}

func (s *Store) prune(ctx context.Context, p Policy) ([]Meta, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	s.removing.Lock()
	defer s.removing.Unlock()
	list, err := s.candidates(ctx)
	if err != nil {
		return nil, err
	}
	return s.removeAll(ctx, p.victims(s.o.Now(), list))
}

// removeAll removes candidates that nobody holds by now, in their order.
func (s *Store) removeAll(ctx context.Context, victims []candidate) (out []Meta, err error) {
	for _, v := range victims {
		if err := s.going(ctx); err != nil {
			return out, err
		}
		done, err := s.hide(ctx, v.meta.ID, true)
		if err != nil {
			return out, err
		}
		if done {
			out = append(out, v.meta)
			s.o.Logger.Debug("snapshot removed", "id", v.meta.ID.String())
		}
	}
	return out, nil
}

// retain applies the store's own retention after a publish. The snapshot is
// committed whatever comes of it, so failures are logged.
func (s *Store) retain(ctx context.Context) {
	if s.o.Retention == (Policy{}) && s.o.MaxSnapshots == 0 {
		return
	}
	s.removing.Lock()
	defer s.removing.Unlock()
	if err := s.retainLocked(ctx); err != nil {
		s.o.Logger.Warn("snapshot store: retention failed", "error", err)
	}
}

func (s *Store) retainLocked(ctx context.Context) error {
	list, err := s.candidates(ctx)
	if err != nil {
		return err
	}
	var errs error
	if s.o.Retention != (Policy{}) {
		_, errs = s.removeAll(ctx, s.o.Retention.victims(s.o.Now(), list))
	}
	if s.o.MaxSnapshots > 0 {
		if list, err = s.candidates(ctx); err == nil {
			_, err = s.removeAll(ctx, surplus(list, s.o.MaxSnapshots))
		}
		errs = errors.Join(errs, err)
	}
	return errs
}
