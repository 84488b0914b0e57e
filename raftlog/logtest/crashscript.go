package logtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/trimarandb/trimaran/raftlog"
)

// profile weighs what a script does.
type profile struct {
	name   string
	steps  int
	groups int // how many there are; more than one makes writes to several
	size   int // of an entry's data, at most
	many   int // entries in a batch, at most

	// Of a hundred steps, so many are something else than an append.
	truncate, compact, reset, stable, remove, reopen, sync, async int
}

var profiles = []profile{
	{name: "append", steps: 30, groups: 1, size: 300, many: 1, sync: 10},
	{name: "batch", steps: 20, groups: 1, size: 700, many: 12, sync: 10},
	{name: "rotate", steps: 30, groups: 1, size: 1500, many: 3, stable: 10, sync: 5},
	{name: "truncate", steps: 40, groups: 1, size: 200, many: 4, truncate: 30, sync: 10},
	{name: "compact", steps: 40, groups: 1, size: 600, many: 4, compact: 25, sync: 10},
	{name: "ends", steps: 40, groups: 1, size: 400, many: 4, compact: 15, truncate: 15, reset: 5, stable: 10, reopen: 5, sync: 5},
	{name: "reset", steps: 30, groups: 1, size: 300, many: 4, reset: 20, stable: 20, sync: 10},
	{name: "stable", steps: 40, groups: 1, size: 100, many: 2, stable: 70, sync: 5},
	{name: "reopen", steps: 30, groups: 1, size: 400, many: 3, stable: 10, reopen: 25, compact: 5, sync: 5},
	{name: "groups", steps: 40, groups: 4, size: 300, many: 3, compact: 10, truncate: 5, stable: 10, remove: 8, reopen: 4, sync: 5},
	{name: "async", steps: 20, groups: 2, size: 200, many: 2, async: 60, stable: 5, compact: 5},
	{name: "mixed", steps: 60, groups: 3, size: 500, many: 5, truncate: 8, compact: 10, reset: 3, stable: 12, remove: 4, reopen: 6, sync: 6, async: 6},
}

// step is one call. It leads from states[at] on, one state for each write.
type step struct {
	at      int
	batches [][]raftlog.GroupBatch // one write each; several are in flight together
	remove  *raftlog.Group
	reopen  bool
	sync    bool
}

// author writes a script from a seed.
type author struct {
	p   profile
	rng *rand.Rand
	s   *script
}

func newScript(open OpenOn, p profile, o CrashOptions, seed uint64) *script {
	a := &author{p: p, rng: rand.New(rand.NewPCG(seed, 0x109)), s: &script{open: open, o: o, states: []state{{}}}}
	for range p.steps {
		a.s.steps = append(a.s.steps, a.step())
	}
	return a.s
}

func (a *author) now() state { return a.s.states[len(a.s.states)-1] }

func (a *author) step() step {
	st := step{at: len(a.s.states) - 1}
	dice := a.rng.IntN(100)
	is := func(weight int) bool {
		dice -= weight
		return dice < 0
	}
	switch {
	case is(a.p.reopen):
		st.reopen = true
	case is(a.p.sync):
		st.sync = true
	case is(a.p.remove):
		g := a.group()
		st.remove = &g
		next := a.now().clone()
		delete(next, g)
		a.s.states = append(a.s.states, next)
	case is(a.p.async):
		for range 2 + a.rng.IntN(6) {
			st.batches = append(st.batches, a.write(a.entries))
		}
	case is(a.p.truncate):
		st.batches = append(st.batches, a.write(a.truncate))
	case is(a.p.compact):
		st.batches = append(st.batches, a.write(a.compact))
	case is(a.p.reset):
		st.batches = append(st.batches, a.write(a.reset))
	case is(a.p.stable):
		st.batches = append(st.batches, a.write(a.stable))
	default:
		st.batches = append(st.batches, a.write(a.entries))
	}
	return st
}

func (a *author) group() raftlog.Group {
	return raftlog.Group{Shard: 1 + a.rng.Uint64N(uint64(a.p.groups)), Replica: 1}
}

// write makes a write of one group, or now and then of several, and the state
// that it leads to.
func (a *author) write(make func(*model) raftlog.Batch) []raftlog.GroupBatch {
	next := a.now().clone()
	var gbs []raftlog.GroupBatch
	first := a.group()
	for shard := range uint64(a.p.groups) {
		g := raftlog.Group{Shard: 1 + shard, Replica: 1}
		if g != first && a.rng.IntN(4) > 0 {
			continue
		}
		b := make(next.model(g))
		next[g].apply(b)
		gbs = append(gbs, raftlog.GroupBatch{Group: g, Batch: b})
	}
	a.s.states = append(a.s.states, next)
	return gbs
}

func (a *author) entries(m *model) raftlog.Batch {
	var b raftlog.Batch
	term := max(1, m.lastTerm())
	if a.rng.IntN(6) == 0 {
		term++
	}
	for i := range 1 + a.rng.Uint64N(uint64(a.p.many)) {
		e := raftlog.Entry{Index: m.last() + 1 + i, Term: term, Data: a.bytes(a.p.size)}
		if a.rng.IntN(8) == 0 {
			e.Ext = a.bytes(20)
		}
		b.Entries = append(b.Entries, e)
	}
	if a.rng.IntN(10) == 0 {
		b.Stable = a.stable(m).Stable
	}
	return b
}

// bytes are noise of any length up to n, or zeros: a record of zeros looks like
// a place where nothing was written.
func (a *author) bytes(n int) []byte {
	b := make([]byte, a.rng.IntN(n+1))
	if a.rng.IntN(5) == 0 {
		return b
	}
	for i := range b {
		b[i] = byte(a.rng.Uint32())
	}
	return b
}

func (a *author) truncate(m *model) raftlog.Batch {
	if len(m.entries) == 0 {
		return a.entries(m)
	}
	b := raftlog.Batch{TruncateFrom: m.base.Index + 1 + a.rng.Uint64N(uint64(len(m.entries)))}
	if a.rng.IntN(2) == 0 {
		after := m.clone()
		after.apply(b)
		b.Entries = a.entries(after).Entries
		for i := range b.Entries {
			b.Entries[i].Term = m.lastTerm() + 1
		}
	}
	return b
}

func (a *author) compact(m *model) raftlog.Batch {
	if len(m.entries) == 0 {
		return a.entries(m)
	}
	return raftlog.Batch{CompactTo: m.base.Index + 1 + a.rng.Uint64N(uint64(len(m.entries)))}
}

func (a *author) reset(m *model) raftlog.Batch {
	at := raftlog.Position{Index: m.last() + a.rng.Uint64N(100), Term: m.lastTerm() + 1}
	if a.rng.IntN(3) == 0 && m.base.Index > 0 {
		at.Index = 1 + a.rng.Uint64N(m.base.Index) // an index that was used before
	}
	at.Index = max(at.Index, 1)
	return raftlog.Batch{Reset: &at}
}

func (a *author) stable(*model) raftlog.Batch {
	var b raftlog.Batch
	for _, key := range []string{"vote", "term", "commit"} {
		if a.rng.IntN(2) == 0 {
			continue
		}
		kv := raftlog.StableKV{Key: key, Value: fmt.Appendf(nil, "%d of %d", a.rng.IntN(1000), len(a.s.states))}
		if a.rng.IntN(8) == 0 {
			kv.Value = nil
		}
		b.Stable = append(b.Stable, kv)
	}
	if b.Stable == nil {
		b.Stable = []raftlog.StableKV{{Key: "vote", Value: []byte("me")}}
	}
	return b
}
