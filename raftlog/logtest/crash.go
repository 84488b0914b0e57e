package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// OpenOn opens the driver under test in a file tree. On a tree that an earlier
// call filled, whole or as a crash left it, it finds what was there. Options
// that make segments small let a campaign see many of their ends.
type OpenOn func(fsys vfs.FS) (raftlog.Driver, error)

// CrashOptions say what a driver promises beyond the contract.
type CrashOptions struct {
	// AckedBySync says that entries are durable only after Sync, as under the
	// sync policies interval and never. Stable keys are durable when acknowledged
	// all the same.
	AckedBySync bool
}

// Crash cuts the power under the driver after each operation of the workloads
// that CrashWorkloads makes, and fails t where an acknowledged entry or stable
// key is lost, what was dropped comes back, or the log does not open.
func Crash(t *testing.T, open OpenOn, c *CrashOptions, o *crashtest.Options) {
	t.Helper()
	crashtest.Test(t, o, CrashWorkloads(open, c)...)
}

// CrashWorkloads are scripts of a kind each: appends, rotation, truncation at
// both ends, resets, stable keys, groups, reopens, asynchronous writes and all
// of it mixed. The states between which a crash may leave the log are those
// before and after one write.
func CrashWorkloads(open OpenOn, c *CrashOptions) []crashtest.Workload {
	if c == nil {
		c = &CrashOptions{}
	}
	var all []crashtest.Workload
	for _, p := range profiles {
		all = append(all, crashtest.Workload{
			Name:   p.name,
			Faults: true,
			New:    func(seed uint64) crashtest.Script { return newScript(open, p, *c, seed) },
		})
	}
	return all
}

// script is what is written, and the states that it leads to: states[i] is what
// the log holds after the first i writes.
type script struct {
	open   OpenOn
	o      CrashOptions
	steps  []step
	states []state
}

// state is what all groups hold.
type state map[raftlog.Group]*model

func (st state) clone() state {
	c := make(state, len(st))
	for g, m := range st {
		c[g] = m.clone()
	}
	return c
}

func (st state) model(g raftlog.Group) *model {
	if st[g] == nil {
		st[g] = &model{stable: map[string][]byte{}}
	}
	return st[g]
}

func (m *model) empty() bool {
	return m == nil || m.base == raftlog.Position{} && len(m.entries) == 0 && len(m.stable) == 0
}

// Check implements crashtest.Script.
func (s *script) Check(fsys vfs.FS, want crashtest.Expect) (found int, err error) {
	d, err := s.open(fsys)
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return s.compare(d, want)
}

// compare finds the newest of the states that d may be in.
func (s *script) compare(d raftlog.Driver, want crashtest.Expect) (found int, err error) {
	got, err := s.contents(d)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, i := range slices.Backward(want.States) {
		st := s.states[i]
		if want.Extended {
			st = s.extended(i)
		}
		err := st.diff(got)
		if err == nil {
			return i, nil
		}
		errs = append(errs, fmt.Errorf("not state %d: %w", i, err))
	}
	return 0, errors.Join(errs...)
}

// keys are all stable keys that a script uses.
var keys = []string{"vote", "term", "commit", "extended"}

// contents reads everything.
func (s *script) contents(d raftlog.Driver) (state, error) {
	groups, err := d.Groups()
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	got := make(state, len(groups))
	for _, g := range groups {
		m := got.model(g)
		b, err := d.Bounds(g)
		if err != nil {
			return nil, fmt.Errorf("bounds of %v: %w", g, err)
		}
		m.base = b.Base
		for next := b.First(); next <= b.Last; next = m.last() + 1 {
			es, err := d.Read(nil, g, next, b.Last+1, 1<<20) // into memory of its own
			if err != nil {
				return nil, fmt.Errorf("read %v from %d: %w", g, next, err)
			}
			if m.entries == nil {
				m.entries = es
			} else {
				m.entries = append(m.entries, es...)
			}
		}
		if m.last() != b.Last || m.lastTerm() != b.LastTerm {
			return nil, fmt.Errorf("entries of %v end at %d term %d, bounds say %+v", g, m.last(), m.lastTerm(), b)
		}
		for _, key := range keys {
			if v, err := d.Stable(g, key); err == nil {
				m.stable[key] = v
			}
		}
	}
	return got, nil
}

// diff says where got is not st.
func (st state) diff(got state) error {
	for g := range got {
		if st[g].empty() {
			return fmt.Errorf("group %v is there and should not be", g)
		}
	}
	for g, want := range st {
		if want.empty() {
			continue
		}
		have := got[g]
		if have == nil {
			return fmt.Errorf("group %v is missing", g)
		}
		if err := want.diff(have); err != nil {
			return fmt.Errorf("group %v: %w", g, err)
		}
	}
	return nil
}

func (m *model) diff(got *model) error {
	if got.base != m.base || got.last() != m.last() {
		return fmt.Errorf("base %v last %d, want base %v last %d", got.base, got.last(), m.base, m.last())
	}
	for i := range m.entries {
		if !got.entries[i].Equal(m.entries[i]) {
			return fmt.Errorf("entry %d = %s, want %s", m.entries[i].Index, brief(got.entries[i]), brief(m.entries[i]))
		}
	}
	for _, key := range keys {
		if string(got.stable[key]) != string(m.stable[key]) {
			return fmt.Errorf("stable %q = %q, want %q", key, got.stable[key], m.stable[key])
		}
	}
	return nil
}

// extension is what Extend writes to a log in state i, one write after another:
// a little, or in one state of four what fills several small segments.
func (s *script) extension(i int) []raftlog.Batch {
	next, term := uint64(1), uint64(1)
	if m := s.states[i][group1]; m != nil {
		next, term = m.last()+1, m.lastTerm()+1
	}
	all := []raftlog.Batch{{
		Entries: entries(next, next+2, term),
		Stable:  []raftlog.StableKV{{Key: "extended", Value: fmt.Appendf(nil, "%d", i)}},
	}}
	for n := next + 2; i%4 == 0 && n < next+12; n += 2 {
		b := raftlog.Batch{Entries: entries(n, n+2, term)}
		for j := range b.Entries {
			b.Entries[j].Data = bytes.Repeat(b.Entries[j].Data, 50)
		}
		all = append(all, b)
	}
	return all
}

func (s *script) extended(i int) state {
	st := s.states[i].clone()
	for _, b := range s.extension(i) {
		st.model(group1).apply(b)
	}
	return st
}

// Extend implements crashtest.Script. The power goes when the writes are
// acknowledged: nothing that Close does reaches the disk.
func (s *script) Extend(fsys vfs.FS, found int) error {
	fsys, freeze := crashtest.Freezable(fsys)
	d, err := s.open(fsys)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	for _, b := range s.extension(found) {
		if err == nil {
			err = d.Submit([]raftlog.GroupBatch{{Group: group1, Batch: b}}, nil)
		}
	}
	if err == nil {
		err = d.Sync()
	}
	freeze()
	_ = d.Close() // fails, for the disk is gone
	return err
}
