package dragonboat_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	lni "github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// increment applies a command: it adds one to the counter of that name.
func increment(tx *kv.WriteTx, e statemachine.Entry) (statemachine.Result, error) {
	n, err := tx.Increment(e.Cmd, 1)
	return statemachine.Result{Value: uint64(n)}, err
}

// read answers a query: the bytes of a key.
func read(r kv.Reader, key any) (any, error) {
	return r.Get(context.Background(), []byte(key.(string)))
}

// A NodeHost whose log and data are kept here. The second time it starts from
// what is on disk.
func Example() {
	dir, err := os.MkdirTemp("", "dragonboat-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 2 {
		if err := visit(dir); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// visits: 1
	// visits: 2
}

func visit(dir string) error {
	apply, lookup := increment, read
	const addr = "example:1"
	members := map[uint64]lni.Target{1: addr}
	shardConfig := config.Config{
		ShardID: 1, ReplicaID: 1, ElectionRTT: 10, HeartbeatRTT: 1, SnapshotEntries: 10_000, CompactionOverhead: 1_000,
	}
	hostConfig := config.NodeHostConfig{NodeHostDir: filepath.Join(dir, "host"), RaftAddress: addr, RTTMillisecond: 1}
	hostConfig.Expert.TransportFactory = newNetwork() // without it: TCP, and addr is HOST:PORT

	hostConfig.Expert.LogDBFactory = dragonboat.NewFactory(nil)
	host, err := lni.NewNodeHost(hostConfig)
	if err != nil {
		return err
	}
	defer host.Close()
	machines := dragonboat.OpenMachines(filepath.Join(dir, "data"), apply, lookup, nil)
	if err := host.StartOnDiskReplica(members, false, machines, shardConfig); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session := host.GetNoOPSession(1)
	result, err := host.SyncPropose(ctx, session, []byte("visits"))
	for errors.Is(err, lni.ErrShardNotReady) { // nobody leads yet
		result, err = host.SyncPropose(ctx, session, []byte("visits"))
	}
	if err != nil {
		return err
	}
	fmt.Println("visits:", result.Value)
	return nil
}

// move copies what another LogDB holds of one replica.
func move(from, to raftio.ILogDB, id raftio.NodeInfo) error {
	boot, err := from.GetBootstrapInfo(id.ShardID, id.ReplicaID)
	if err != nil {
		return err
	}
	if err := to.SaveBootstrapInfo(id.ShardID, id.ReplicaID, boot); err != nil {
		return err
	}
	update := raftpb.Update{ShardID: id.ShardID, ReplicaID: id.ReplicaID}
	if update.Snapshot, err = from.GetSnapshot(id.ShardID, id.ReplicaID); err != nil {
		return err
	}
	state, err := from.ReadRaftState(id.ShardID, id.ReplicaID, update.Snapshot.Index)
	if errors.Is(err, raftio.ErrNoSavedLog) {
		return nil // it was never started
	}
	if err != nil {
		return err
	}
	update.State = state.State
	first := update.Snapshot.Index + 1
	end := state.FirstIndex + state.EntryCount
	for first < end {
		const most = 1 << 20 // bytes in one write
		update.EntriesToSave, _, err = from.IterateEntries(nil, 0, id.ShardID, id.ReplicaID, first, end, most)
		if err != nil {
			return err
		}
		if len(update.EntriesToSave) == 0 {
			return fmt.Errorf("replica %v: no entry %d", id, first)
		}
		if err := to.SaveRaftState([]raftpb.Update{update}, 1); err != nil {
			return err
		}
		first += uint64(len(update.EntriesToSave))
		update.Snapshot, update.EntriesToSave = raftpb.Snapshot{}, nil
	}
	return to.SaveRaftState([]raftpb.Update{update}, 1)
}

// An existing program moves over with all that its LogDB holds.
func ExampleLogDB() {
	old, err := dragonboat.OpenLogDB("old", &dragonboat.Options{FS: vfs.NewMem()}) // here: another of ours
	if err != nil {
		fmt.Println(err)
		return
	}
	defer old.Close()
	err = errors.Join(
		old.SaveBootstrapInfo(1, 2, raftpb.Bootstrap{Join: true, Type: raftpb.OnDiskStateMachine}),
		old.SaveRaftState([]raftpb.Update{{ShardID: 1, ReplicaID: 2, State: state(3, 2, 9), EntriesToSave: span(1, 10, 2)}}, 1),
		old.SaveSnapshots([]raftpb.Update{{ShardID: 1, ReplicaID: 2, Snapshot: raftpb.Snapshot{Index: 7, Term: 2, ShardID: 1}}}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}

	log, err := dragonboat.OpenLogDB("new", &dragonboat.Options{FS: vfs.NewMem()}) // a real one has a directory
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	replicas, err := old.ListNodeInfo()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range replicas {
		if err := move(old, log, id); err != nil {
			fmt.Println(err)
			return
		}
	}
	snapshot, err := log.GetSnapshot(1, 2)
	fmt.Println("snapshot at", snapshot.Index, err)
	rs, err := log.ReadRaftState(1, 2, snapshot.Index)
	fmt.Println("term", rs.State.Term, "vote", rs.State.Vote, "commit", rs.State.Commit, err)
	entries, _, err := log.IterateEntries(nil, 0, 1, 2, 8, math.MaxUint64, math.MaxUint64)
	fmt.Println(len(entries), "entries", err)
	// Output:
	// snapshot at 7 <nil>
	// term 3 vote 2 commit 9 <nil>
	// 2 entries <nil>
}
