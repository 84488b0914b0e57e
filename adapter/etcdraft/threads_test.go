package etcdraft

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// Appends that wait become one write: what a later one replaces is not in it.
func TestOverwrite(t *testing.T) {
	make := func(lo, hi, term uint64) (entries []*raftpb.Entry) {
		for i := lo; i < hi; i++ {
			entries = append(entries, &raftpb.Entry{Index: &i, Term: &term})
		}
		return entries
	}
	for name, c := range map[string]struct{ entries, next, want []*raftpb.Entry }{
		"nothing after":  {make(5, 8, 1), nil, make(5, 8, 1)},
		"nothing before": {nil, make(5, 8, 1), make(5, 8, 1)},
		"right after":    {make(5, 8, 1), make(8, 9, 1), make(5, 9, 1)},
		"the end":        {make(5, 8, 1), make(7, 9, 2), slices.Concat(make(5, 7, 1), make(7, 9, 2))},
		"all":            {make(5, 8, 1), make(5, 6, 2), make(5, 6, 2)},
		"from before":    {make(5, 8, 1), make(3, 6, 2), make(3, 6, 2)},
	} {
		before := slices.Clone(c.entries)
		got := overwrite(c.entries, c.next)
		if !slices.EqualFunc(got, c.want, func(a, b *raftpb.Entry) bool {
			return a.GetIndex() == b.GetIndex() && a.GetTerm() == b.GetTerm()
		}) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if !slices.Equal(c.entries, before) {
			t.Errorf("%s: raft's own entries were changed", name)
		}
	}
}
