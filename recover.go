package trimaran

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// Report says how the three layers stood to each other, and what Recover did.
type Report struct {
	Log      raftlog.Bounds // as found
	Applied  raftlog.Position
	Snapshot snapshot.ID   // the newest valid one; zero without one
	Damaged  []snapshot.ID // newer ones that cannot be read
	Restored snapshot.ID   // which one became the data; zero if none did
	LogReset bool          // the log was made to follow the data
}

// Recover compares log, snapshots and data and makes them one history again.
// New runs it before anything else. It applies nothing: the tail of the log may
// not be committed, and whoever knows delivers what follows the mark.
//
// In words, with the mark at a and the newest valid snapshot at s:
//
//   - the log reaches from below a to a or further, and agrees on its term: open;
//   - entries between a and the log's base are gone, or the log ends before s,
//     or a library counts s as applied: restore s, and make the log follow;
//   - the data is ahead of the log, or disagrees with it: that is right only if
//     it came from a snapshot whose install was cut short, so the log follows;
//   - anything else has a hole, and is refused with an error that names it.
func (s *Storage) Recover(ctx context.Context) (Report, error) {
	var r Report
	var err error
	if r.Log, err = s.log.Bounds(); err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	r.Applied = raftlog.Position{Index: mark.Index, Term: mark.Term}
	newest, err := s.newest(ctx, &r)
	if err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	if newest != nil && s.wants(newest, r) {
		if err := s.Restore(ctx, newest.ID, nil); err != nil {
			return r, fmt.Errorf("recover: %w", err)
		}
		r.Restored = newest.ID
	}
	if err := s.connect(ctx, &r); err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	return r, nil
}

// newest finds the newest valid snapshot and notes damaged ones above it.
func (s *Storage) newest(ctx context.Context, r *Report) (*snapshot.Meta, error) {
	for meta, err := range s.snaps.All(ctx) {
		switch {
		case err != nil:
			return nil, err
		case meta.Damaged == nil:
			r.Snapshot = meta.ID
			return &meta, nil
		}
		r.Damaged = append(r.Damaged, meta.ID)
		s.o.Logger.Warn("damaged snapshot passed over", "id", meta.ID.String(), "error", meta.Damaged)
	}
	return nil, nil
}

// wants reports whether a snapshot must become the data.
func (s *Storage) wants(m *snapshot.Meta, r Report) bool {
	if m.Index <= r.Applied.Index {
		return false
	}
	return s.o.Owner == OwnerLibrary || // counts as applied
		r.Applied.Index < r.Log.Base.Index || // the entries in between are gone
		m.Index > r.Log.Last // an install was cut short before the data followed
}

// connect checks that the log continues the data, or makes it do so where the
// data came from a snapshot.
func (s *Storage) connect(ctx context.Context, r *Report) error {
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return err
	}
	b, err := s.log.Bounds()
	if err != nil {
		return err
	}
	if mark.Index < b.Base.Index {
		return &fault.Corruption{Offset: -1, Index: mark.Index + 1, Class: fault.Missing,
			Reason: fmt.Sprintf("data holds entries up to %d, the log begins at %d, and no valid snapshot holds those in between", mark.Index, b.First())}
	}
	has, err := s.logHas(mark.Index, mark.Term)
	if err != nil || has {
		return err
	}
	restored, err := s.heldBySnapshot(ctx, mark)
	if err != nil {
		return err
	}
	if !restored {
		return s.disagreement(mark, b)
	}
	r.LogReset = true
	return s.followLog(mark.Index, mark.Term)
}

// heldBySnapshot reports whether a valid snapshot is what the data came from.
func (s *Storage) heldBySnapshot(ctx context.Context, mark kv.Mark) (bool, error) {
	for meta, err := range s.snaps.All(ctx) {
		if err != nil {
			return false, err
		}
		if meta.Damaged == nil && meta.Index == mark.Index && meta.Term == mark.Term {
			return true, nil
		}
	}
	return false, nil
}

func (s *Storage) disagreement(mark kv.Mark, b raftlog.Bounds) error {
	reason := fmt.Sprintf("data holds entries up to %d, the log ends at %d: acknowledged entries are gone from the log", mark.Index, b.Last)
	if mark.Index <= b.Last {
		term, err := s.log.Term(mark.Index)
		if err != nil {
			return err
		}
		reason = fmt.Sprintf("the last entry of the data is %d of term %d, in the log it is of term %d: the two are of different histories", mark.Index, mark.Term, term)
	}
	return &fault.Corruption{Offset: -1, Index: mark.Index, Class: fault.Missing, Reason: reason,
		Err: errors.New("no valid snapshot explains it; restore one, or bring back the part that belongs here")}
}
