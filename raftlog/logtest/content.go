package logtest

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/raftlog"
)

// content is all that can be read from a log.
type content struct {
	bounds  raftlog.Bounds
	entries []raftlog.Entry
}

func read(l *raftlog.Log) (c content, err error) {
	if c.bounds, err = l.Bounds(); err != nil {
		return c, err
	}
	for e, err := range l.Entries(c.bounds.First(), c.bounds.Last+1) {
		if err != nil {
			return c, err
		}
		c.entries = append(c.entries, e.Clone())
	}
	return c, nil
}

func (c content) diff(want content) error {
	if c.bounds != want.bounds {
		return fmt.Errorf("bounds = %+v, want %+v", c.bounds, want.bounds)
	}
	if len(c.entries) != len(want.entries) {
		return fmt.Errorf("%d entries, want %d", len(c.entries), len(want.entries))
	}
	for i := range c.entries {
		if !c.entries[i].Equal(want.entries[i]) {
			return fmt.Errorf("entry %d = %s, want %s", want.entries[i].Index, brief(c.entries[i]), brief(want.entries[i]))
		}
	}
	return nil
}

// brief describes an entry without printing its payload.
func brief(e raftlog.Entry) string {
	return fmt.Sprintf("{%d term %d %v %v data %d/%t ext %d/%t}", e.Index, e.Term, e.Kind, e.Time.UnixNano(),
		len(e.Data), e.Data == nil, len(e.Ext), e.Ext == nil)
}

// entries makes the entries of [lo, hi) with one term; the payload tells index
// and term, so that a mix-up shows.
func entries(lo, hi, term uint64) []raftlog.Entry {
	var es []raftlog.Entry
	for i := lo; i < hi; i++ {
		es = append(es, entry(i, term))
	}
	return es
}

func entry(index, term uint64) raftlog.Entry {
	return raftlog.Entry{Index: index, Term: term, Data: fmt.Appendf(nil, "entry %d of term %d", index, term)}
}

// is reports err unless it matches target.
func is(what string, err, target error) error {
	if !errors.Is(err, target) {
		return fmt.Errorf("%s = %v, want %v", what, err, target)
	}
	return nil
}

// refused writes b, which must fail with target and change nothing.
func (s *subject) refused(b raftlog.Batch, target error) error {
	before, err := read(s.l)
	if err != nil {
		return err
	}
	if err := is("write", s.l.Write(b), target); err != nil {
		return err
	}
	after, err := read(s.l)
	if err != nil {
		return err
	}
	if err := after.diff(before); err != nil {
		return fmt.Errorf("a refused write changed the log: %w", err)
	}
	return nil
}

// holds checks base, and that the entries above it are those given.
func (s *subject) holds(base raftlog.Position, want ...raftlog.Entry) error {
	w := content{bounds: raftlog.Bounds{Base: base, Last: base.Index, LastTerm: base.Term}, entries: want}
	if n := len(want); n > 0 {
		w.bounds.Last, w.bounds.LastTerm = want[n-1].Index, want[n-1].Term
	}
	got, err := read(s.l)
	if err != nil {
		return err
	}
	if err := got.diff(w); err != nil {
		return err
	}
	return s.answers(w)
}

// answers checks the single-value reads against w.
func (s *subject) answers(w content) error {
	first, err1 := s.l.FirstIndex()
	last, err2 := s.l.LastIndex()
	term, err3 := s.l.Term(w.bounds.Base.Index)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if first != w.bounds.First() || last != w.bounds.Last || term != w.bounds.Base.Term {
		return fmt.Errorf("first, last, base term = %d, %d, %d, want %d, %d, %d", first, last, term, w.bounds.First(), w.bounds.Last, w.bounds.Base.Term)
	}
	for _, e := range w.entries {
		term, err := s.l.Term(e.Index)
		if err != nil || term != e.Term {
			return fmt.Errorf("Term(%d) = %d, %v, want %d", e.Index, term, err, e.Term)
		}
	}
	return nil
}

// all runs the steps until one fails.
func all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func concat(parts ...[]raftlog.Entry) []raftlog.Entry {
	var es []raftlog.Entry
	for _, p := range parts {
		es = append(es, p...)
	}
	return es
}
