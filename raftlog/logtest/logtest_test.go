package logtest_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/logtest"
	"github.com/trimarandb/trimaran/raftlog/memlog"
)

// broken is a driver with one deliberate bug.
type broken struct {
	raftlog.Driver
	submit func(d raftlog.Driver, b []raftlog.GroupBatch, done func(error)) error
	read   func(d raftlog.Driver, dst []raftlog.Entry, g raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error)
	bounds func(raftlog.Bounds) raftlog.Bounds
	term   func(index, term uint64) uint64
	groups func([]raftlog.Group) []raftlog.Group
	remove bool
}

func (b broken) Submit(batches []raftlog.GroupBatch, done func(error)) error {
	if b.submit != nil {
		return b.submit(b.Driver, batches, done)
	}
	return b.Driver.Submit(batches, done)
}

func (b broken) Read(dst []raftlog.Entry, g raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	if b.read != nil {
		return b.read(b.Driver, dst, g, lo, hi, maxBytes)
	}
	return b.Driver.Read(dst, g, lo, hi, maxBytes)
}

func (b broken) Bounds(g raftlog.Group) (raftlog.Bounds, error) {
	bounds, err := b.Driver.Bounds(g)
	if b.bounds != nil {
		bounds = b.bounds(bounds)
	}
	return bounds, err
}

func (b broken) Term(g raftlog.Group, index uint64) (uint64, error) {
	term, err := b.Driver.Term(g, index)
	if b.term != nil && err == nil {
		term = b.term(index, term)
	}
	return term, err
}

func (b broken) Groups() ([]raftlog.Group, error) {
	groups, err := b.Driver.Groups()
	if b.groups != nil {
		groups = b.groups(groups)
	}
	return groups, err
}

func (b broken) Remove(g raftlog.Group) error {
	if b.remove {
		return nil
	}
	return b.Driver.Remove(g)
}

// Unwrap keeps memlog's abilities visible: the suite must find the bug anyway.
func (b broken) Unwrap() raftlog.Driver { return b.Driver }

type (
	batches = []raftlog.GroupBatch
	entries = []raftlog.Entry
)

// each changes every batch before it is submitted.
func each(change func(*raftlog.Batch)) func(raftlog.Driver, batches, func(error)) error {
	return func(d raftlog.Driver, b batches, done func(error)) error {
		b = slices.Clone(b)
		for i := range b {
			change(&b[i].Batch)
		}
		return d.Submit(b, done)
	}
}

// reading changes what was read.
func reading(change func(entries) entries) func(raftlog.Driver, entries, raftlog.Group, uint64, uint64, uint64) (entries, error) {
	return func(d raftlog.Driver, dst entries, g raftlog.Group, lo, hi, maxBytes uint64) (entries, error) {
		es, err := d.Read(dst, g, lo, hi, maxBytes)
		return change(es), err
	}
}

var bugs = map[string]broken{
	"drops stable keys":          {submit: each(func(b *raftlog.Batch) { b.Stable = nil })},
	"forgets to delete":          {submit: each(func(b *raftlog.Batch) { b.Stable = slices.DeleteFunc(b.Stable, isDelete) })},
	"ignores truncation":         {submit: each(func(b *raftlog.Batch) { b.TruncateFrom = 0 })},
	"truncates one too few":      {submit: each(func(b *raftlog.Batch) { b.TruncateFrom += min(1, b.TruncateFrom) })},
	"compaction is exclusive":    {submit: each(func(b *raftlog.Batch) { b.CompactTo -= min(1, b.CompactTo) })},
	"reset keeps entries":        {submit: each(func(b *raftlog.Batch) { b.Reset = nil })},
	"reset forgets the term":     {submit: each(func(b *raftlog.Batch) { b.Reset = noTerm(b.Reset) })},
	"loses the kind":             {submit: each(func(b *raftlog.Batch) { b.Entries = noKind(b.Entries) })},
	"submits one batch of many":  {submit: func(d raftlog.Driver, b batches, done func(error)) error { return d.Submit(b[:1], done) }},
	"splits groups":              {submit: oneByOne},
	"repairs overlaps":           {submit: repair},
	"acknowledges and forgets":   {submit: forget},
	"calls done when refusing":   {submit: doneTwice},
	"reads one too many":         {read: unbounded},
	"never returns less":         {read: whole},
	"compacted reads as nothing": {read: lenient},
	"nil reads as empty":         {read: reading(func(es entries) entries { return emptied(es) })},
	"lends its own memory":       {read: shared()},
	"payloads may grow":          {read: reading(roomy)},
	"last is 0 when empty":       {bounds: func(b raftlog.Bounds) raftlog.Bounds { return zeroWhenEmpty(b) }},
	"base has no term":           {bounds: func(b raftlog.Bounds) raftlog.Bounds { b.Base.Term = 0; return b }},
	"terms are those of today":   {term: func(index, term uint64) uint64 { return max(term, 2) }},
	"groups are not sorted":      {groups: func(g []raftlog.Group) []raftlog.Group { slices.Reverse(g); return g }},
	"removal does nothing":       {remove: true},
}

func isDelete(kv raftlog.StableKV) bool { return kv.Value == nil }

func noTerm(p *raftlog.Position) *raftlog.Position {
	if p == nil {
		return nil
	}
	return &raftlog.Position{Index: p.Index}
}

func noKind(es entries) entries {
	es = slices.Clone(es)
	for i := range es {
		es[i].Kind = raftlog.Normal
	}
	return es
}

func oneByOne(d raftlog.Driver, b batches, done func(error)) error {
	for i := range b[:len(b)-1] {
		if err := d.Submit(b[i:i+1], nil); err != nil {
			return err
		}
	}
	return d.Submit(b[len(b)-1:], done)
}

func repair(d raftlog.Driver, b batches, done func(error)) error {
	b = slices.Clone(b)
	for i := range b {
		if es := b[i].Batch.Entries; len(es) > 0 && b[i].Batch.TruncateFrom == 0 && b[i].Batch.Reset == nil {
			b[i].Batch.TruncateFrom = es[0].Index
		}
	}
	return d.Submit(b, done)
}

func forget(d raftlog.Driver, b batches, done func(error)) error {
	if len(b) > 0 && len(b[0].Batch.Entries) == 1 && b[0].Batch.Entries[0].Index%7 == 0 {
		if done != nil {
			go done(nil)
		}
		return nil
	}
	return d.Submit(b, done)
}

func doneTwice(d raftlog.Driver, b batches, done func(error)) error {
	err := d.Submit(b, done)
	if err != nil && done != nil {
		done(err)
		return nil
	}
	return err
}

func unbounded(d raftlog.Driver, dst entries, g raftlog.Group, lo, hi, _ uint64) (entries, error) {
	return d.Read(dst, g, lo, hi, math.MaxUint64)
}

func whole(d raftlog.Driver, dst entries, g raftlog.Group, lo, hi, maxBytes uint64) (entries, error) {
	es, err := d.Read(dst, g, lo, hi, maxBytes)
	if len(es) == 1 && uint64(es[0].PayloadSize()) > maxBytes {
		return es[:0], err
	}
	return es, err
}

func lenient(d raftlog.Driver, dst entries, g raftlog.Group, lo, hi, maxBytes uint64) (entries, error) {
	es, err := d.Read(dst, g, lo, hi, maxBytes)
	if err != nil {
		return dst[:0], nil
	}
	return es, nil
}

func emptied(es entries) entries {
	for i := range es {
		es[i].Data = append([]byte{}, es[i].Data...)
	}
	return es
}

// shared remembers the first payload of an entry and lends it again.
func shared() func(raftlog.Driver, entries, raftlog.Group, uint64, uint64, uint64) (entries, error) {
	return func(d raftlog.Driver, dst entries, g raftlog.Group, lo, hi, maxBytes uint64) (entries, error) {
		es, err := d.Read(dst, g, lo, hi, maxBytes)
		for i := range es {
			es[i].Data = lent(d, es[i])
		}
		return es, err
	}
}

var lentBytes = map[string][]byte{}

func lent(d raftlog.Driver, e raftlog.Entry) []byte {
	key := fmt.Sprintf("%p/%d/%d", d, e.Index, e.Term)
	if lentBytes[key] == nil {
		lentBytes[key] = slices.Clone(e.Data)
	}
	return lentBytes[key]
}

func roomy(es entries) entries {
	for i := 1; i < len(es); i++ {
		if a, b := es[i-1].Data, es[i].Data; len(a) > 0 && len(b) > 0 {
			both := append(slices.Clone(a), b...)
			es[i-1].Data, es[i].Data = both[:len(a)], both[len(a):]
		}
	}
	return es
}

func zeroWhenEmpty(b raftlog.Bounds) raftlog.Bounds {
	if b.Empty() {
		return raftlog.Bounds{}
	}
	return b
}

// A suite that cannot fail proves nothing: each of these bugs must break a
// rule, and the error must say which.
func TestCatchesBugs(t *testing.T) {
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			open := func() (raftlog.Driver, error) {
				d, err := memlog.New(nil)
				bug.Driver = d
				return bug, err
			}
			var caught []string
			for _, c := range logtest.Cases() {
				if c.Durable || strings.Contains(c.Name, "beside") || strings.Contains(c.Name, "racing") {
					continue // the deterministic ones suffice
				}
				if err := c.Run(open); err != nil {
					if !strings.Contains(err.Error(), c.Rule) {
						t.Errorf("%s: %v does not state the rule", c.Name, err)
					}
					caught = append(caught, c.Name)
				}
			}
			if len(caught) == 0 {
				t.Error("not caught by any case")
			}
			t.Logf("caught by %s", strings.Join(caught, ", "))
		})
	}
}

// The random walk finds bugs too, and the same seed finds the same one.
func TestRandomIsReplayable(t *testing.T) {
	walk := func() string {
		err := logtest.Random(func() (raftlog.Driver, error) {
			d, err := memlog.New(nil)
			return broken{Driver: d, submit: forget}, err
		}, 42, 1000)
		if err == nil {
			t.Fatal("a driver that forgets passed the random walk")
		}
		return err.Error()
	}
	if first, second := walk(), walk(); first != second || !strings.Contains(first, "seed 42") {
		t.Errorf("two walks with seed 42:\n%s\n%s", first, second)
	}
}
