package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Report is what Verify found.
type Report struct {
	Meta    Meta
	Chunks  int64               // verified without a fault
	Bytes   int64               // of payload in them
	Faults  int64               // damaged places
	Damaged []*fault.Corruption // the first of them, at most 100
}

const mostDamage = 100

func (r *Report) add(err error) bool {
	c, ok := errors.AsType[*fault.Corruption](err)
	if !ok {
		return false
	}
	r.Faults++
	if len(r.Damaged) < mostDamage {
		r.Damaged = append(r.Damaged, c)
	}
	return true
}

// Verify reads and expands everything of a snapshot and compares it with its
// checksums and digests. nil means that all of it can be read. Otherwise the
// error is the first damage found, a *fault.Corruption, and the Report lists
// the rest as far as the table could be followed; or another error, if the
// reading could not be finished. progress counts payload bytes and may be nil.
func (s *Store) Verify(ctx context.Context, id ID, progress Progress) (Report, error) {
	var r Report
	err := s.enter(ctx)
	if err == nil {
		defer s.leave()
		err = s.verify(ctx, id, s.o.Workers, progress, &r)
	}
	if err != nil {
		return r, fmt.Errorf("verify snapshot %v: %w", id, err)
	}
	return r, nil
}

func (s *Store) verify(ctx context.Context, id ID, workers int, progress Progress, r *Report) error {
	release, err := s.hold(id)
	if err != nil {
		return err
	}
	defer release()
	o, err := s.stat(ctx, id)
	if err != nil {
		return err
	}
	if r.Meta, err = s.describe(ctx, o); err != nil {
		return err
	}
	src, err := s.newSource(ctx, id)
	if err != nil {
		r.add(err)
		return err
	}
	defer func() { _ = src.close() }() // only read from
	first := s.verifyChunks(ctx, src, workers, progress, r)
	if first == nil {
		s.damage.forget(id)
		r.Meta.Damaged = nil
		return nil
	}
	if errors.Is(first, fault.ErrCorrupt) {
		s.damage.note(id, first)
		r.Meta.Damaged = first
	}
	return first
}

// verifyChunks goes on behind a damaged chunk, and returns the first damage or
// what made it stop.
func (s *Store) verifyChunks(ctx context.Context, src *source, workers int, progress Progress, r *Report) (first error) {
	u := newUnpacker(src, workers, true)
	defer u.close()
	var seen int64
	for {
		if err := s.going(ctx); err != nil {
			return err
		}
		t := u.next()
		if t == nil || ended(t.err) {
			return first
		}
		if t.err == nil {
			r.Chunks++
			r.Bytes += int64(t.e.Size)
		} else if !r.add(t.err) {
			return t.err
		} else if first == nil {
			first = t.err
		}
		seen += int64(t.e.Size)
		progress.report(seen, src.l.t.raw)
	}
}
