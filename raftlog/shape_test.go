package raftlog_test

import (
	"errors"
	"math"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// FuzzShape holds Shape against a plain list of terms: after every batch that
// Check lets pass, bounds and each term agree.
func FuzzShape(f *testing.F) {
	f.Add([]byte{1, 5, 1, 0, 3, 2, 9, 1})
	f.Add([]byte{3, 200, 1, 4, 2, 201, 4, 203, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		var s raftlog.Shape
		var base raftlog.Position
		var terms []uint64 // of base.Index+1 and on
		for ; len(script) >= 2; script = script[2:] {
			kind, arg := script[0]%5, uint64(script[1])
			last := base.Index + uint64(len(terms))
			lastTerm := s.Bounds().LastTerm
			var b raftlog.Batch
			switch kind {
			case 0, 1: // kind 1 raises the term
				for i := range arg % 8 {
					b.Entries = append(b.Entries, raftlog.Entry{Index: last + 1 + i, Term: max(1, lastTerm) + uint64(kind)})
				}
			case 2:
				b.TruncateFrom = arg
			case 3:
				b.Reset = &raftlog.Position{Index: arg, Term: min(arg, 1)}
			case 4:
				b.CompactTo = arg
			}
			ok := kind < 2 || kind == 3 || kind == 2 && (arg == 0 || arg > base.Index) || kind == 4 && arg <= last
			if err := s.Check(&b); (err == nil) != ok {
				t.Fatalf("Check(%+v) = %v with base %d and last %d", b, err, base.Index, last)
			}
			if !ok {
				continue
			}
			s.Apply(&b)
			switch {
			case kind < 2:
				for _, e := range b.Entries {
					terms = append(terms, e.Term)
				}
			case kind == 2 && arg != 0 && arg <= last:
				terms = terms[:arg-base.Index-1]
			case kind == 3:
				base, terms = *b.Reset, nil
			case kind == 4 && arg > base.Index:
				n := arg - base.Index
				base, terms = raftlog.Position{Index: arg, Term: terms[n-1]}, terms[n:]
			}
			compareShape(t, &s, base, terms)
		}
	})
}

func compareShape(t *testing.T, s *raftlog.Shape, base raftlog.Position, terms []uint64) {
	t.Helper()
	b := s.Bounds()
	if b.Base != base || b.Last != base.Index+uint64(len(terms)) {
		t.Fatalf("Bounds = %+v, want base %v and %d entries", b, base, len(terms))
	}
	for i, want := range terms {
		if got, err := s.Term(base.Index + 1 + uint64(i)); err != nil || got != want {
			t.Fatalf("Term(%d) = %d, %v, want %d", base.Index+1+uint64(i), got, err, want)
		}
	}
	again, err := raftlog.NewShape(b.Base, b.Last, s.Runs())
	if err != nil || !again.Equal(s) {
		t.Fatalf("NewShape of its own parts = %+v, %v", again, err)
	}
}

func TestNewShapeRefusesWhatNoLogHas(t *testing.T) {
	run := func(v ...uint64) (runs []raftlog.Run) {
		for i := 0; i < len(v); i += 2 {
			runs = append(runs, raftlog.Run{First: v[i], Term: v[i+1]})
		}
		return runs
	}
	for _, tc := range []struct {
		base raftlog.Position
		last uint64
		runs []raftlog.Run
	}{
		{raftlog.Position{Index: 5, Term: 1}, 4, nil},
		{raftlog.Position{Term: 1}, 0, nil},
		{raftlog.Position{}, 3, nil},
		{raftlog.Position{}, 0, run(1, 1)},
		{raftlog.Position{}, 3, run(2, 1)},
		{raftlog.Position{}, 3, run(1, 0)},
		{raftlog.Position{}, 3, run(1, 2, 2, 2)},
		{raftlog.Position{}, 3, run(1, 2, 2, 1)},
		{raftlog.Position{}, 3, run(1, 1, 4, 2)},
		{raftlog.Position{Index: 5, Term: 7}, 6, run(6, 6)},
		{raftlog.Position{}, math.MaxUint64, run(1, 1)},
	} {
		if s, err := raftlog.NewShape(tc.base, tc.last, tc.runs); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("NewShape(%+v) = %+v, %v, want ErrInvalid", tc, s, err)
		}
	}
}
