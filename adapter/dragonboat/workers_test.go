package dragonboat_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/vfs"
)

// Workers save the replicas that are theirs, snapshots are noted and logs
// shortened beside them, and everybody reads, as in a NodeHost. In the end each
// replica holds what its worker wrote, and the newest of its snapshots.
func TestWorkersAtTheSameTime(t *testing.T) {
	const workers, each, rounds = 4, 3, 40
	fsys := vfs.NewMem()
	l := openLogDB(t, fsys)
	var saved [workers * each]atomic.Uint64 // the last entry of each replica
	var writers, others sync.WaitGroup
	for w := range workers {
		writers.Go(func() {
			for r := uint64(1); r <= rounds; r++ {
				var updates []raftpb.Update
				for i := w * each; i < (w+1)*each; i++ {
					updates = append(updates, raftpb.Update{ShardID: uint64(i), ReplicaID: 1, State: state(1, 1, r), EntriesToSave: span(r, r+1, 1)})
				}
				if err := l.SaveRaftState(updates, uint64(w+1)); err != nil {
					t.Error(err)
				}
				for i := w * each; i < (w+1)*each; i++ {
					saved[i].Store(r)
				}
			}
		})
	}
	var done atomic.Bool
	snapshot := func(index uint64, i int) raftpb.Update {
		return raftpb.Update{ShardID: uint64(i), ReplicaID: 1, Snapshot: raftpb.Snapshot{Index: index, Term: 1}}
	}
	for n := range 2 {
		others.Go(func() {
			for i := n; !done.Load(); i = (i + 1) % len(saved) {
				last := saved[i].Load()
				if last == 0 {
					continue
				}
				if err := l.SaveSnapshots([]raftpb.Update{snapshot(last, i)}); err != nil {
					t.Error(err)
				}
				if ss, err := l.GetSnapshot(uint64(i), 1); err != nil || ss.Index < last {
					t.Errorf("replica %d: snapshot at %d after one at %d, %v", i, ss.Index, last, err)
				}
				if n > 0 {
					continue // one of them shortens the logs, and knows how far
				}
				if err := l.RemoveEntriesTo(uint64(i), 1, last/2); err != nil {
					t.Error(err)
				}
				rs, err := l.ReadRaftState(uint64(i), 1, 0)
				if err != nil || rs.FirstIndex+rs.EntryCount-1 < last {
					t.Errorf("replica %d: %+v after entry %d, %v", i, rs, last, err)
				}
				got, _, err := l.IterateEntries(nil, 0, uint64(i), 1, last, last+1, math.MaxUint64)
				if err != nil || len(got) != 1 || got[0].Index != last {
					t.Errorf("replica %d: entry %d is %v, %v", i, last, got, err)
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	others.Wait()
	check(t, l.Close())
	l = openLogDB(t, fsys)
	for i := range saved {
		rs, err := l.ReadRaftState(uint64(i), 1, 0)
		if err != nil || rs.State != state(1, 1, rounds) || rs.FirstIndex+rs.EntryCount-1 != rounds {
			t.Errorf("replica %d: %+v, %v", i, rs, err)
		}
	}
}
