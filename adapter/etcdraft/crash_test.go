package etcdraft_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// crash takes -crash.states, -crash.seed, -crash.replay and the like.
var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

// TestCrash cuts the power under the calls that a program makes: what was
// acknowledged is there, and what was not is there as a whole or not at all.
func TestCrash(t *testing.T) {
	o := *crash
	if o.States == 0 && o.Time == 0 {
		o.States = race.Either(2000, 200)
	}
	if o.Stride == 0 {
		o.Stride = 1 // a script is short
	}
	crashtest.Test(t, &o, crashtest.Workload{Name: "calls", Faults: true, New: func(seed uint64) crashtest.Script { return newScript(seed) }})
}

// parts is a storage whose file operations are the same in each run.
type parts struct {
	*etcdraft.Storage
	driver *seglog.Store
	log    *raftlog.Log
	snaps  *snapshot.Store
}

func openParts(fsys vfs.FS) (_ *parts, err error) {
	p := &parts{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	p.driver, err = seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 8000, Rand: rand.NewChaCha8([32]byte{1}), Background: func(work func()) { work() }})
	if err != nil {
		return p, err
	}
	if p.log, err = p.driver.Log(raftlog.Group{}); err != nil {
		return p, err
	}
	bucket, err := dirbucket.Open("snapshots", &dirbucket.Options{FS: fsys})
	if err != nil {
		return p, err
	}
	p.snaps, err = snapshot.New(bucket, &snapshot.Options{
		Rand: rand.NewChaCha8([32]byte{2}), Now: func() time.Time { return time.Unix(1, 0) },
		Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 2},
	})
	if err != nil {
		return p, errors.Join(err, bucket.Close())
	}
	p.Storage, err = etcdraft.New(p.log, p.snaps, nil)
	return p, err
}

func (p *parts) close() (err error) {
	if p.Storage != nil {
		err = p.Close()
	}
	if p.log != nil {
		err = errors.Join(err, p.log.Close())
	}
	if p.snaps != nil {
		err = errors.Join(err, p.snaps.Close())
	}
	if p.driver != nil {
		err = errors.Join(err, p.driver.Close())
	}
	return err
}

// model is what a storage holds.
type model struct {
	hs      *raftpb.HardState // as raft saved it
	snap    *raftpb.Snapshot  // nil: none
	base    uint64
	entries []*raftpb.Entry
}

func (m *model) last() uint64 { return m.base + uint64(len(m.entries)) }

func (m *model) term(index uint64) uint64 {
	if index > m.base {
		return m.entries[index-m.base-1].GetTerm()
	}
	if m.snap != nil && index == m.snap.GetMetadata().GetIndex() {
		return m.snap.GetMetadata().GetTerm()
	}
	return 0
}

// hardState is what InitialState makes of hs: it is not behind the log.
func (m *model) hardState(baseTerm uint64) *raftpb.HardState {
	lastTerm, applied := baseTerm, max(m.base, m.snap.GetMetadata().GetIndex())
	if n := len(m.entries); n > 0 {
		lastTerm = m.entries[n-1].GetTerm()
	}
	term, vote := m.hs.GetTerm(), m.hs.GetVote()
	if term < lastTerm {
		term, vote = lastTerm, 0
	}
	hs := hard(term, vote, min(max(m.hs.GetCommit(), applied), m.last()))
	if raft.IsEmptyHardState(hs) {
		return nil
	}
	return hs
}

// call is one step: what is called, and the states that it leads to, one after
// another; none where nothing reaches the disk.
type call struct {
	do     func(s *parts) error
	reopen bool
	states []int
}

type script struct {
	calls  []call
	states []model
}

// author writes a script as raft would: what is committed is never replaced, and
// a snapshot holds committed entries.
type author struct {
	rng  *rand.Rand
	s    *script
	now  model // as raft sees it: the commit index may be ahead of the disk
	disk model
}

func newScript(seed uint64) *script {
	a := &author{rng: rand.New(rand.NewPCG(seed, 0xe7cd)), s: &script{states: []model{{}}}}
	a.now.hs = hard(0, 0, 0)
	for range 30 {
		a.s.calls = append(a.s.calls, a.call())
	}
	// A commit index that waits for the next write is written at the end: the
	// script says so itself.
	var end call
	a.reopen(&end)
	a.s.calls = append(a.s.calls, end)
	return a.s
}

// reached notes that the disk holds m next.
func (a *author) reached(c *call, m model) {
	a.disk = m
	a.s.states = append(a.s.states, m)
	c.states = append(c.states, len(a.s.states)-1)
}

func (a *author) call() (c call) {
	switch dice := a.rng.IntN(100); {
	case dice < 45:
		a.save(&c)
	case dice < 52:
		a.vote(&c)
	case dice < 60:
		a.commit(&c)
	case dice < 70:
		a.create(&c)
	case dice < 80:
		a.compact(&c)
	case dice < 90:
		a.install(&c)
	default:
		a.reopen(&c)
	}
	return c
}

// reopen closes the storage, which writes a commit index that waits.
func (a *author) reopen(c *call) {
	c.reopen = true
	if !proto.Equal(a.disk.hs, a.now.hs) && !raft.IsEmptyHardState(a.now.hs) {
		a.reached(c, a.now)
	}
}

// some makes entries from first on, of the term that is now.
func (a *author) some(first uint64) (entries []*raftpb.Entry) {
	for i := range 1 + a.rng.Uint64N(4) {
		e := &raftpb.Entry{Index: new(first + i), Term: new(a.now.hs.GetTerm())}
		switch a.rng.IntN(5) {
		case 0: // that of a new leader
		case 1:
			e.Type = raftpb.EntryConfChangeV2.Enum()
		default:
			e.Data = make([]byte, a.rng.IntN(900))
			for j := range e.Data {
				e.Data[j] = byte(a.rng.Uint32())
			}
		}
		entries = append(entries, e)
	}
	return entries
}

// elect begins a new term, now and then.
func (a *author) elect() {
	if a.now.hs.GetTerm() == 0 || a.rng.IntN(3) == 0 {
		a.now.hs = hard(a.now.hs.GetTerm()+1, a.rng.Uint64N(4), a.now.hs.GetCommit())
	}
}

// save appends, and replaces what is not committed.
func (a *author) save(c *call) {
	a.elect()
	settled := max(a.now.hs.GetCommit(), a.now.base)
	first := settled + 1 + a.rng.Uint64N(a.now.last()-settled+1)
	hs, entries := a.now.hs, a.some(first)
	kept := a.now.entries[:first-a.now.base-1]
	a.now.entries = slices.Concat(kept, entries)
	c.do = func(s *parts) error { return s.Save(hs, entries, nil) }
	a.reached(c, a.now)
}

// vote saves a hard state alone, of a new term or of the same one.
func (a *author) vote(c *call) {
	term, vote := a.now.hs.GetTerm(), a.now.hs.GetVote()+1
	if term == 0 || a.rng.IntN(2) == 0 {
		term, vote = term+1, a.rng.Uint64N(3)
	}
	hs := hard(term, vote, a.now.hs.GetCommit())
	a.now.hs = hs
	c.do = func(s *parts) error { return s.Save(hs, nil, nil) }
	a.reached(c, a.now)
}

func (a *author) commit(c *call) {
	if a.now.last() > a.now.hs.GetCommit() {
		to := a.now.hs.GetCommit() + 1 + a.rng.Uint64N(a.now.last()-a.now.hs.GetCommit())
		a.now.hs = hard(a.now.hs.GetTerm(), a.now.hs.GetVote(), to)
	}
	hs := a.now.hs
	c.do = func(s *parts) error { return s.Save(hs, nil, nil) }
}

func (a *author) create(c *call) {
	lo, hi := max(a.now.base, a.now.snap.GetMetadata().GetIndex()), a.now.hs.GetCommit()
	if hi <= lo {
		a.save(c)
		return
	}
	index := lo + 1 + a.rng.Uint64N(hi-lo)
	snap := randomShot(index, a.now.term(index), a.rng)
	a.now.snap = snap
	disk := a.disk
	disk.snap = snap
	c.do = func(s *parts) error {
		_, err := s.CreateSnapshot(index, snap.GetMetadata().GetConfState(), snap.GetData())
		return err
	}
	a.reached(c, disk)
}

func (a *author) compact(c *call) {
	lo, hi := a.now.base, a.now.snap.GetMetadata().GetIndex()
	if hi <= lo {
		a.save(c)
		return
	}
	index := lo + 1 + a.rng.Uint64N(hi-lo)
	a.now.entries, a.now.base = a.now.entries[index-lo:], index
	disk := a.disk
	disk.entries, disk.base = a.now.entries, index
	c.do = func(s *parts) error { return s.Compact(index) }
	a.reached(c, disk)
}

// install takes in a snapshot that another node sent. Where a crash comes
// between its publishing and the write of the log, the next open does the log's
// part, and the hard state is the old one.
func (a *author) install(c *call) {
	a.now.hs = hard(a.now.hs.GetTerm()+1, 0, a.now.hs.GetCommit())
	index := max(a.now.hs.GetCommit(), a.now.snap.GetMetadata().GetIndex()) + 1 + a.rng.Uint64N(20)
	snap := randomShot(index, a.now.hs.GetTerm(), a.rng)
	a.reached(c, model{hs: a.disk.hs, snap: snap, base: index})
	hs := hard(a.now.hs.GetTerm(), 1+a.rng.Uint64N(3), index)
	a.now = model{hs: hs, snap: snap, base: index}
	if a.rng.IntN(2) == 0 {
		a.now.entries = a.some(index + 1)
	}
	entries := a.now.entries
	c.do = func(s *parts) error { return s.Save(hs, entries, snap) }
	a.reached(c, a.now)
}

func randomShot(index, term uint64, rng *rand.Rand) *raftpb.Snapshot {
	return shot(index, term, fmt.Sprintf("the state at %d %x", index, rng.Uint64()), 1, rng.Uint64N(9)+2)
}

// Run implements crashtest.Script. A disk that fails ends it, as if the process
// had been killed.
func (s *script) Run(fsys vfs.FS, r *crashtest.Recorder) (err error) {
	var p *parts
	fsys, freeze := crashtest.Freezable(fsys)
	defer func() {
		if ofDisk(err) {
			err = nil
		}
	}()
	if p, err = openParts(fsys); err != nil {
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
		for _, st := range c.states {
			r.Begin(st)
		}
		if c.reopen {
			err = p.close()
			if p = nil; err == nil {
				p, err = openParts(fsys)
			}
		} else {
			err = c.do(p)
		}
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		if n := len(c.states); n > 0 {
			r.Ack(c.states[n-1])
		}
	}
	return nil
}

func ofDisk(err error) bool { return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) }

// Check implements crashtest.Script.
func (s *script) Check(fsys vfs.FS, want crashtest.Expect) (found int, err error) {
	p, err := openParts(fsys)
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

func (m *model) diff(s *parts) error {
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if first != m.base+1 || last != m.last() {
		return fmt.Errorf("log is [%d, %d], want [%d, %d]", first, last, m.base+1, m.last())
	}
	entries, err := s.Entries(first, last+1, math.MaxUint64)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if !proto.Equal(e, m.entries[i]) {
			return fmt.Errorf("entry %d of term %d and %d bytes, want term %d", e.GetIndex(), e.GetTerm(), len(e.GetData()), m.entries[i].GetTerm())
		}
	}
	snap, err := s.Snapshot()
	if err != nil {
		return err
	}
	if raft.IsEmptySnap(snap) != (m.snap == nil) || m.snap != nil && !proto.Equal(snap, m.snap) {
		return fmt.Errorf("snapshot %v, want %v", snap, m.snap)
	}
	baseTerm, err := s.Term(m.base)
	if err != nil {
		return err
	}
	hs, _, err := s.InitialState()
	if err != nil {
		return err
	}
	if want := m.hardState(baseTerm); !proto.Equal(hs, want) {
		return fmt.Errorf("hard state %v, want %v", hs, want)
	}
	return nil
}

// extension is what Extend saves to a storage in state i.
func (s *script) extension(i int) (*raftpb.HardState, []*raftpb.Entry) {
	m := s.states[i]
	term := m.hs.GetTerm() + uint64(len(s.calls)) + 10 // no script gets so far
	return hard(term, 3, m.last()+1), []*raftpb.Entry{
		{Index: new(m.last() + 1), Term: new(term), Data: fmt.Appendf(nil, "extension of %d", i)},
		{Index: new(m.last() + 2), Term: new(term)},
	}
}

func (s *script) extended(i int) model {
	m := s.states[i]
	hs, entries := s.extension(i)
	m.hs, m.entries = hs, slices.Concat(m.entries, entries)
	return m
}

// Extend implements crashtest.Script. The power goes when the write is
// acknowledged.
func (s *script) Extend(fsys vfs.FS, found int) error {
	fsys, freeze := crashtest.Freezable(fsys)
	p, err := openParts(fsys)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	hs, entries := s.extension(found)
	err = p.Save(hs, entries, nil)
	freeze()
	_ = p.close() // fails, for the disk is gone
	return err
}
