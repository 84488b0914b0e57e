package logtest

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var writeCases = []Case{
	{Name: "new log is empty", Rule: "a new log has base and last 0 and continues at 1", run: newLogIsEmpty},
	{Name: "round trip", Rule: "an entry comes back as it went in: kind, time, extension; nil stays nil and empty stays empty", run: roundTrip},
	{Name: "gap", Rule: "an append that leaves a gap changes nothing (D-16)", run: gapChangesNothing},
	{Name: "overlap", Rule: "an append that overlaps changes nothing (D-16)", run: overlapChangesNothing},
	{Name: "gap inside", Rule: "a batch whose entries do not follow one another changes nothing", run: gapInsideChangesNothing},
	{Name: "falling term", Rule: "an append whose term falls changes nothing (D-16)", run: fallingTermChangesNothing},
	{Name: "impossible positions", Rule: "index 0, term 0 and the largest index are refused", run: impossiblePositions},
	{Name: "oversized entry", Rule: "an entry over the limit is refused, with the whole batch", run: oversizedEntry},
	{Name: "order of fields", Rule: "a batch applies reset, truncation, entries, stable keys and compaction in this order", run: orderOfFields},
	{Name: "all or nothing", Rule: "a batch with one bad part changes nothing, its stable keys included", run: allOrNothing},
	{Name: "own memory", Rule: "what a caller does to its memory after a write, or to what it read, does not reach the log", run: ownMemory},
}

func newLogIsEmpty(s *subject) error {
	return all(
		func() error { return s.holds(raftlog.Position{}) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(2, 3, 1)}, fault.ErrInvalid) },
		func() error { return s.l.Append(entry(1, 1)) },
		func() error { return s.holds(raftlog.Position{}, entry(1, 1)) },
	)
}

func roundTrip(s *subject) error {
	want := []raftlog.Entry{
		{Index: 1, Term: 1},
		{Index: 2, Term: 1, Data: []byte{}, Ext: []byte{}},
		{Index: 3, Term: 1, Kind: raftlog.Configuration, Data: []byte("members")},
		{Index: 4, Term: 2, Kind: raftlog.NoOp, Ext: []byte("ext"), Time: time.Unix(1, 2)},
		{Index: 5, Term: 2, Kind: raftlog.Snapshot, Data: []byte{0}, Ext: []byte{0}, Time: time.Unix(-3, 999_999_999)},
		{Index: 6, Term: math.MaxUint64, Kind: 255, Data: bytes.Repeat([]byte("x"), 1<<20), Time: time.Unix(1<<40, 0)},
	}
	for i := range want { // one write each, so that every entry is read alone and in a run
		if err := s.l.Append(want[i]); err != nil {
			return err
		}
		got, err := s.l.Entry(want[i].Index)
		if err != nil {
			return err
		}
		if !got.Equal(want[i]) || got.Time.IsZero() != want[i].Time.IsZero() {
			return fmt.Errorf("Entry(%d) = %s, want %s", want[i].Index, brief(got), brief(want[i]))
		}
	}
	return s.holds(raftlog.Position{}, want...)
}

func gapChangesNothing(s *subject) error {
	return all(
		func() error { return s.l.Append(entries(1, 4, 1)...) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(5, 7, 1)}, fault.ErrInvalid) },
		func() error {
			return s.refused(raftlog.Batch{TruncateFrom: 2, Entries: entries(3, 4, 1)}, fault.ErrInvalid)
		},
		func() error { return s.l.Append(entry(4, 1)) },
	)
}

func overlapChangesNothing(s *subject) error {
	return all(
		func() error { return s.l.Append(entries(1, 4, 1)...) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(3, 6, 1)}, fault.ErrInvalid) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(1, 2, 9)}, fault.ErrInvalid) },
		func() error { return s.l.CompactTo(3) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(3, 5, 1)}, fault.ErrInvalid) },
	)
}

func gapInsideChangesNothing(s *subject) error {
	for _, es := range [][]raftlog.Entry{
		{entry(1, 1), entry(3, 1)},
		{entry(1, 1), entry(1, 1)},
		{entry(2, 1), entry(1, 1)},
	} {
		if err := s.refused(raftlog.Batch{Entries: es}, fault.ErrInvalid); err != nil {
			return err
		}
	}
	return nil
}

func fallingTermChangesNothing(s *subject) error {
	return all(
		func() error { return s.l.Append(entries(1, 4, 5)...) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(4, 5, 4)}, fault.ErrInvalid) },
		func() error {
			return s.refused(raftlog.Batch{Entries: []raftlog.Entry{entry(4, 6), entry(5, 5)}}, fault.ErrInvalid)
		},
		func() error { return s.l.CompactTo(3) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(4, 5, 4)}, fault.ErrInvalid) },
		func() error { return s.l.Reset(raftlog.Position{Index: 9, Term: 7}) },
		func() error { return s.refused(raftlog.Batch{Entries: entries(10, 11, 6)}, fault.ErrInvalid) },
		func() error { return s.l.Append(entry(10, 7)) },
	)
}

func impossiblePositions(s *subject) error {
	for _, b := range []raftlog.Batch{
		{Entries: []raftlog.Entry{{Index: 0, Term: 1}}},
		{Entries: []raftlog.Entry{{Index: 1, Term: 0}}},
		{Reset: &raftlog.Position{Index: math.MaxUint64 - 1, Term: 1}, Entries: []raftlog.Entry{{Index: math.MaxUint64, Term: 1}}},
		{Reset: &raftlog.Position{Index: math.MaxUint64, Term: 1}},
		{Reset: &raftlog.Position{Term: 1}},
	} {
		if err := s.refused(b, fault.ErrInvalid); err != nil {
			return err
		}
	}
	last := raftlog.Position{Index: math.MaxUint64 - 2, Term: 1}
	return all(
		func() error {
			return s.l.Write(raftlog.Batch{Reset: &last, Entries: []raftlog.Entry{entry(last.Index+1, 1)}})
		},
		func() error { return s.holds(last, entry(last.Index+1, 1)) },
	)
}

func oversizedEntry(s *subject) error {
	small, err := raftlog.New(s.d, group1, &raftlog.Options{MaxEntrySize: 10})
	if err != nil {
		return err
	}
	defer small.Close()
	s.l = small
	big := raftlog.Entry{Index: 2, Term: 1, Data: make([]byte, 8), Ext: make([]byte, 3)}
	return all(
		func() error {
			return s.refused(raftlog.Batch{Entries: []raftlog.Entry{{Index: 1, Term: 1}, big}}, fault.ErrInvalid)
		},
		func() error { return small.Append(raftlog.Entry{Index: 1, Term: 1, Data: make([]byte, 10)}) },
	)
}

func orderOfFields(s *subject) error {
	if err := s.l.Append(entries(1, 6, 1)...); err != nil {
		return err
	}
	b := raftlog.Batch{TruncateFrom: 4, Entries: entries(4, 8, 2), Stable: []raftlog.StableKV{{Key: "a", Value: []byte("1")}}, CompactTo: 2}
	if err := s.l.Write(b); err != nil {
		return err
	}
	if err := s.holds(raftlog.Position{Index: 2, Term: 1}, concat(entries(3, 4, 1), entries(4, 8, 2))...); err != nil {
		return err
	}
	b = raftlog.Batch{Reset: &raftlog.Position{Index: 100, Term: 3}, Entries: entries(101, 104, 3), CompactTo: 101}
	if err := s.l.Write(b); err != nil {
		return err
	}
	if _, err := s.l.Stable("a"); err != nil {
		return fmt.Errorf("stable key after a reset: %w", err)
	}
	return s.holds(raftlog.Position{Index: 101, Term: 3}, entries(102, 104, 3)...)
}

func allOrNothing(s *subject) error {
	kv := []raftlog.StableKV{{Key: "vote", Value: []byte("x")}}
	for _, b := range []raftlog.Batch{
		{Stable: kv, Entries: entries(2, 3, 1)},
		{Stable: kv, Entries: entries(1, 3, 1), CompactTo: 9},
		{Stable: append(kv, raftlog.StableKV{Key: ""})},
	} {
		if err := s.refused(b, fault.ErrInvalid); err != nil {
			return err
		}
		if _, err := s.l.Stable("vote"); err != nil {
			if err := is("Stable of a refused batch", err, fault.ErrNotFound); err != nil {
				return err
			}
			continue
		}
		return fmt.Errorf("a refused batch left its stable key behind")
	}
	return nil
}

func ownMemory(s *subject) error {
	e := raftlog.Entry{Index: 1, Term: 1, Data: []byte("data"), Ext: []byte("ext")}
	value := []byte("value")
	if err := s.l.Write(raftlog.Batch{Entries: []raftlog.Entry{e}, Stable: []raftlog.StableKV{{Key: "k", Value: value}}}); err != nil {
		return err
	}
	want := raftlog.Entry{Index: 1, Term: 1, Data: []byte("data"), Ext: []byte("ext")}
	clear(e.Data)
	clear(e.Ext)
	clear(value)
	for range 2 { // the second round reads after the first one's result was spoilt
		got, err := s.l.Entry(1)
		if err != nil {
			return err
		}
		v, err := s.l.Stable("k")
		if err != nil {
			return err
		}
		if !got.Equal(want) || string(v) != "value" {
			return fmt.Errorf("Entry(1), Stable(k) = %q, %q, %q", got.Data, got.Ext, v)
		}
		clear(got.Data)
		clear(got.Ext)
		clear(v)
	}
	return nil
}
