package dragonboat_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// crash takes -crash.states, -crash.seed, -crash.replay and the like.
var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

// TestCrash cuts the power under the calls that dragonboat makes: what was
// acknowledged is there, and what was not is there as a whole, for all replicas
// of the call, or not at all.
func TestCrash(t *testing.T) {
	o := *crash
	if o.States == 0 && o.Time == 0 {
		o.States = race.Either(2000, 200)
	}
	if o.Stride == 0 {
		o.Stride = 1 // a script is short
	}
	crashtest.Test(t, &o, workload(nil))
}

// A campaign that finds nothing where there is something proves nothing.
func TestCrashFindsBugs(t *testing.T) {
	for name, b := range map[string]*bug{
		"sync is left to the system": {policy: seglog.SyncNever},
		"replicas one after another": {submit: func(d raftlog.Driver, batches []raftlog.GroupBatch) error {
			for _, b := range batches {
				if err := d.Submit([]raftlog.GroupBatch{b}, nil); err != nil {
					return err
				}
			}
			return nil
		}},
		"state after entries": {submit: func(d raftlog.Driver, batches []raftlog.GroupBatch) error {
			for _, b := range batches {
				stable := b.Batch.Stable
				b.Batch.Stable = nil
				for _, part := range []raftlog.Batch{b.Batch, {Stable: stable}} {
					if part.IsZero() {
						continue
					}
					if err := d.Submit([]raftlog.GroupBatch{{Group: b.Group, Batch: part}}, nil); err != nil {
						return err
					}
				}
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := crashtest.Run(t.Context(), &crashtest.Options{Seed: 1, Stride: 1, States: 5000}, workload(b))
			var f *crashtest.Failure
			if !errors.As(err, &f) {
				t.Fatalf("got %v, want a failure", err)
			}
			t.Log(f.ID())
		})
	}
}

// bug is what is wrong with a driver.
type bug struct {
	policy seglog.SyncPolicy
	submit func(raftlog.Driver, []raftlog.GroupBatch) error
}

type bugged struct {
	raftlog.Driver
	b *bug
}

func (d *bugged) Submit(batches []raftlog.GroupBatch, done func(error)) error {
	if d.b.submit == nil {
		return d.Driver.Submit(batches, done)
	}
	return d.b.submit(d.Driver, batches)
}

// workload plays scripts, on a driver with a bug if one is given.
func workload(b *bug) crashtest.Workload {
	if b == nil {
		b = &bug{}
	}
	return crashtest.Workload{Name: "calls", Faults: true, New: func(seed uint64) crashtest.Script { return newScript(seed, b) }}
}

// parts is a LogDB whose file operations are the same in each run.
type parts struct {
	*dragonboat.LogDB
	driver raftlog.Driver
}

func (s *script) open(fsys vfs.FS) (*parts, error) {
	store, err := seglog.Open("log", &seglog.Options{FS: fsys, Sync: s.bug.policy, SegmentSize: 8000, Rand: rand.NewChaCha8([32]byte{1}), Background: func(work func()) { work() }})
	if err != nil {
		return nil, err
	}
	p := &parts{driver: &bugged{Driver: store, b: s.bug}}
	if p.LogDB, err = dragonboat.NewLogDB(p.driver); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return p, nil
}

func (p *parts) close() error { return errors.Join(p.Close(), p.driver.Close()) }

// replicas are those of a script, each of another shard.
const replicas = 2

func nodeInfo(i int) (shardID, replicaID uint64) { return uint64(i + 1), uint64(10 - i) }

// kept is what a LogDB holds of a replica.
type kept struct {
	boot    bool
	st      raftpb.State
	snap    raftpb.Snapshot
	base    uint64
	entries []raftpb.Entry
}

func (k *kept) last() uint64 { return k.base + uint64(len(k.entries)) }

type model [replicas]kept

// call is one step: what is called, and the state that it leads to, or -1 where
// nothing reaches the disk.
type call struct {
	do     func(l raftio.ILogDB) error
	reopen bool
	state  int
}

type script struct {
	bug    *bug
	calls  []call
	states []model
}

// author writes a script as dragonboat would: what is committed is never
// replaced, and a snapshot holds committed entries.
type author struct {
	rng  *rand.Rand
	s    *script
	now  model // as raft sees it: commit indexes may be ahead of the disk
	disk model
}

func newScript(seed uint64, b *bug) *script {
	a := &author{rng: rand.New(rand.NewPCG(seed, 0xd4a6)), s: &script{bug: b, states: []model{{}}}}
	for range 30 {
		a.s.calls = append(a.s.calls, a.call())
	}
	// Commit indexes that wait for the next write are written at the end: the
	// script says so itself.
	a.s.calls = append(a.s.calls, a.reopen())
	return a.s
}

// reaches notes that the disk holds the given replicas as they are now.
func (a *author) reaches(which ...int) int {
	for _, i := range which {
		a.disk[i] = a.now[i]
	}
	a.s.states = append(a.s.states, a.disk)
	return len(a.s.states) - 1
}

func (a *author) call() call {
	switch dice := a.rng.IntN(100); {
	case dice < 55:
		return a.save()
	case dice < 63:
		return a.commit()
	case dice < 70:
		return a.snapshots()
	case dice < 80:
		return a.compact()
	case dice < 85:
		return a.bootstrap()
	case dice < 88:
		return a.remove()
	case dice < 91:
		return a.importSnapshot()
	default:
		return a.reopen()
	}
}

// reopen closes the LogDB, which writes the commit indexes that wait.
func (a *author) reopen() call {
	c := call{reopen: true, state: -1}
	for i := range a.now {
		if a.now[i].st != a.disk[i].st {
			a.disk[i].st = a.now[i].st
			c.state = 0
		}
	}
	if c.state == 0 {
		c.state = a.reaches()
	}
	return c
}

// save writes one replica or all of them in one call.
func (a *author) save() call {
	which := a.rng.Perm(replicas)[:1+a.rng.IntN(replicas)]
	var updates []raftpb.Update
	for _, i := range which {
		updates = append(updates, a.update(i))
	}
	return call{do: func(l raftio.ILogDB) error { return l.SaveRaftState(updates, 1) }, state: a.reaches(which...)}
}

// update is one that writes more than a commit index.
func (a *author) update(i int) raftpb.Update {
	k := &a.now[i]
	u := raftpb.Update{}
	u.ShardID, u.ReplicaID = nodeInfo(i)
	if k.st.Term == 0 || a.rng.IntN(3) == 0 {
		k.st.Term, k.st.Vote = k.st.Term+1, a.rng.Uint64N(4)
		if a.rng.IntN(3) == 0 { // a vote alone
			u.State = k.st
			return u
		}
	}
	if a.rng.IntN(8) == 0 {
		index := max(k.st.Commit, k.snap.Index) + 1 + a.rng.Uint64N(20)
		u.Snapshot = a.shot(i, index, k.st.Term)
		k.snap, k.base, k.entries = u.Snapshot, index, nil
		k.st.Commit = index
	}
	if raftpb.IsEmptySnapshot(u.Snapshot) || a.rng.IntN(2) == 0 {
		settled := max(k.st.Commit, k.base)
		first := settled + 1 + a.rng.Uint64N(k.last()-settled+1)
		u.EntriesToSave = a.some(first, k.st.Term)
		k.entries = slices.Concat(k.entries[:first-k.base-1], u.EntriesToSave)
	}
	if a.rng.IntN(2) == 0 {
		k.st.Commit += a.rng.Uint64N(k.last() - k.st.Commit + 1)
	}
	u.State = k.st
	return u
}

func (a *author) some(first, term uint64) (entries []raftpb.Entry) {
	for i := range 1 + a.rng.Uint64N(4) {
		e := raftpb.Entry{Index: first + i, Term: term, Type: raftpb.EntryType(a.rng.IntN(4))}
		if a.rng.IntN(4) > 0 {
			e.Key, e.ClientID, e.Cmd = a.rng.Uint64(), a.rng.Uint64(), make([]byte, a.rng.IntN(700))
			for j := range e.Cmd {
				e.Cmd[j] = byte(a.rng.Uint32())
			}
		}
		entries = append(entries, e)
	}
	return entries
}

func (a *author) shot(i int, index, term uint64) raftpb.Snapshot {
	shardID, replicaID := nodeInfo(i)
	return raftpb.Snapshot{Index: index, Term: term, ShardID: shardID, Type: raftpb.OnDiskStateMachine, OnDiskIndex: index - 1,
		Filepath: fmt.Sprintf("%x", a.rng.Uint64()), Membership: raftpb.Membership{Addresses: map[uint64]string{replicaID: "a"}}}
}

// commit moves a commit index alone.
func (a *author) commit() call {
	i := a.rng.IntN(replicas)
	k := &a.now[i]
	if k.last() <= k.st.Commit || raftpb.IsEmptyState(a.disk[i].st) {
		return a.save()
	}
	k.st.Commit += 1 + a.rng.Uint64N(k.last()-k.st.Commit)
	u := raftpb.Update{State: k.st}
	u.ShardID, u.ReplicaID = nodeInfo(i)
	return call{do: func(l raftio.ILogDB) error { return l.SaveRaftState([]raftpb.Update{u}, 1) }, state: -1}
}

// snapshots notes snapshots that the replicas took.
func (a *author) snapshots() call {
	var updates []raftpb.Update
	for i := range a.now {
		k := &a.now[i]
		if lo := max(k.base, k.snap.Index); k.st.Commit > lo {
			index := lo + 1 + a.rng.Uint64N(k.st.Commit-lo)
			k.snap = a.shot(i, index, k.entries[index-k.base-1].Term)
			a.disk[i].snap = k.snap
			u := raftpb.Update{Snapshot: k.snap}
			u.ShardID, u.ReplicaID = nodeInfo(i)
			updates = append(updates, u)
		}
	}
	if len(updates) == 0 {
		return a.save()
	}
	return call{do: func(l raftio.ILogDB) error { return l.SaveSnapshots(updates) }, state: a.reaches()}
}

func (a *author) compact() call {
	i := a.rng.IntN(replicas)
	k := &a.now[i]
	if k.snap.Index <= k.base {
		return a.save()
	}
	index := k.base + 1 + a.rng.Uint64N(k.snap.Index-k.base)
	k.base, k.entries = index, k.entries[index-k.base:]
	a.disk[i].base, a.disk[i].entries = k.base, k.entries
	shardID, replicaID := nodeInfo(i)
	return call{do: func(l raftio.ILogDB) error { return l.RemoveEntriesTo(shardID, replicaID, index) }, state: a.reaches()}
}

func (a *author) bootstrap() call {
	i := a.rng.IntN(replicas)
	a.now[i].boot, a.disk[i].boot = true, true
	shardID, replicaID := nodeInfo(i)
	return call{do: func(l raftio.ILogDB) error {
		return l.SaveBootstrapInfo(shardID, replicaID, raftpb.Bootstrap{Join: true})
	}, state: a.reaches()}
}

func (a *author) remove() call {
	i := a.rng.IntN(replicas)
	a.now[i] = kept{}
	shardID, replicaID := nodeInfo(i)
	return call{do: func(l raftio.ILogDB) error { return l.RemoveNodeData(shardID, replicaID) }, state: a.reaches(i)}
}

func (a *author) importSnapshot() call {
	i := a.rng.IntN(replicas)
	k := &a.now[i]
	_, replicaID := nodeInfo(i)
	ss := a.shot(i, 1+a.rng.Uint64N(k.last()+9), k.st.Term+1)
	*k = kept{boot: true, st: state(ss.Term, 0, ss.Index), snap: ss, base: ss.Index}
	return call{do: func(l raftio.ILogDB) error { return l.ImportSnapshot(ss, replicaID) }, state: a.reaches(i)}
}

// Run implements crashtest.Script. A disk that fails ends it, as if the process
// had been killed.
func (s *script) Run(fsys vfs.FS, r *crashtest.Recorder) (err error) {
	fsys, freeze := crashtest.Freezable(fsys)
	defer func() {
		if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) {
			err = nil
		}
	}()
	p, err := s.open(fsys)
	if err != nil {
		return err
	}
	defer func() {
		switch {
		case p != nil && err != nil:
			freeze()
			_ = p.close()
		case p != nil:
			err = p.close()
		}
	}()
	for i, c := range s.calls {
		if c.state >= 0 {
			r.Begin(c.state)
		}
		if c.reopen {
			err = p.close()
			if p = nil; err == nil {
				p, err = s.open(fsys)
			}
		} else {
			err = c.do(p)
		}
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		if c.state >= 0 {
			r.Ack(c.state)
		}
	}
	return nil
}

// Check implements crashtest.Script.
func (s *script) Check(fsys vfs.FS, want crashtest.Expect) (found int, err error) {
	p, err := s.open(fsys)
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var errs []error
	for _, i := range slices.Backward(want.States) {
		m := s.states[i]
		if want.Extended {
			m = s.extended(i)
		}
		err := m.diff(p)
		if err == nil {
			return i, nil
		}
		errs = append(errs, fmt.Errorf("not state %d: %w", i, err))
	}
	return 0, errors.Join(errs...)
}

func (m *model) diff(l raftio.ILogDB) error {
	for i := range m {
		shardID, replicaID := nodeInfo(i)
		if err := m[i].diff(l, shardID, replicaID); err != nil {
			return fmt.Errorf("replica %d/%d: %w", shardID, replicaID, err)
		}
	}
	return nil
}

func (k *kept) diff(l raftio.ILogDB, shardID, replicaID uint64) error {
	rs, err := l.ReadRaftState(shardID, replicaID, 0)
	if none := errors.Is(err, raftio.ErrNoSavedLog); none != raftpb.IsEmptyState(k.st) || err != nil && !none {
		return fmt.Errorf("state: %w, want %+v", err, k.st)
	}
	if err == nil && rs.State != k.st {
		return fmt.Errorf("state %+v, want %+v", rs.State, k.st)
	}
	entries, _, err := l.IterateEntries(nil, 0, shardID, replicaID, k.base+1, math.MaxUint64, math.MaxUint64)
	if err != nil {
		return err
	}
	if len(entries) != len(k.entries) || len(entries) > 0 && !reflect.DeepEqual(entries, k.entries) {
		return fmt.Errorf("%d entries after %d, want %d, or others", len(entries), k.base, len(k.entries))
	}
	if old, _, err := l.IterateEntries(nil, 0, shardID, replicaID, k.base, k.base+1, 0); err != nil || len(old) > 0 {
		return fmt.Errorf("entry %d is there, or not: %w", k.base, err)
	}
	snap, err := l.GetSnapshot(shardID, replicaID)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(snap, k.snap) {
		return fmt.Errorf("snapshot %+v, want %+v", snap, k.snap)
	}
	if _, err = l.GetBootstrapInfo(shardID, replicaID); (err == nil) != k.boot {
		return fmt.Errorf("bootstrap: %w, want %v", err, k.boot)
	}
	return nil
}

// extension is what Extend saves to replica 0 in state i.
func (s *script) extension(i int) raftpb.Update {
	k := &s.states[i][0]
	term := k.st.Term + uint64(len(s.calls)) + 10 // no script gets so far
	u := raftpb.Update{State: state(term, 3, k.last()+1), EntriesToSave: []raftpb.Entry{
		{Index: k.last() + 1, Term: term, Cmd: fmt.Appendf(nil, "extension of %d", i)},
		{Index: k.last() + 2, Term: term},
	}}
	u.ShardID, u.ReplicaID = nodeInfo(0)
	return u
}

func (s *script) extended(i int) model {
	m := s.states[i]
	u := s.extension(i)
	m[0].st, m[0].entries = u.State, slices.Concat(m[0].entries, u.EntriesToSave)
	return m
}

// Extend implements crashtest.Script. The power goes when the write is
// acknowledged.
func (s *script) Extend(fsys vfs.FS, found int) error {
	fsys, freeze := crashtest.Freezable(fsys)
	p, err := s.open(fsys)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = p.SaveRaftState([]raftpb.Update{s.extension(found)}, 1)
	freeze()
	_ = p.close() // fails, for the disk is gone
	return err
}
