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
	Snapshot snapshot.ID      // the newest valid one; zero without one
	Damaged  []snapshot.ID    // newer ones that cannot be read
	Restored snapshot.ID      // which one became the data; zero if none did
	LogReset bool             // the log was made to follow the data
	Bare     bool             // no valid snapshot reaches the base of the log: only the data holds what was compacted
	Finished raftlog.Position // the restore that a crash had cut short after the data was switched
	Undone   raftlog.Position // the restore that a crash had cut short before
	Forsaken []snapshot.ID    // came back after a restore had given them up, and were removed
	Identity raftlog.Identity // what all parts carry from now on
}

// Recover compares log, snapshots and data and makes them one history again.
// New runs it before anything else; later it finds nothing to do. It applies
// nothing: the tail of the log may not be committed, and whoever knows delivers
// what follows the mark.
//
// What it does in which case, and why, stands in docs/format/recovery.md. Each
// step leaves what another open, also one after a crash in the middle of this
// one, decides upon anew. Parts that cannot be made one history are refused
// with a *fault.Corruption that names the hole.
func (s *Storage) Recover(ctx context.Context) (Report, error) {
	var r Report
	for round := 0; ; round++ {
		f, newest, damaged, err := s.look(ctx)
		if err != nil {
			return r, fmt.Errorf("recover: %w", err)
		}
		if round == 0 {
			r.Log, r.Applied = f.log, f.mark
		}
		r.Damaged, r.Snapshot = damaged, newest
		rule := decide(f)
		if rule.do == open {
			r.Bare = f.newest.Index < f.log.Base.Index
			return r, nil
		}
		s.o.Logger.Warn("recovery", "found", rule.name, "does", rule.do.String(), "reason", rule.why,
			"applied", f.mark.String(), "base", f.log.Base.String(), "last", f.log.Last, "newest", f.newest.String())
		switch rule.do {
		case restore:
			err = s.restoreNewest(ctx, &r)
		case advance:
			err = s.advance(ctx, f.newest)
		case follow:
			err = s.followData(ctx, f, &r)
		case undo:
			r.Undone = f.intent.to
			err = s.retract()
		default:
			err = rule.refusal(f)
		}
		if err != nil {
			return r, fmt.Errorf("recover: %s: %w", rule.name, err)
		}
	}
}

// look gathers what Recover decides by, and names the newest valid snapshot and
// the damaged ones above it.
func (s *Storage) look(ctx context.Context) (*facts, snapshot.ID, []snapshot.ID, error) {
	f := &facts{owner: s.o.Owner}
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return nil, snapshot.ID{}, nil, err
	}
	f.mark = raftlog.Position{Index: mark.Index, Term: mark.Term}
	if f.intent, err = s.declared(); err != nil {
		return nil, snapshot.ID{}, nil, err
	}
	st, err := s.log.Stats()
	if err != nil {
		return nil, snapshot.ID{}, nil, err
	}
	f.log = st.Bounds
	f.lossy = s.log.Volatile() || st.SyncPolicy == "interval" || st.SyncPolicy == "never"
	newest, damaged, err := s.newestAndDamaged(ctx)
	if err != nil {
		return nil, snapshot.ID{}, nil, err
	}
	f.newest = raftlog.Position{Index: newest.Index, Term: newest.Term}
	if f.atMark, err = s.placeOf(f.mark); err == nil {
		f.atNewest, err = s.placeOf(f.newest)
	}
	if err == nil {
		f.idle, err = s.idle(f)
	}
	return f, newest.ID, damaged, err
}

// idle reports that the entries after the mark, up to the newest snapshot, are
// of the kind that a library does not show to its state machine.
func (s *Storage) idle(f *facts) (bool, error) {
	const many = 1000 // entries that are read to find out
	if !s.o.SkipsNonCommands || f.atMark != held || f.atNewest != held ||
		f.newest.Index <= f.mark.Index || f.newest.Index-f.mark.Index > many {
		return false, nil
	}
	for e, err := range s.log.Entries(f.mark.Index+1, f.newest.Index+1) {
		if err != nil || e.Kind == raftlog.Normal || e.Kind == raftlog.Configuration {
			return false, err
		}
	}
	return true, nil
}

// advance moves the mark over entries that carry no command.
func (s *Storage) advance(ctx context.Context, to raftlog.Position) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	tx, err := s.applier.BeginWrite(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := tx.SetMark(kv.Mark{Index: to.Index, Term: to.Term}); err != nil {
		return err
	}
	return tx.Commit()
}

// newestAndDamaged finds the newest valid snapshot and the damaged ones above it.
func (s *Storage) newestAndDamaged(ctx context.Context) (newest snapshot.Meta, damaged []snapshot.ID, err error) {
	for meta, err := range s.snaps.All(ctx) {
		switch {
		case err != nil:
			return newest, damaged, err
		case meta.Damaged == nil:
			return meta, damaged, nil
		}
		damaged = append(damaged, meta.ID)
		s.o.Logger.Warn("damaged snapshot passed over", "id", meta.ID.String(), "error", meta.Damaged)
	}
	return newest, damaged, nil
}

// placeOf says how p stands to the log. A base whose term is not known is taken
// for p.
func (s *Storage) placeOf(p raftlog.Position) (place, error) {
	got, err := s.log.Term(p.Index)
	switch {
	case errors.Is(err, fault.ErrCompacted):
		return below, nil
	case errors.Is(err, fault.ErrNotFound):
		return beyond, nil
	case err != nil:
		return held, err
	case got != p.Term && got != 0:
		return differs, nil
	}
	return held, nil
}

// restoreNewest makes the newest valid snapshot the data. One that shows only
// now that it is damaged is listed so from here on, and another look decides.
func (s *Storage) restoreNewest(ctx context.Context, r *Report) error {
	id := r.Snapshot
	err := s.Restore(ctx, id, nil)
	if err == nil {
		r.Restored = id
		return nil
	}
	if _, seen := s.snaps.Stat(ctx, id); errors.Is(err, fault.ErrCorrupt) && errors.Is(seen, fault.ErrCorrupt) {
		s.o.Logger.Warn("snapshot is damaged", "id", id.String(), "error", err)
		return nil
	}
	return err
}

// followData makes the log continue after the data.
func (s *Storage) followData(ctx context.Context, f *facts, r *Report) error {
	var err error
	if f.intent == nil {
		r.LogReset, err = s.followLog(ctx, intent{from: f.mark, to: f.mark}, false)
		return err
	}
	r.Finished = f.intent.to
	r.LogReset, err = s.followLog(ctx, *f.intent, true)
	return err
}
