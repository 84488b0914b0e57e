package etcdraft_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// nobody is the transport of a group of one.
type nobody struct{}

func (nobody) Send([]*raftpb.Message) {}

// journal is a state machine: all commands, in order.
type journal struct {
	commands [][]byte
	applied  chan string
}

func (j *journal) Applied() (uint64, *raftpb.ConfState, error) { return 0, nil, nil }

func (j *journal) Apply(_ context.Context, entries []etcdraft.Committed) error {
	for _, e := range entries {
		if e.ConfState == nil && len(e.GetData()) > 0 {
			j.commands = append(j.commands, e.GetData())
			j.applied <- fmt.Sprintf("%s is number %d", e.GetData(), len(j.commands))
		}
	}
	return nil
}

func (j *journal) Restore(context.Context, *raftpb.Snapshot) error {
	return errors.New("nobody takes snapshots here")
}

func Example() {
	dir, err := os.MkdirTemp("", "etcdraft-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 2 { // the second time it starts from what is on disk
		if err := runJournal(dir); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// hello is number 1
	// hello is number 1
	// hello is number 2
}

func runJournal(dir string) (err error) {
	storage, err := etcdraft.Open(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, storage.Close()) }()
	j := &journal{applied: make(chan string, 10)}
	runner, err := etcdraft.Start(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
	}, storage, j, nobody{}, &etcdraft.RunnerOptions{
		Peers: []raft.Peer{{ID: 1}}, TickInterval: time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runner.Close()) }()
	if err := runner.ReadIndex(context.Background()); err != nil { // there is a leader, and all is applied
		return err
	}
	before := len(j.applied)
	if err := runner.Propose([]byte("hello")); err != nil {
		return err
	}
	for range before + 1 {
		fmt.Println(<-j.applied)
	}
	return nil
}

// The data is a transactional store that knows what it contains: nothing is
// applied twice, and a start replays nothing that is there.
func ExampleKV() {
	dir, err := os.MkdirTemp("", "etcdraft-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 2 {
		if err := runKV(dir); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// visits: 1
	// visits: 2
}

func runKV(dir string) (err error) {
	ctx := context.Background()
	data, err := config.OpenDir(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	visits := make(chan int64, 1)
	machine, err := etcdraft.NewKV(ctx, data, func(tx *kv.WriteTx, e *raftpb.Entry) error {
		n, err := tx.Increment(e.GetData(), 1)
		visits <- n
		return err
	}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(machine.Storage().Close(), err) }()
	runner, err := etcdraft.Start(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
	}, machine.Storage(), machine, nobody{}, &etcdraft.RunnerOptions{
		Peers: []raft.Peer{{ID: 1}}, TickInterval: time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(runner.Close(), err) }()
	if err := runner.ReadIndex(ctx); err != nil {
		return err
	}
	if err := runner.Propose([]byte("visits")); err != nil {
		return err
	}
	fmt.Println("visits:", <-visits)
	return nil
}

// move copies what another raft.Storage holds into a new one of ours.
func move(from raft.Storage, to *etcdraft.Storage) error {
	hs, cs, err := from.InitialState()
	if err != nil {
		return err
	}
	snap, err := from.Snapshot()
	if err != nil {
		return err
	}
	if raft.IsEmptySnap(snap) { // then the members are all there is to say
		members := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: cs}}
		if err := to.ApplySnapshot(members); err != nil {
			return err
		}
	}
	first := snap.GetMetadata().GetIndex() + 1
	last, err := from.LastIndex()
	if err != nil {
		return err
	}
	var entries []*raftpb.Entry
	if first <= last {
		if entries, err = from.Entries(first, last+1, math.MaxUint64); err != nil {
			return err
		}
	}
	return to.Save(hs, entries, snap)
}

// An existing program moves over with all that its storage holds.
func ExampleStorage() {
	old := raft.NewMemoryStorage() // as the program filled it from its own files
	err := errors.Join(
		old.ApplySnapshot(shot(7, 2, "the state at 7", 1, 2, 3)),
		old.Append(from(8, 2, 2, 3)),
		old.SetHardState(hard(3, 2, 9)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	storage, err := etcdraft.Open("node", &etcdraft.Options{FS: vfs.NewMem()}) // a real one has a directory
	if err != nil {
		fmt.Println(err)
		return
	}
	defer storage.Close()
	if err := move(old, storage); err != nil {
		fmt.Println(err)
		return
	}
	hs, cs, err := storage.InitialState()
	fmt.Println("term", hs.GetTerm(), "vote", hs.GetVote(), "commit", hs.GetCommit(), "voters", cs.GetVoters(), err)
	snap, err := storage.Snapshot()
	fmt.Println(string(snap.GetData()), err)
	entries, err := storage.Entries(8, 11, math.MaxUint64)
	fmt.Println(len(entries), "entries", err)
	// Output:
	// term 3 vote 2 commit 9 voters [1 2 3] <nil>
	// the state at 7 <nil>
	// 3 entries <nil>
}
