package logtest

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var trimCases = []Case{
	{Name: "truncate", Rule: "truncation drops an index and what follows, and the log goes on from there (D-17)", run: truncate},
	{Name: "truncate at base", Rule: "truncation refuses to reach the base, and beyond the last does nothing (D-17)", run: truncateAtBase},
	{Name: "compact", Rule: "compaction is inclusive, idempotent, never goes back and keeps the base's term (D-1, D-2)", run: compact},
	{Name: "compact beyond", Rule: "compaction beyond the last entry is refused (D-1)", run: compactBeyond},
	{Name: "emptied", Rule: "an emptied log reports its base as last and goes on after it (D-2)", run: emptied},
	{Name: "reset", Rule: "a reset empties the log, which goes on after the new base, forward or back (D-12)", run: reset},
	{Name: "reset with unknown term", Rule: "a reset may leave the base's term unknown", run: resetWithUnknownTerm},
}

func truncate(s *subject) error {
	return all(
		func() error { return s.l.Append(concat(entries(1, 5, 1), entries(5, 9, 2))...) },
		func() error { return s.l.TruncateFrom(7) },
		func() error { return s.holds(raftlog.Position{}, concat(entries(1, 5, 1), entries(5, 7, 2))...) },
		func() error { return s.l.TruncateFrom(5) },
		func() error { return s.l.Append(entries(5, 8, 3)...) },
		func() error { return s.holds(raftlog.Position{}, concat(entries(1, 5, 1), entries(5, 8, 3))...) },
		func() error { return s.l.TruncateFrom(1) },
		func() error { return s.holds(raftlog.Position{}) },
		func() error { return s.l.Append(entry(1, 1)) }, // the term of what went is no bound
	)
}

func truncateAtBase(s *subject) error {
	return all(
		func() error { return s.l.Append(entries(1, 10, 1)...) },
		func() error { return s.l.CompactTo(4) },
		func() error { return s.refused(raftlog.Batch{TruncateFrom: 4}, fault.ErrCompacted) },
		func() error { return s.refused(raftlog.Batch{TruncateFrom: 1}, fault.ErrCompacted) },
		func() error { return is("TruncateFrom(0)", s.l.TruncateFrom(0), fault.ErrInvalid) },
		func() error { return s.l.TruncateFrom(10) },
		func() error { return s.l.TruncateFrom(1000) },
		func() error { return s.holds(raftlog.Position{Index: 4, Term: 1}, entries(5, 10, 1)...) },
	)
}

func compact(s *subject) error {
	return all(
		func() error { return s.l.Append(concat(entries(1, 5, 1), entries(5, 9, 2))...) },
		func() error { return s.l.CompactTo(5) },
		func() error { return s.holds(raftlog.Position{Index: 5, Term: 2}, entries(6, 9, 2)...) },
		func() error { return s.l.CompactTo(5) },
		func() error { return s.l.CompactTo(2) },
		func() error { return s.l.CompactTo(0) },
		func() error { return s.holds(raftlog.Position{Index: 5, Term: 2}, entries(6, 9, 2)...) },
	)
}

func compactBeyond(s *subject) error {
	return all(
		func() error { return s.refused(raftlog.Batch{CompactTo: 1}, fault.ErrInvalid) },
		func() error { return s.l.Append(entries(1, 4, 1)...) },
		func() error { return s.refused(raftlog.Batch{CompactTo: 4}, fault.ErrInvalid) },
		func() error { return s.refused(raftlog.Batch{TruncateFrom: 2, CompactTo: 2}, fault.ErrInvalid) },
	)
}

func emptied(s *subject) error {
	base := raftlog.Position{Index: 3, Term: 2}
	return all(
		func() error { return s.l.Append(concat(entries(1, 3, 1), entries(3, 4, 2))...) },
		func() error { return s.l.CompactTo(3) },
		func() error { return s.holds(base) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(5, 6, 2)}, fault.ErrInvalid) },
		func() error { return s.refused(raftlog.Batch{TruncateFrom: 3}, fault.ErrCompacted) },
		func() error { return s.l.Append(entry(4, 2)) },
		func() error { return s.l.TruncateFrom(4) },
		func() error { return s.holds(base) },
		func() error { return s.l.Append(entry(4, 3)) },
		func() error { return s.holds(base, entry(4, 3)) },
	)
}

func reset(s *subject) error {
	stable := raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("7")}}}
	far := raftlog.Position{Index: 1000, Term: 9}
	return all(
		func() error { return s.l.Append(entries(1, 10, 1)...) },
		func() error { return s.l.Write(stable) },
		func() error { return s.l.Reset(far) },
		func() error { return s.holds(far) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(10, 11, 9)}, fault.ErrInvalid) },
		func() error { return s.l.Append(entries(1001, 1004, 9)...) },
		func() error { return s.holds(far, entries(1001, 1004, 9)...) },
		func() error { return s.l.Reset(raftlog.Position{Index: 5, Term: 2}) },
		func() error { return s.l.Append(entry(6, 2)) },
		func() error { return s.holds(raftlog.Position{Index: 5, Term: 2}, entry(6, 2)) },
		func() error { return s.l.Reset(raftlog.Position{}) },
		func() error { return s.holds(raftlog.Position{}) },
		func() error {
			v, err := s.l.Stable("vote")
			if err != nil || string(v) != "7" {
				return fmt.Errorf("Stable(vote) after resets = %q, %v, want 7", v, err)
			}
			return nil
		},
	)
}

func resetWithUnknownTerm(s *subject) error {
	base := raftlog.Position{Index: 50}
	return all(
		func() error { return s.l.Reset(base) },
		func() error { return s.holds(base) },
		func() error { return s.l.Append(entries(51, 53, 4)...) },
		func() error { return s.holds(base, entries(51, 53, 4)...) },
		func() error { return s.l.CompactTo(51) },
		func() error { return s.holds(raftlog.Position{Index: 51, Term: 4}, entry(52, 4)) },
	)
}
