package trimaran_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
)

// crashProfile weighs what a script does.
type crashProfile struct {
	name     string
	owner    trimaran.Owner
	fallback bool
	conflict bool // what was lost is replaced by an install, at once
	steps    int

	// Of a hundred steps, so many are of this kind; the rest append and apply.
	lose, vote, sync, snapshot, prune, install, back, reopen int
}

var crashProfiles = []crashProfile{
	{name: "apply", steps: 12, lose: 10, vote: 5, sync: 15, reopen: 5},
	{name: "snapshot", steps: 12, vote: 5, snapshot: 35, prune: 10},
	{name: "fallback", fallback: true, steps: 14, snapshot: 30, prune: 15},
	{name: "install", steps: 10, lose: 20, install: 35, snapshot: 5},
	{name: "conflict", conflict: true, steps: 8, lose: 30, snapshot: 10},
	{name: "back", steps: 14, snapshot: 30, back: 20, install: 5, lose: 5},
	{name: "mixed", steps: 20, lose: 8, vote: 5, sync: 5, snapshot: 15, prune: 5, install: 15, back: 10, reopen: 5},
	{name: "library", owner: trimaran.OwnerLibrary, steps: 14, vote: 5, snapshot: 30, prune: 5, reopen: 5},
	{name: "library-install", owner: trimaran.OwnerLibrary, steps: 12, lose: 15, install: 30, snapshot: 15},
}

const crashTrailing = 3

// crashStep is one call, or several in a row, that lead from states[at] to
// states[to]; those in between a crash may leave behind as well.
type crashStep struct {
	name   string
	at, to int
	do     func(n *crashNode) error
	reopen bool
}

// crashScript is what is done, and the states that it leads to.
type crashScript struct {
	p      crashProfile
	steps  []crashStep
	states []crashState
}

// crashAuthor writes a script from a seed.
type crashAuthor struct {
	*crashScript
	rng  *rand.Rand
	sent *sender
}

func newCrashScript(p crashProfile, seed uint64) *crashScript {
	a := &crashAuthor{
		crashScript: &crashScript{p: p, states: []crashState{{marks: []uint64{0}}}},
		rng:         rand.New(rand.NewPCG(seed, 0x7a1)),
		sent:        &sender{},
	}
	for len(a.steps) < p.steps {
		a.step()
	}
	return a.crashScript
}

func (a *crashAuthor) now() *crashState { return &a.states[len(a.states)-1] }

// add notes a step and the states that it leads through.
func (a *crashAuthor) add(name string, do func(*crashNode) error, states ...crashState) {
	at := len(a.states) - 1
	a.states = append(a.states, states...)
	a.steps = append(a.steps, crashStep{name: name, at: at, to: len(a.states) - 1, do: do})
}

func (a *crashAuthor) step() {
	if a.p.conflict && a.now().lost > 0 {
		a.install()
		return
	}
	dice := a.rng.IntN(100)
	for _, k := range []struct {
		weight int
		add    func()
	}{
		{a.p.lose, a.lose}, {a.p.vote, a.vote}, {a.p.sync, a.sync}, {a.p.snapshot, a.snapshot},
		{a.p.prune, a.prune}, {a.p.install, a.install}, {a.p.back, a.back}, {a.p.reopen, a.reopen},
	} {
		if dice -= k.weight; dice < 0 {
			k.add()
			return
		}
	}
	if s := a.now(); s.live < s.known() && a.rng.IntN(2) == 0 {
		a.apply()
		return
	}
	a.append()
}

// append adds committed entries, in the place of those that lost.
func (a *crashAuthor) append() {
	s := a.now().clone()
	b := raftlog.Batch{TruncateFrom: s.lost}
	for i := range 1 + a.rng.Uint64N(5) {
		b.Entries = append(b.Entries, committed(s.known()+1+i))
	}
	s.last, s.lost = b.Entries[len(b.Entries)-1].Index, 0
	a.add("append", func(n *crashNode) error { return n.Log().Write(b) }, s)
}

// lose adds entries that will not be committed.
func (a *crashAuthor) lose() {
	s := a.now().clone()
	if s.lost > 0 || s.last == 0 {
		a.append()
		return
	}
	s.lost, s.lostTerm = s.last+1, s.lastTerm()+1
	var b raftlog.Batch
	for i := range 1 + a.rng.Uint64N(20) {
		b.Entries = append(b.Entries, uncommitted(s.lost+i, s.lostTerm))
	}
	s.last += uint64(len(b.Entries))
	a.add("lose", func(n *crashNode) error { return n.Log().Write(b) }, s)
}

func (a *crashAuthor) vote() {
	s := a.now().clone()
	s.vote++
	b := raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: crashVote(s.vote)}}}
	a.add("vote", func(n *crashNode) error { return n.Log().Write(b) }, s)
}

// apply delivers what is committed, as far as some index. A library shows no
// no-ops.
func (a *crashAuthor) apply() {
	s := a.now().clone()
	to := s.live + 1 + a.rng.Uint64N(s.known()-s.live)
	for to < s.known() && committed(to).Kind == raftlog.NoOp {
		to++ // what is not shown would not move the mark
	}
	if committed(to).Kind == raftlog.NoOp {
		a.append()
		return
	}
	var es []raftlog.Entry
	for i := s.live + 1; i <= to; i++ {
		if e := committed(i); a.p.owner == trimaran.OwnerComposite || e.Kind != raftlog.NoOp {
			es = append(es, e)
		}
	}
	s.applied(to)
	a.add("apply", func(n *crashNode) error { return n.Apply(context.Background(), es, execute) }, s)
}

func (a *crashAuthor) sync() {
	s := a.now().clone()
	s.settle(max(s.live, a.lifted(&s)))
	s.live = a.now().live
	a.add("sync", func(n *crashNode) error { return n.Sync(context.Background()) }, s)
}

// lifted is the mark that an open makes sure of.
func (a *crashAuthor) lifted(s *crashState) uint64 {
	if a.p.owner == trimaran.OwnerLibrary {
		return s.newest()
	}
	return 0
}

func (a *crashAuthor) snapshot() {
	s := a.now().clone()
	if s.live == 0 || s.live <= s.newest() {
		a.append()
		return
	}
	if a.p.owner == trimaran.OwnerLibrary {
		a.librarySnapshot(s)
		return
	}
	published := s.clone()
	published.addSnapshot(s.live)
	done := published.clone()
	done.settle(s.live)
	covered := s.live
	if a.p.fallback {
		covered = done.snaps[0]
	}
	done.base = max(s.base, min(s.last-min(s.last, crashTrailing), covered))
	a.add("snapshot", func(n *crashNode) error {
		_, err := n.Snapshot(context.Background(), 0)
		return err
	}, published, done)
}

// librarySnapshot labels the data as a library does: no-ops after the last
// command count as applied.
func (a *crashAuthor) librarySnapshot(s crashState) {
	label := s.live
	for label < s.known() && committed(label+1).Kind == raftlog.NoOp {
		label++
	}
	published := s.clone()
	published.addSnapshot(label)
	published.lift(label)
	done := published.clone()
	done.base = max(s.base, label-min(label, crashTrailing))
	a.add("library snapshot", func(n *crashNode) error { return n.librarySnapshot(label, done.base) }, published, done)
}

// prune keeps the two newest.
func (a *crashAuthor) prune() {
	s := a.now().clone()
	if len(s.snaps) <= 2 {
		a.append()
		return
	}
	var states []crashState
	for len(s.snaps) > 2 {
		s.snaps = s.snaps[1:]
		states = append(states, s.clone())
	}
	a.add("prune", func(n *crashNode) error {
		_, err := n.Snapshots().Prune(context.Background(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 2})
		return err
	}, states...)
}

// install takes in a snapshot above the data: within the log, where entries
// lost, or beyond.
func (a *crashAuthor) install() {
	s := a.now().clone()
	i := max(s.live, s.newest()) + 1 + a.rng.Uint64N(12)
	if a.p.conflict {
		i = max(s.lost, s.newest()+1) + a.rng.Uint64N(s.last+1-s.lost)
	}
	container := a.sent.container(i)
	published := s.clone()
	published.addSnapshot(i)
	done := published.clone()
	done.settle(i)
	if !s.holds(i) {
		done.base, done.last, done.lost = i, i, 0
	}
	states := []crashState{done}
	do := func(n *crashNode) error {
		_, err := n.Install(context.Background(), bytes.NewReader(container), nil)
		return err
	}
	switch {
	case a.p.owner == trimaran.OwnerLibrary:
		do = func(n *crashNode) error { return n.libraryInstall(container) }
	case s.holds(i):
		states = []crashState{published, done}
	}
	a.add("install", do, states...)
}

// back goes back to the oldest snapshot.
func (a *crashAuthor) back() {
	s := a.now().clone()
	if len(s.snaps) == 0 || s.snaps[0] > s.live {
		a.append()
		return
	}
	to := s.snaps[0]
	s.settle(to)
	if !s.holds(to) {
		s.base, s.last, s.lost, s.snaps = to, to, 0, s.snaps[:1]
	}
	a.add("back", func(n *crashNode) error { return n.back() }, s)
}

func (a *crashAuthor) reopen() {
	s := a.now().clone()
	s.settle(max(s.live, a.lifted(&s)))
	a.add("reopen", nil, s)
	a.steps[len(a.steps)-1].reopen = true
}

// sender makes the snapshots that other nodes send.
type sender struct{}

func (*sender) container(i uint64) []byte {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	engine, err := memkv.New(nil)
	must(err)
	data, err := kv.New(engine, nil)
	must(err)
	for at := uint64(1); at <= i; at++ {
		must(data.Update(ctx, func(tx *kv.WriteTx) error {
			e := committed(at)
			mark := kv.Mark{Index: at, Term: e.Term}
			if e.Kind == raftlog.Configuration {
				mark.Membership, mark.MembershipIndex = e.Data, at
			}
			if err := tx.SetMark(mark); err != nil || e.Kind != raftlog.Normal {
				return err
			}
			return execute(tx, e)
		}))
	}
	snaps, err := snapshot.New(membucket.New(nil), crashSnapshots(rand.NewChaCha8([32]byte{9})))
	must(err)
	model := modelAt(i)
	w, err := snaps.Create(ctx, snapshot.Info{Index: i, Term: committedTerm(i), Membership: []byte(model.membership), MembershipIndex: model.members}, nil)
	must(err)
	_, err = data.Export(ctx, w)
	must(err)
	meta, err := w.Commit()
	must(err)
	r, err := snaps.Stream(ctx, meta.ID)
	must(err)
	b, err := io.ReadAll(r)
	must(err)
	must(r.Close())
	must(snaps.Close())
	must(data.Close())
	return b
}

func crashSnapshots(r io.Reader) *snapshot.Options {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &snapshot.Options{NoMembership: true, Rand: r, Now: func() time.Time { return at }, Codec: snapshot.CodecNone}
}
