package raftlog

import (
	"fmt"
	"slices"
	"sort"

	"github.com/trimarandb/trimaran/fault"
)

// Run is a stretch of entries with one term: from First up to the next run.
type Run struct{ First, Term uint64 }

// Shape is what the rules need to know of a log: its base, its last index and
// the terms between them, as runs. Drivers keep one per group for what is
// acknowledged and one for what is submitted, so that the rules stand here
// only. The zero Shape is a new log. A Shape is not safe for concurrent use.
type Shape struct {
	base Position
	last uint64
	term uint64 // of last
	runs []Run
}

// NewShape rebuilds a shape from what Bounds and Runs reported. It refuses
// what no log can have with fault.ErrInvalid.
func NewShape(base Position, last uint64, runs []Run) (Shape, error) {
	s := Shape{base: base, last: last, term: base.Term, runs: runs}
	if len(runs) > 0 {
		s.term = runs[len(runs)-1].Term
	}
	ok := last >= base.Index && last <= MaxIndex && (base.Index > 0 || base.Term == 0)
	if ok && last == base.Index {
		ok = len(runs) == 0
	} else if ok {
		ok = len(runs) > 0 && runs[0].First == base.Index+1 && runs[0].Term > 0 && runs[0].Term >= base.Term && runs[len(runs)-1].First <= last
		for i := 1; ok && i < len(runs); i++ {
			ok = runs[i].First > runs[i-1].First && runs[i].Term > runs[i-1].Term
		}
	}
	if !ok {
		return Shape{}, fmt.Errorf("shape with base %v, last %d and %d term runs: %w", base, last, len(runs), fault.ErrInvalid)
	}
	return s, nil
}

// Bounds returns base and last.
func (s *Shape) Bounds() Bounds {
	return Bounds{Base: s.base, Last: s.last, LastTerm: s.term}
}

// Runs returns the terms of the entries in order; lent until the next Apply.
func (s *Shape) Runs() []Run { return s.runs }

// Clone returns an independent copy.
func (s *Shape) Clone() Shape {
	return Shape{base: s.base, last: s.last, term: s.term, runs: slices.Clone(s.runs)}
}

// Equal reports whether both have the same bounds and terms.
func (s *Shape) Equal(t *Shape) bool {
	return s.base == t.base && s.last == t.last && slices.Equal(s.runs, t.runs)
}

// Term returns the term of an entry or of the base: fault.ErrCompacted below
// the base, fault.ErrNotFound after the last.
func (s *Shape) Term(index uint64) (uint64, error) {
	switch {
	case index < s.base.Index:
		return 0, fmt.Errorf("term of %d: base is %d: %w", index, s.base.Index, fault.ErrCompacted)
	case index == s.base.Index:
		return s.base.Term, nil
	case index > s.last:
		return 0, fmt.Errorf("term of %d: last is %d: %w", index, s.last, fault.ErrNotFound)
	}
	return s.runs[s.run(index)].Term, nil
}

// run is the position of the run that holds index, which must be an entry.
func (s *Shape) run(index uint64) int {
	return sort.Search(len(s.runs), func(i int) bool { return s.runs[i].First > index }) - 1
}

// CheckRange reports whether [lo, hi) can be read. An empty range always can.
func (s *Shape) CheckRange(lo, hi uint64) error {
	switch {
	case lo > hi:
		return fmt.Errorf("read [%d, %d): bounds are the wrong way round: %w", lo, hi, fault.ErrInvalid)
	case lo == hi:
		return nil
	case lo <= s.base.Index:
		return fmt.Errorf("read [%d, %d): base is %d: %w", lo, hi, s.base.Index, fault.ErrCompacted)
	case hi-1 > s.last:
		return fmt.Errorf("read [%d, %d): last is %d: %w", lo, hi, s.last, fault.ErrNotFound)
	}
	return nil
}

// Check reports whether b, which passed Validate, may follow what the log
// holds. It changes nothing. fault.ErrCompacted says that a truncation reaches
// the base; everything else is fault.ErrInvalid.
func (s *Shape) Check(b *Batch) error {
	base, last, lastTerm := s.base, s.last, s.term
	if b.Reset != nil {
		base, last, lastTerm = *b.Reset, b.Reset.Index, b.Reset.Term
	}
	if from := b.TruncateFrom; from != 0 && from <= last {
		if from <= base.Index {
			return fmt.Errorf("truncate from %d: base is %d, compacted entries are settled: %w", from, base.Index, fault.ErrCompacted)
		}
		last, lastTerm = from-1, base.Term
		if last > base.Index {
			lastTerm = s.runs[s.run(last)].Term
		}
	}
	if n := len(b.Entries); n > 0 {
		first := &b.Entries[0]
		switch {
		case first.Index > last+1:
			return fmt.Errorf("append %d: leaves a gap after %d: %w", first.Index, last, fault.ErrInvalid)
		case first.Index <= last:
			return fmt.Errorf("append %d: overlaps, last is %d (truncate first): %w", first.Index, last, fault.ErrInvalid)
		case first.Term < lastTerm:
			return fmt.Errorf("append %d: term falls from %d to %d: %w", first.Index, lastTerm, first.Term, fault.ErrInvalid)
		}
		last = b.Entries[n-1].Index
	}
	if b.CompactTo > last {
		return fmt.Errorf("compact to %d: last is %d (reset to go beyond): %w", b.CompactTo, last, fault.ErrInvalid)
	}
	return nil
}

// Apply makes s the shape after b, which must have passed Check.
func (s *Shape) Apply(b *Batch) {
	if b.Reset != nil {
		*s = Shape{base: *b.Reset, last: b.Reset.Index, term: b.Reset.Term}
	}
	if b.TruncateFrom != 0 && b.TruncateFrom <= s.last {
		s.truncate(b.TruncateFrom)
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		if s.last == s.base.Index || s.term != e.Term {
			s.runs = append(s.runs, Run{First: e.Index, Term: e.Term})
		}
		s.last, s.term = e.Index, e.Term
	}
	if b.CompactTo > s.base.Index {
		s.compact(b.CompactTo)
	}
}

func (s *Shape) truncate(from uint64) {
	s.last = from - 1
	n := len(s.runs)
	for n > 0 && s.runs[n-1].First >= from {
		n--
	}
	s.runs = s.runs[:n]
	if s.term = s.base.Term; n > 0 {
		s.term = s.runs[n-1].Term
	}
}

func (s *Shape) compact(to uint64) {
	i := s.run(to)
	s.base = Position{Index: to, Term: s.runs[i].Term}
	s.runs = slices.Delete(s.runs, 0, i)
	if to == s.last {
		s.runs = nil
		return
	}
	if s.runs[0].First = to + 1; len(s.runs) > 1 && s.runs[1].First == to+1 {
		s.runs = slices.Delete(s.runs, 0, 1)
	}
}
