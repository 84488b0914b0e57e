package dragonboat_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/plugin/tee"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
	lnivfs "github.com/lni/vfs"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/vfs"
)

var (
	diffSeed = flag.Uint64("diff.seed", 0, "seed of the comparison with dragonboat's LogDBs; 0: another one each time")
	diffTime = flag.Duration("diff.time", 0, "how long to compare; 0: some steps")
)

// peer is a LogDB that can be opened again.
type peer struct {
	raftio.ILogDB
	open func() (raftio.ILogDB, error)
}

func (p *peer) reopen(t *testing.T) {
	t.Helper()
	if p.ILogDB != nil {
		check(t, p.Close())
	}
	var err error
	p.ILogDB, err = p.open()
	check(t, err)
}

// hostConfig is as small as they let it be.
func hostConfig() config.NodeHostConfig {
	c := config.NodeHostConfig{Expert: config.ExpertConfig{
		Engine: config.GetDefaultEngineConfig(), LogDB: config.GetTinyMemLogDBConfig(), FS: lnivfs.NewMem(),
	}}
	c.Expert.LogDB.Shards = 1
	return c
}

func newTan() *peer {
	c := hostConfig()
	return &peer{open: func() (raftio.ILogDB, error) { return tan.Factory.Create(c, nil, []string{"/tan"}, nil) }}
}

// newPebble gets at dragonboat's default, which has no constructor that can be
// called, as one half of a LogDB that compares two of them.
func newPebble() *peer {
	c := hostConfig()
	return &peer{open: func() (raftio.ILogDB, error) {
		both, err := tee.CreateTanPebbleLogDB(c, nil, []string{"/both"}, []string{"/both"})
		if err != nil {
			return nil, err
		}
		half := reflect.ValueOf(both).Elem().FieldByName("ndb")
		return halfOf{*(*raftio.ILogDB)(unsafe.Pointer(half.UnsafeAddr())), both}, nil
	}}
}

// halfOf is closed together with the other half.
type halfOf struct {
	raftio.ILogDB
	both raftio.ILogDB
}

func (h halfOf) Close() error { return h.both.Close() }

func newOurs() *peer {
	o := &dragonboat.Options{FS: vfs.NewMem()}
	return &peer{open: func() (raftio.ILogDB, error) { return dragonboat.OpenLogDB("log", o) }}
}

// history is what raft has written for one replica, as far as is needed to go on
// as it would.
type history struct {
	id            raftio.NodeInfo
	st            raftpb.State
	terms         []uint64 // of the entries after base
	base          uint64   // up to where the log was dropped
	snap          uint64
	stale, forked bool // the log was replaced; by a snapshot within it
}

func (h *history) last() uint64 { return h.base + uint64(len(h.terms)) }

// comparison plays raft and compares what three LogDBs make of it.
type comparison struct {
	t                 *testing.T
	rng               *rand.Rand
	ours, tan, pebble *peer
	live              []*history
	next              uint64
}

func (c *comparison) each(do func(l raftio.ILogDB) error) {
	c.t.Helper()
	for _, p := range []*peer{c.ours, c.tan, c.pebble} {
		check(c.t, do(p.ILogDB))
	}
}

func (c *comparison) reopen() {
	for _, p := range []*peer{c.ours, c.tan, c.pebble} {
		p.reopen(c.t)
	}
}

func (c *comparison) pick() *history { return c.live[c.rng.IntN(len(c.live))] }

func (c *comparison) begin() {
	c.next++
	h := &history{id: raftio.GetNodeInfo(1+c.rng.Uint64N(3), c.next)}
	c.live = append(c.live, h)
	b := raftpb.Bootstrap{Join: true, Type: raftpb.OnDiskStateMachine}
	if c.rng.IntN(2) == 0 {
		b = raftpb.NewBootstrapInfo(false, raftpb.RegularStateMachine, map[uint64]string{1: "a:1", c.next: "b:2"})
	}
	c.each(func(l raftio.ILogDB) error { return l.SaveBootstrapInfo(h.id.ShardID, h.id.ReplicaID, b) })
}

// update is what raft writes next for one replica.
func (c *comparison) update(h *history) raftpb.Update {
	u := raftpb.Update{ShardID: h.id.ShardID, ReplicaID: h.id.ReplicaID}
	if h.st.Term == 0 || c.rng.IntN(4) == 0 {
		h.st.Term++
		h.st.Vote = c.rng.Uint64N(4)
	}
	if c.rng.IntN(12) == 0 {
		c.receive(h, &u)
	}
	if c.rng.IntN(4) > 0 {
		c.entries(h, &u)
	}
	if h.last() > h.st.Commit && c.rng.IntN(2) == 0 {
		h.st.Commit += 1 + c.rng.Uint64N(h.last()-h.st.Commit)
	}
	if c.rng.IntN(5) > 0 || h.st.Commit < h.snap {
		u.State = h.st
	}
	return u
}

// receive has a snapshot replace the log.
func (c *comparison) receive(h *history, u *raftpb.Update) {
	lo := max(h.st.Commit, h.snap)
	index := max(lo, h.last()) + 1 + c.rng.Uint64N(9)
	if h.last() > lo && c.rng.IntN(3) == 0 { // a tail that was not committed goes
		index = lo + 1 + c.rng.Uint64N(h.last()-lo)
		h.forked = true
	}
	u.Snapshot = c.snapshot(h, index, h.st.Term)
	h.base, h.terms, h.stale = index, nil, true
	h.snap, h.st.Commit = index, index
}

func (c *comparison) snapshot(h *history, index, term uint64) raftpb.Snapshot {
	return raftpb.Snapshot{
		Index: index, Term: term, ShardID: h.id.ShardID, Type: raftpb.OnDiskStateMachine, OnDiskIndex: index - 1, Checksum: []byte{byte(c.rng.Uint32())},
		Membership: raftpb.Membership{ConfigChangeId: c.rng.Uint64N(9), Addresses: map[uint64]string{h.id.ReplicaID: "b:2"}},
	}
}

// entries appends, and replaces what is not committed.
func (c *comparison) entries(h *history, u *raftpb.Update) {
	settled := max(h.st.Commit, h.base)
	first := settled + 1 + c.rng.Uint64N(h.last()-settled+1)
	h.terms = h.terms[:first-h.base-1]
	for i := range 1 + c.rng.Uint64N(8) {
		e := raftpb.Entry{Index: first + i, Term: h.st.Term, Type: raftpb.EntryType(c.rng.IntN(4))}
		if c.rng.IntN(5) > 0 {
			e.Key, e.ClientID, e.SeriesID, e.RespondedTo = c.rng.Uint64(), c.rng.Uint64(), c.rng.Uint64N(3), c.rng.Uint64N(2)
			e.Cmd = make([]byte, 1+c.rng.IntN(200))
			for j := range e.Cmd {
				e.Cmd[j] = byte(c.rng.Uint32())
			}
		}
		u.EntriesToSave = append(u.EntriesToSave, e)
		h.terms = append(h.terms, e.Term)
	}
}

func (c *comparison) step() {
	switch dice := c.rng.IntN(100); {
	case dice < 60:
		var updates []raftpb.Update
		for _, h := range c.live {
			if len(updates) == 0 || c.rng.IntN(2) == 0 {
				updates = append(updates, c.update(h))
			}
		}
		c.rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		c.each(func(l raftio.ILogDB) error { return l.SaveRaftState(updates, 1) })
	case dice < 75:
		h := c.pick()
		if lo := max(h.snap, h.base); h.st.Commit > lo {
			index := lo + 1 + c.rng.Uint64N(h.st.Commit-lo)
			h.snap = index
			u := raftpb.Update{ShardID: h.id.ShardID, ReplicaID: h.id.ReplicaID, Snapshot: c.snapshot(h, index, h.terms[index-h.base-1])}
			c.each(func(l raftio.ILogDB) error { return l.SaveSnapshots([]raftpb.Update{u}) })
		}
	case dice < 88:
		h := c.pick()
		if h.snap > h.base {
			index := h.base + 1 + c.rng.Uint64N(h.snap-h.base)
			h.terms, h.base = h.terms[index-h.base:], index
			c.each(func(l raftio.ILogDB) error { return l.RemoveEntriesTo(h.id.ShardID, h.id.ReplicaID, index) })
		}
	case dice < 92:
		h := c.pick()
		c.each(func(l raftio.ILogDB) error { return l.RemoveNodeData(h.id.ShardID, h.id.ReplicaID) })
		c.compare(&history{id: h.id})
		c.live = slices.DeleteFunc(c.live, func(x *history) bool { return x == h })
		c.begin()
	case dice < 95:
		h := c.pick()
		ss := c.snapshot(h, 1+c.rng.Uint64N(h.last()+9), h.st.Term+1)
		c.reopen() // it is done with a LogDB that does nothing else
		c.each(func(l raftio.ILogDB) error { return l.ImportSnapshot(ss, h.id.ReplicaID) })
		c.reopen()
		*h = history{id: h.id, st: raftpb.State{Term: ss.Term, Commit: ss.Index}, base: ss.Index, snap: ss.Index, stale: true, forked: true}
	default:
		c.reopen()
	}
}

// compare asks all of them the same.
func (c *comparison) compare(h *history) {
	c.t.Helper()
	low := max(h.base, h.snap) + 1 + c.rng.Uint64N(uint64(len(h.terms))+2)
	high := low + c.rng.Uint64N(9)
	size := 1 + c.rng.Uint64N(2000)
	for name, theirs := range map[string]*peer{"tan": c.tan, "pebble": c.pebble} {
		got, want := ask(c.ours, h, low, high, size), ask(theirs, h, low, high, size)
		if name == "tan" && h.forked { // it keeps the tail that the snapshot replaced
			got.Last, got.Entries, want.Last, want.Entries = 0, nil, 0, nil
			got.Size, want.Size = 0, 0
		}
		if !reflect.DeepEqual(got, want) {
			c.t.Fatalf("replica %v, entries [%d, %d) up to %d:\n got %+v\n%s: %+v", h.id, low, high, size, got, name, want)
		}
	}
}

// answers are what one LogDB says of a replica.
type answers struct {
	State           raftpb.State
	Last            uint64 // of the log
	NoState, NoBoot bool
	Boot            raftpb.Bootstrap
	Snapshot        raftpb.Snapshot
	Entries         []raftpb.Entry
	Size            uint64
	List            []raftio.NodeInfo
	Err             error
}

func ask(l raftio.ILogDB, h *history, low, high, size uint64) (a answers) {
	shard, replica := h.id.ShardID, h.id.ReplicaID
	rs, err := l.ReadRaftState(shard, replica, h.snap)
	a.NoState = errors.Is(err, raftio.ErrNoSavedLog)
	if !a.NoState {
		a.Err = errors.Join(a.Err, err)
		a.State = rs.State
		if a.Last = h.snap; rs.EntryCount > 0 { // each begins somewhere else below the snapshot
			a.Last = rs.FirstIndex + rs.EntryCount - 1
		}
	}
	a.Boot, err = l.GetBootstrapInfo(shard, replica)
	if a.NoBoot = errors.Is(err, raftio.ErrNoBootstrapInfo); !a.NoBoot {
		a.Err = errors.Join(a.Err, err)
	}
	a.Snapshot, err = l.GetSnapshot(shard, replica)
	a.Err = errors.Join(a.Err, err)
	a.Entries, a.Size, err = l.IterateEntries([]raftpb.Entry{}, 0, shard, replica, low, high, size)
	a.Err = errors.Join(a.Err, err)
	for i := range a.Entries {
		if len(a.Entries[i].Cmd) == 0 {
			a.Entries[i].Cmd = nil
		}
	}
	a.List, err = l.ListNodeInfo()
	a.Err = errors.Join(a.Err, err)
	slices.SortFunc(a.List, func(x, y raftio.NodeInfo) int {
		if x.ShardID != y.ShardID {
			return int(x.ShardID) - int(y.ShardID)
		}
		return int(x.ReplicaID) - int(y.ReplicaID)
	})
	return a
}

// TestLikeDragonboatsOwn plays the same history to our LogDB and to both of
// dragonboat's, and asks all three the same after every step.
func TestLikeDragonboatsOwn(t *testing.T) {
	seed := *diffSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-diff.seed %d", seed)
	c := &comparison{t: t, rng: rand.New(rand.NewPCG(seed, 0xd1ff)), ours: newOurs(), tan: newTan(), pebble: newPebble()}
	c.reopen()
	for range 4 {
		c.begin()
	}
	began, steps := time.Now(), 0
	for ; steps < race.Either(600, 150) || time.Since(began) < *diffTime; steps++ {
		c.step()
		for _, h := range c.live {
			c.compare(h)
		}
	}
	for _, p := range []*peer{c.ours, c.tan, c.pebble} {
		check(t, p.Close())
	}
	t.Logf("%d steps", steps)
}
