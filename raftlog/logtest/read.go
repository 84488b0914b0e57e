package logtest

import (
	"fmt"
	"math"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var readCases = []Case{
	{Name: "absence", Rule: "below the base is compacted, after the last is not found; neither is ever the other (D-18)", run: absence},
	{Name: "ranges", Rule: "ranges are half open, checked as a whole, and an empty one reads nothing (D-18)", run: ranges},
	{Name: "byte limit", Rule: "a read returns as many entries as fit the limit, and at least one", run: byteLimit},
	{Name: "memory reused", Rule: "a read fills the memory of the last one, and no payload runs into its neighbour", run: memoryReused},
	{Name: "entries", Rule: "Entries yields each entry once, may be left at any time, and reads on beside writes", run: iterate},
	{Name: "stats", Rule: "stats count what the log holds", run: stats},
	{Name: "terms", Rule: "Term answers for every entry and for the base, whatever the runs of terms", run: terms},
}

func absence(s *subject) error {
	if err := all(
		func() error { return s.l.Append(entries(1, 10, 1)...) },
		func() error { return s.l.CompactTo(4) },
	); err != nil {
		return err
	}
	for index, target := range map[uint64]error{0: fault.ErrCompacted, 3: fault.ErrCompacted, 4: fault.ErrCompacted, 10: fault.ErrNotFound, math.MaxUint64 - 1: fault.ErrNotFound} {
		_, err := s.l.Entry(index)
		if err := is(fmt.Sprintf("Entry(%d)", index), err, target); err != nil {
			return err
		}
		if index == 4 {
			continue // the base's term is kept
		}
		_, err = s.l.Term(index)
		if err := is(fmt.Sprintf("Term(%d)", index), err, target); err != nil {
			return err
		}
	}
	return nil
}

func ranges(s *subject) error {
	if err := all(
		func() error { return s.l.Append(entries(1, 10, 1)...) },
		func() error { return s.l.CompactTo(4) },
	); err != nil {
		return err
	}
	for _, tc := range []struct {
		lo, hi uint64
		n      int
		err    error
	}{
		{5, 10, 5, nil}, {5, 6, 1, nil}, {9, 10, 1, nil},
		{7, 7, 0, nil}, {0, 0, 0, nil}, {2, 2, 0, nil}, {99, 99, 0, nil},
		{4, 6, 0, fault.ErrCompacted}, {0, 10, 0, fault.ErrCompacted},
		{5, 11, 0, fault.ErrNotFound}, {10, 11, 0, fault.ErrNotFound}, {9, math.MaxUint64, 0, fault.ErrNotFound},
		{6, 5, 0, fault.ErrInvalid},
	} {
		got, err := s.l.ReadRange(nil, tc.lo, tc.hi, math.MaxUint64)
		if err := is(fmt.Sprintf("ReadRange(%d, %d)", tc.lo, tc.hi), err, tc.err); err != nil {
			return err
		}
		n, err := 0, error(nil)
		for _, e := range s.l.Entries(tc.lo, tc.hi) {
			if err = e; err == nil {
				n++
			}
		}
		if err := is(fmt.Sprintf("Entries(%d, %d)", tc.lo, tc.hi), err, tc.err); err != nil {
			return err
		}
		if len(got) != tc.n || n != tc.n {
			return fmt.Errorf("[%d, %d) read %d and yielded %d entries, want %d", tc.lo, tc.hi, len(got), n, tc.n)
		}
	}
	return nil
}

func byteLimit(s *subject) error {
	var es []raftlog.Entry
	for i := uint64(1); i <= 10; i++ {
		es = append(es, raftlog.Entry{Index: i, Term: 1, Data: make([]byte, 60), Ext: make([]byte, 40)})
	}
	if err := s.l.Append(es...); err != nil {
		return err
	}
	for _, tc := range []struct {
		limit uint64
		n     int
	}{{0, 1}, {99, 1}, {100, 1}, {199, 1}, {200, 2}, {999, 9}, {1000, 10}, {math.MaxUint64, 10}} {
		got, err := s.l.ReadRange(nil, 1, 11, tc.limit)
		if err != nil || len(got) != tc.n {
			return fmt.Errorf("ReadRange with %d bytes = %d entries, %v, want %d", tc.limit, len(got), err, tc.n)
		}
	}
	return nil
}

func memoryReused(s *subject) error {
	want := concat(entries(1, 50, 1), entries(50, 100, 22))
	want[7].Data, want[8].Ext = nil, []byte{}
	if err := s.l.Append(want...); err != nil {
		return err
	}
	var buf []raftlog.Entry
	for at := uint64(1); at < 100; {
		var err error
		if buf, err = s.l.ReadRange(buf, at, 100, 200); err != nil {
			return err
		}
		for i, e := range buf {
			if !e.Equal(want[at-1]) {
				return fmt.Errorf("entry %d = %s, want %s", at, brief(e), brief(want[at-1]))
			}
			_ = append(buf[i].Data, "spills into the neighbour"...)
			at++
		}
	}
	return nil
}

func iterate(s *subject) error {
	if err := s.l.Append(entries(1, 100, 1)...); err != nil {
		return err
	}
	for e, err := range s.l.Entries(1, 100) {
		if err != nil {
			return err
		}
		if e.Index == 50 {
			break
		}
		if err := s.l.Append(entry(99+e.Index, 1)); err != nil { // a write and a read inside the loop
			return fmt.Errorf("append inside the loop: %w", err)
		}
		if _, err := s.l.Entry(e.Index); err != nil {
			return fmt.Errorf("read inside the loop: %w", err)
		}
	}
	return s.holds(raftlog.Position{}, entries(1, 149, 1)...)
}

func stats(s *subject) error {
	payload := 0
	for _, e := range entries(1, 11, 1) {
		payload += e.PayloadSize()
	}
	if err := s.l.Append(entries(1, 11, 1)...); err != nil {
		return err
	}
	full, err := s.l.Stats()
	if err != nil {
		return err
	}
	if full.First() != 1 || full.Last != 10 || full.Count() != 10 || full.Compacted != 0 || full.Throughput <= 0 {
		return fmt.Errorf("stats = %+v, want first 1, last 10, count 10, compacted 0 and some throughput", full)
	}
	if err := s.l.Write(raftlog.Batch{TruncateFrom: 10, CompactTo: 4}); err != nil {
		return err
	}
	less, err := s.l.Stats()
	if err != nil {
		return err
	}
	if less.Count() != 5 || less.Compacted != 4 {
		return fmt.Errorf("stats = %+v, want count 5, compacted 4", less)
	}
	if _, ok := raftlog.As[raftlog.Sizer](s.d); ok {
		if full.Bytes < uint64(payload) || less.Bytes >= full.Bytes || less.Bytes == 0 || less.AvgSize != float64(less.Bytes)/5 {
			return fmt.Errorf("bytes = %d, then %d (average %g), for a payload of %d, then about half of it", full.Bytes, less.Bytes, less.AvgSize, payload)
		}
	}
	return nil
}

func terms(s *subject) error {
	es := concat(entries(1, 4, 1), entries(4, 5, 3), entries(5, 9, 7), entries(9, 10, 8))
	if err := s.l.Append(es...); err != nil {
		return err
	}
	for to := uint64(1); to < 9; to++ {
		if err := s.l.CompactTo(to); err != nil {
			return err
		}
		if err := s.holds(raftlog.Position{Index: to, Term: es[to-1].Term}, es[to:]...); err != nil {
			return fmt.Errorf("compacted to %d: %w", to, err)
		}
	}
	return nil
}
