package trimaran

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

// Apply applies committed entries, in order, in one transaction that also moves
// the mark: on return all of them are visible, or none. Entries at or below the
// mark are skipped, so a replay is harmless. fn is called for each entry that
// carries a command (Normal, and kinds of a library's own); configurations
// become the mark's membership, no-ops move the mark only. Inside fn the
// transaction's SetMark, Commit and Rollback are fault.ErrInvalid.
//
// An error from fn is fatal: nothing of the batch is applied and the mark
// stays. A command that fails is no such error, but a result that fn records.
// A gap is fault.ErrInvalid, unless Options.SkipsNonCommands says that what was
// left out carries no command; the log is asked, as far as it still holds it.
//
// The data is durable when the log needs it to be: before compaction, and after
// Sync. Until then the entries are, in the log.
//
// fault.ErrFull says that the data had no room: nothing of the batch is
// applied, and the same call works when there is some. Until it does, Admit is
// fault.ErrFull.
func (s *Storage) Apply(ctx context.Context, entries []raftlog.Entry, fn func(tx *kv.WriteTx, e raftlog.Entry) error) error {
	if err := s.enter("apply"); err != nil {
		return err
	}
	defer s.gate.Leave()
	s.applying.Lock()
	defer s.applying.Unlock()
	err := s.applyAll(ctx, entries, fn)
	switch {
	case errors.Is(err, fault.ErrFull):
		s.full.Store(&err)
	case err == nil && s.full.Load() != nil:
		s.full.Store(nil)
	}
	return err
}

func (s *Storage) applyAll(ctx context.Context, entries []raftlog.Entry, fn func(tx *kv.WriteTx, e raftlog.Entry) error) error {
	if err := s.behind.Load(); err != nil {
		return fmt.Errorf("apply: %w", *err)
	}
	tx, err := s.applier.BeginWrite(ctx)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	defer tx.Rollback() // also when fn panics; does nothing after Commit
	mark, err := tx.Mark()
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	before := mark.Index
	restricted := tx.Restrict()
	for _, e := range entries {
		if e.Index <= mark.Index {
			continue
		}
		if err := s.applyOne(tx, restricted, &mark, e, fn); err != nil {
			return fmt.Errorf("apply entry %d: %w", e.Index, err)
		}
	}
	if mark.Index == before {
		return nil
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("apply up to %d: %w", mark.Index, err)
	}
	s.metrics.applied(mark.Index - before)
	s.announce()
	return nil
}

func (s *Storage) applyOne(tx, restricted *kv.WriteTx, mark *kv.Mark, e raftlog.Entry, fn func(*kv.WriteTx, raftlog.Entry) error) error {
	if e.Index != mark.Index+1 {
		if err := s.checkGap(mark.Index+1, e.Index); err != nil {
			return err
		}
	}
	next := kv.Mark{Index: e.Index, Term: e.Term}
	if e.Kind == raftlog.Configuration {
		next.Membership, next.MembershipIndex = e.Data, e.Index
	}
	if err := tx.SetMark(next); err != nil { // before fn, which may set the membership as of this entry
		return err
	}
	mark.Index, mark.Term = e.Index, e.Term
	switch e.Kind {
	case raftlog.Configuration, raftlog.NoOp, raftlog.Snapshot:
		return nil
	}
	return fn(restricted, e)
}

// checkGap refuses to skip [lo, hi) if any of it may carry a command.
func (s *Storage) checkGap(lo, hi uint64) error {
	if !s.o.SkipsNonCommands {
		return fmt.Errorf("entries %d to %d are missing before it: %w", lo, hi-1, fault.ErrInvalid)
	}
	b, err := s.log.Bounds()
	if err != nil {
		return err
	}
	lo, hi = max(lo, b.First()), min(hi, b.Last+1)
	if lo >= hi {
		return nil
	}
	for e, err := range s.log.Entries(lo, hi) {
		switch {
		case errors.Is(err, fault.ErrCompacted):
			return nil // since we looked
		case err != nil:
			return err
		case e.Kind == raftlog.Normal:
			return fmt.Errorf("entry %d is a command and was left out: %w", e.Index, fault.ErrInvalid)
		}
	}
	return nil
}
