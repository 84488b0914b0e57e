package dragonboat_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/memlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openLogDB opens the LogDB on a disk in memory.
func openLogDB(t testing.TB, fsys vfs.FS) *dragonboat.LogDB {
	t.Helper()
	l, err := dragonboat.OpenLogDB("log", &dragonboat.Options{FS: fsys})
	check(t, err)
	t.Cleanup(func() { check(t, l.Close()) })
	return l
}

const shard, replica = 5, 2

// update is one of the replica that most tests are about.
func update(st raftpb.State, entries ...raftpb.Entry) raftpb.Update {
	return raftpb.Update{ShardID: shard, ReplicaID: replica, State: st, EntriesToSave: entries}
}

func save(t testing.TB, l raftio.ILogDB, updates ...raftpb.Update) {
	t.Helper()
	check(t, l.SaveRaftState(updates, 1))
}

// span makes the entries of [lo, hi).
func span(lo, hi, term uint64) (entries []raftpb.Entry) {
	for i := lo; i < hi; i++ {
		entries = append(entries, raftpb.Entry{Index: i, Term: term, Key: i, ClientID: 7, Cmd: fmt.Appendf(nil, "%d of term %d", i, term)})
	}
	return entries
}

func state(term, vote, commit uint64) raftpb.State {
	return raftpb.State{Term: term, Vote: vote, Commit: commit}
}

// holds checks state and entries.
func holds(t testing.TB, l raftio.ILogDB, st raftpb.State, want []raftpb.Entry) {
	t.Helper()
	rs, err := l.ReadRaftState(shard, replica, 0)
	check(t, err)
	if rs.State != st {
		t.Errorf("state %+v, want %+v", rs.State, st)
	}
	if rs.EntryCount != uint64(len(want)) || len(want) > 0 && rs.FirstIndex != want[0].Index {
		t.Errorf("%d entries from %d, want %d", rs.EntryCount, rs.FirstIndex, len(want))
	}
	if len(want) == 0 {
		return
	}
	got, _, err := l.IterateEntries(nil, 0, shard, replica, want[0].Index, math.MaxUint64, math.MaxUint64)
	check(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
}

func TestNothingIsThere(t *testing.T) {
	l := openLogDB(t, vfs.NewMem())
	if _, err := l.GetBootstrapInfo(shard, replica); err != raftio.ErrNoBootstrapInfo { //nolint:errorlint // the bare value is what others return
		t.Errorf("bootstrap: %v", err)
	}
	if _, err := l.ReadRaftState(shard, replica, 0); err != raftio.ErrNoSavedLog { //nolint:errorlint // the bare value is what others return
		t.Errorf("state: %v", err)
	}
	if ss, err := l.GetSnapshot(shard, replica); err != nil || !raftpb.IsEmptySnapshot(ss) {
		t.Errorf("snapshot %v, %v", ss, err)
	}
	if list, err := l.ListNodeInfo(); err != nil || list == nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
	if ents, size, err := l.IterateEntries(nil, 3, shard, replica, 1, 9, 100); err != nil || len(ents) != 0 || size != 3 {
		t.Errorf("entries %v of size %d, %v", ents, size, err)
	}
	check(t, l.RemoveNodeData(shard, replica))
	check(t, l.RemoveEntriesTo(shard, replica, math.MaxUint64))
	check(t, l.SaveRaftState(nil, 1))
	check(t, l.SaveSnapshots(nil))
	done, err := l.CompactEntriesTo(shard, replica, math.MaxUint64)
	check(t, err)
	<-done
	if l.Name() != "trimaran" || l.BinaryFormat() != 0x5401 {
		t.Errorf("name %s, format %#x", l.Name(), l.BinaryFormat())
	}
}

func TestBootstrap(t *testing.T) {
	fsys := vfs.NewMem()
	l := openLogDB(t, fsys)
	want := raftpb.NewBootstrapInfo(false, raftpb.OnDiskStateMachine, map[uint64]string{1: "a:1", 2: "b:1"})
	check(t, l.SaveBootstrapInfo(shard, replica, raftpb.Bootstrap{Join: true}))
	check(t, l.SaveBootstrapInfo(shard, replica, want))
	check(t, l.SaveBootstrapInfo(1, 9, raftpb.Bootstrap{Join: true, Type: raftpb.RegularStateMachine}))
	save(t, l, raftpb.Update{ShardID: 3, ReplicaID: 3, State: state(1, 0, 0)}) // without one it is in no list
	check(t, l.Close())
	l = openLogDB(t, fsys)
	got, err := l.GetBootstrapInfo(shard, replica)
	check(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	list, err := l.ListNodeInfo()
	check(t, err)
	if want := []raftio.NodeInfo{{ShardID: 1, ReplicaID: 9}, {ShardID: shard, ReplicaID: replica}}; !reflect.DeepEqual(list, want) {
		t.Errorf("%v, want %v", list, want)
	}
}

// Each field of each entry comes back as it was, also after a restart.
func TestEntriesSurvive(t *testing.T) {
	fsys := vfs.NewMem()
	l := openLogDB(t, fsys)
	want := []raftpb.Entry{
		{Index: 1, Term: 1},
		{Index: 2, Term: 1, Cmd: []byte{}},
		{Index: 3, Term: 1, Cmd: []byte("plain")},
		{Index: 4, Term: 1, Type: raftpb.ConfigChangeEntry, Cmd: []byte("change")},
		{Index: 5, Term: 2, Type: raftpb.ConfigChangeEntry, Key: 1, Cmd: []byte("change")},
		{Index: 6, Term: 2, Type: raftpb.EncodedEntry, Key: 9, ClientID: math.MaxUint64, SeriesID: 1, RespondedTo: 2, Cmd: []byte("encoded")},
		{Index: 7, Term: 3, Type: raftpb.MetadataEntry},
		{Index: 8, Term: 3, RespondedTo: 1},
		{Index: 9, Term: 3, ClientID: 4, SeriesID: math.MaxUint64 - 1, Cmd: bytes.Repeat([]byte("long"), 1<<16)},
		{Index: 10, Term: 1 << 60, Type: 255, Key: 1 << 63},
	}
	save(t, l, update(state(1<<60, 3, 4), want...))
	holds(t, l, state(1<<60, 3, 4), want)
	check(t, l.Close())
	holds(t, openLogDB(t, fsys), state(1<<60, 3, 4), want)
}

func TestConflictsAreReplaced(t *testing.T) {
	l := openLogDB(t, vfs.NewMem())
	save(t, l, update(state(1, 1, 3), span(1, 11, 1)...))
	save(t, l, update(state(2, 1, 3), span(5, 7, 2)...))
	holds(t, l, state(2, 1, 3), append(span(1, 5, 1), span(5, 7, 2)...))
	save(t, l, update(raftpb.State{}, span(7, 9, 2)...)) // an empty state leaves the old one
	holds(t, l, state(2, 1, 3), append(span(1, 5, 1), span(5, 9, 2)...))
	check(t, l.RemoveEntriesTo(shard, replica, 3))
	save(t, l, update(raftpb.State{}, append(span(2, 5, 1), span(5, 6, 3)...)...)) // 2 and 3 are settled
	holds(t, l, state(2, 1, 3), append(span(4, 5, 1), span(5, 6, 3)...))
	save(t, l, update(raftpb.State{}, span(2, 3, 1)...))
	holds(t, l, state(2, 1, 3), append(span(4, 5, 1), span(5, 6, 3)...))
}

// What is wrong with one update leaves all replicas of the call as they were.
func TestUpdatesAreAllOrNothing(t *testing.T) {
	l := openLogDB(t, vfs.NewMem())
	save(t, l, update(state(1, 1, 0), span(1, 3, 1)...))
	for name, bad := range map[string]raftpb.Update{
		"gap":            {ShardID: 9, ReplicaID: 9, EntriesToSave: span(7, 8, 1)},
		"term":           {ShardID: 9, ReplicaID: 9, EntriesToSave: append(span(1, 2, 2), span(2, 3, 1)...)},
		"type":           {ShardID: 9, ReplicaID: 9, EntriesToSave: []raftpb.Entry{{Index: 1, Term: 1, Type: 256}}},
		"negative type":  {ShardID: 9, ReplicaID: 9, EntriesToSave: []raftpb.Entry{{Index: 1, Term: 1, Type: -1}}},
		"replica twice":  update(state(9, 9, 9)),
		"entry of index": {ShardID: 9, ReplicaID: 9, EntriesToSave: []raftpb.Entry{{Index: math.MaxUint64, Term: 1}}},
	} {
		good := update(state(2, 2, 2), span(3, 4, 2)...)
		if err := l.SaveRaftState([]raftpb.Update{good, bad}, 1); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
		holds(t, l, state(1, 1, 0), span(1, 3, 1))
		if _, err := l.ReadRaftState(9, 9, 0); !errors.Is(err, raftio.ErrNoSavedLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// syncs counts those of a driver.
func syncs(t *testing.T, d raftlog.Driver) uint64 {
	s, ok := raftlog.As[raftlog.Sizer](d)
	if !ok {
		t.Fatal("the driver does not count")
	}
	size, err := s.Size(raftlog.Group{})
	check(t, err)
	return size.Syncs
}

func TestOneSyncForAllReplicas(t *testing.T) {
	d, err := seglog.Open("log", &seglog.Options{FS: vfs.NewMem()})
	check(t, err)
	defer d.Close()
	l, err := dragonboat.NewLogDB(d)
	check(t, err)
	var updates []raftpb.Update
	for i := range uint64(50) {
		updates = append(updates, raftpb.Update{ShardID: i, ReplicaID: 1, State: state(1, 1, 0), EntriesToSave: span(1, 4, 1)})
	}
	before := syncs(t, d)
	save(t, l, updates...)
	if n := syncs(t, d) - before; n != 1 {
		t.Errorf("%d syncs for %d replicas, want 1", n, len(updates))
	}
	before = syncs(t, d)
	save(t, l, raftpb.Update{ShardID: 1, ReplicaID: 1, State: state(1, 1, 2)})
	if n := syncs(t, d) - before; n != 0 {
		t.Errorf("%d syncs for a commit index, want 0", n)
	}
	if rs, err := l.ReadRaftState(1, 1, 0); err != nil || rs.State != state(1, 1, 2) {
		t.Errorf("state %+v, %v", rs, err)
	}
	save(t, l, raftpb.Update{ShardID: 1, ReplicaID: 1, State: state(1, 2, 2)})
	if n := syncs(t, d) - before; n != 1 {
		t.Errorf("%d syncs for a vote, want 1", n)
	}
	save(t, l, raftpb.Update{ShardID: 1, ReplicaID: 1, State: state(1, 2, 2)})
	if n := syncs(t, d) - before; n != 1 {
		t.Errorf("%d syncs for what is there, want none", n-1)
	}
	save(t, l, raftpb.Update{ShardID: 1, ReplicaID: 1, State: state(1, 2, 3)})
	check(t, l.Close())
	if err := l.SaveRaftState(updates, 1); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("save after close: %v", err)
	}
	if l, err = dragonboat.NewLogDB(d); err != nil { // the driver is still open
		t.Fatal(err)
	}
	if rs, err := l.ReadRaftState(1, 1, 0); err != nil || rs.State != state(1, 2, 3) {
		t.Errorf("state after Close %+v, %v", rs, err)
	}
}

// The numbers are those of dragonboat's own LogDB.
func TestReadRaftStateCounts(t *testing.T) {
	l := openLogDB(t, vfs.NewMem())
	save(t, l, update(state(1, 1, 100), span(1, 101, 1)...))
	for _, c := range []struct{ last, first, count uint64 }{
		{0, 1, 100}, {1, 1, 100}, {16, 16, 85}, {99, 99, 2}, {100, 100, 0}, {120, 120, 0},
	} {
		rs, err := l.ReadRaftState(shard, replica, c.last)
		check(t, err)
		if rs.FirstIndex != c.first || rs.EntryCount != c.count {
			t.Errorf("after %d: %d entries from %d, want %d from %d", c.last, rs.EntryCount, rs.FirstIndex, c.count, c.first)
		}
	}
	check(t, l.RemoveEntriesTo(shard, replica, 90))
	for _, c := range []struct{ last, first, count uint64 }{{0, 91, 10}, {90, 91, 10}, {95, 95, 6}} {
		rs, err := l.ReadRaftState(shard, replica, c.last)
		check(t, err)
		if rs.FirstIndex != c.first || rs.EntryCount != c.count {
			t.Errorf("compacted, after %d: %d entries from %d, want %d from %d", c.last, rs.EntryCount, rs.FirstIndex, c.count, c.first)
		}
	}
	check(t, l.RemoveEntriesTo(shard, replica, math.MaxUint64))
	if rs, err := l.ReadRaftState(shard, replica, 100); err != nil || rs.EntryCount != 0 {
		t.Errorf("all removed: %+v, %v", rs, err)
	}
}

func TestIterateEntriesBySize(t *testing.T) {
	l := openLogDB(t, vfs.NewMem())
	entries := span(1, 11, 1)
	save(t, l, update(state(1, 1, 0), entries...))
	one := uint64(entries[0].SizeUpperLimit()) // all but the tenth are as long
	for _, c := range []struct {
		low, high, max uint64
		n              int
	}{
		{1, 11, math.MaxUint64, 10}, {1, 11, 0, 1}, {1, 11, one - 1, 1}, {1, 11, one, 2}, {1, 11, 2*one - 1, 2}, {1, 11, 2 * one, 3},
		{5, 6, 0, 1}, {5, 5, one, 0}, {6, 5, one, 0}, {10, 99, one, 1}, {11, 99, one, 0}, {0, 5, one, 0},
	} {
		got, size, err := l.IterateEntries(nil, 0, shard, replica, c.low, c.high, c.max)
		check(t, err)
		if len(got) != c.n || size != raftpb.GetEntrySliceSize(got) {
			t.Errorf("[%d, %d) up to %d: %d entries of size %d, want %d", c.low, c.high, c.max, len(got), size, c.n)
		}
	}
	before := span(1, 3, 1)
	got, size, err := l.IterateEntries(before, one*2, shard, replica, 3, 11, one*4)
	check(t, err)
	if len(got) != 5 || size != 5*one || !reflect.DeepEqual(got, entries[:5]) {
		t.Errorf("%d entries of size %d added to what is there, want 5", len(got), size)
	}
	got[0].Cmd[0], got[4].Cmd[0] = 'x', 'x' // it is the caller's
	holds(t, l, state(1, 1, 0), span(1, 11, 1))
}

func TestSnapshots(t *testing.T) {
	fsys := vfs.NewMem()
	l := openLogDB(t, fsys)
	save(t, l, update(state(1, 1, 50), span(1, 101, 1)...))
	own := raftpb.Snapshot{Index: 40, Term: 1, ShardID: shard, Type: raftpb.OnDiskStateMachine, OnDiskIndex: 39, Filepath: "f", Checksum: []byte{1},
		Membership: raftpb.Membership{ConfigChangeId: 3, Addresses: map[uint64]string{1: "a"}, Removed: map[uint64]bool{9: true}},
		Files:      []*raftpb.SnapshotFile{{Filepath: "g", FileSize: 3, FileId: 4, Metadata: []byte("m")}}}
	check(t, l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: own}, {ShardID: 8, ReplicaID: 8}}))
	is := func(want raftpb.Snapshot) {
		t.Helper()
		got, err := l.GetSnapshot(shard, replica)
		check(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("snapshot %+v, want %+v", got, want)
		}
	}
	is(own)
	holds(t, l, state(1, 1, 50), span(1, 101, 1))
	old := own
	old.Index = 40
	old.Filepath = "another"
	check(t, l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: old}}))
	is(own)

	// One that was received replaces the log, in the same write as the state and
	// what follows it.
	received := raftpb.Snapshot{Index: 80, Term: 2, ShardID: shard, Membership: own.Membership, Files: nil}
	u := update(state(3, 2, 80), append(span(79, 81, 2), span(81, 83, 3)...)...)
	u.Snapshot = received
	save(t, l, u)
	is(received)
	holds(t, l, state(3, 2, 80), span(81, 83, 3))
	u.EntriesToSave, u.State = nil, state(3, 2, 81)
	save(t, l, u) // it is not newer
	holds(t, l, state(3, 2, 81), span(81, 83, 3))
	check(t, l.Close())
	l = openLogDB(t, fsys)
	is(received)
	holds(t, l, state(3, 2, 81), span(81, 83, 3))
}

// The bytes of format v1.
func TestRecordBytes(t *testing.T) {
	d, err := seglog.Open("log", &seglog.Options{FS: vfs.NewMem()})
	check(t, err)
	defer d.Close()
	l, err := dragonboat.NewLogDB(d)
	check(t, err)
	check(t, l.SaveBootstrapInfo(shard, replica, raftpb.NewBootstrapInfo(true, raftpb.OnDiskStateMachine, nil)))
	save(t, l, update(state(1, 2, 3)))
	check(t, l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: raftpb.Snapshot{Index: 7, Term: 3, ShardID: shard, Filepath: "f"}}}))
	for key, want := range map[string]string{
		"dragonboat/state":     "01000000000000000100000000000000020000000000000003",
		"dragonboat/bootstrap": "010000000410011803",
		"dragonboat/snapshot":  "010000001912016618002007280332020800480050055800600068007000",
	} {
		got, err := d.Stable(raftlog.Group{Shard: shard, Replica: replica}, key)
		check(t, err)
		if hex.EncodeToString(got) != want {
			t.Errorf("%s is %x, want %s", key, got, want)
		}
	}
}

// A record may be longer than a stable value.
func TestLongRecords(t *testing.T) {
	fsys := vfs.NewMem()
	l := openLogDB(t, fsys)
	for i, size := range []int{raftlog.MaxStableValue - 100, raftlog.MaxStableValue, 5 * raftlog.MaxStableValue, 100, 2*raftlog.MaxStableValue + 1, 10} {
		want := raftpb.Snapshot{Index: uint64(i + 1), Term: 1, Filepath: strings.Repeat("f", size)}
		check(t, l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: want}}))
		check(t, l.Close())
		l = openLogDB(t, fsys)
		got, err := l.GetSnapshot(shard, replica)
		check(t, err)
		if got.Index != want.Index || got.Filepath != want.Filepath {
			t.Errorf("snapshot %d has a path of %d bytes, want %d", got.Index, len(got.Filepath), size)
		}
	}
	check(t, l.Close())
	d, err := seglog.Open("log", &seglog.Options{FS: fsys})
	check(t, err)
	if _, err := d.Stable(raftlog.Group{Shard: shard, Replica: replica}, "dragonboat/snapshot/1"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a piece of an old snapshot: %v", err)
	}
	check(t, d.Close())
	l = openLogDB(t, fsys)
	too := raftpb.Snapshot{Index: 99, Term: 1, Filepath: strings.Repeat("f", 64<<20)}
	if err := l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: too}}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("64 MiB of metadata: %v", err)
	}
}

func TestRemoveNodeData(t *testing.T) {
	l := openLogDB(t, vfs.NewMem())
	other := raftpb.Update{ShardID: shard, ReplicaID: replica + 1, State: state(1, 1, 1), EntriesToSave: span(1, 3, 1)}
	u := update(state(4, 1, 100), span(1, 101, 1)...)
	save(t, l, u, other)
	check(t, l.SaveBootstrapInfo(shard, replica, raftpb.Bootstrap{Join: true}))
	check(t, l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: raftpb.Snapshot{Index: 50, Term: 1}}}))
	save(t, l, update(state(4, 1, 101))) // waits
	check(t, l.RemoveNodeData(shard, replica))
	if _, err := l.ReadRaftState(shard, replica, 0); !errors.Is(err, raftio.ErrNoSavedLog) {
		t.Errorf("state: %v", err)
	}
	if _, err := l.GetBootstrapInfo(shard, replica); !errors.Is(err, raftio.ErrNoBootstrapInfo) {
		t.Errorf("bootstrap: %v", err)
	}
	if ss, err := l.GetSnapshot(shard, replica); err != nil || !raftpb.IsEmptySnapshot(ss) {
		t.Errorf("snapshot %v, %v", ss, err)
	}
	if got, _, err := l.IterateEntries(nil, 0, shard, replica, 1, math.MaxUint64, math.MaxUint64); err != nil || len(got) != 0 {
		t.Errorf("%d entries, %v", len(got), err)
	}
	if rs, err := l.ReadRaftState(shard, replica+1, 0); err != nil || rs.EntryCount != 2 {
		t.Errorf("the other replica: %+v, %v", rs, err)
	}
	u.State = state(4, 1, 0)
	save(t, l, u) // it begins anew
	holds(t, l, state(4, 1, 0), span(1, 101, 1))
}

func TestImportSnapshot(t *testing.T) {
	fsys := vfs.NewMem()
	l := openLogDB(t, fsys)
	save(t, l, update(state(9, 1, 100), span(1, 151, 1)...))
	check(t, l.SaveSnapshots([]raftpb.Update{{ShardID: shard, ReplicaID: replica, Snapshot: raftpb.Snapshot{Index: 140, Term: 1}}}))
	ss := raftpb.Snapshot{Index: 120, Term: 2, ShardID: shard, Type: raftpb.OnDiskStateMachine, Imported: true}
	for _, bad := range []raftpb.Snapshot{{Index: 120, ShardID: shard}, {ShardID: shard, Type: raftpb.OnDiskStateMachine}} {
		if err := l.ImportSnapshot(bad, replica); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	check(t, l.ImportSnapshot(ss, replica))
	holds(t, l, state(2, 0, 120), nil)
	check(t, l.Close())
	l = openLogDB(t, fsys)
	got, err := l.GetSnapshot(shard, replica)
	check(t, err)
	if got.Index != 120 || !got.Imported {
		t.Errorf("snapshot %+v", got)
	}
	b, err := l.GetBootstrapInfo(shard, replica)
	check(t, err)
	if !b.Join || b.Type != ss.Type || len(b.Addresses) != 0 {
		t.Errorf("bootstrap %+v", b)
	}
	rs, err := l.ReadRaftState(shard, replica, 120)
	check(t, err)
	if want := (raftio.RaftState{State: state(2, 0, 120), FirstIndex: 120}); rs != want {
		t.Errorf("state %+v, want %+v", rs, want)
	}
	save(t, l, update(state(2, 0, 120), span(121, 123, 2)...))
	holds(t, l, state(2, 0, 120), span(121, 123, 2))
}

func TestFactory(t *testing.T) {
	fsys := vfs.NewMem()
	f := dragonboat.NewFactory(&dragonboat.Options{FS: fsys})
	if f.Name() != dragonboat.Name {
		t.Errorf("name %s", f.Name())
	}
	for _, c := range []struct {
		dirs, wals []string
		want       string
	}{{[]string{"a"}, nil, "a"}, {[]string{"a"}, []string{""}, "a"}, {[]string{"a"}, []string{"b"}, "b"}} {
		l, err := f.Create(config.NodeHostConfig{}, nil, c.dirs, c.wals)
		check(t, err)
		if again, err := f.Create(config.NodeHostConfig{}, nil, c.dirs, c.wals); !errors.Is(err, fault.ErrLocked) || again != nil {
			t.Errorf("%v: opened twice: %v", c, err)
		}
		check(t, l.Close())
		check(t, l.Close())
		if _, err := vfs.ReadFile(fsys, c.want+"/trimaran/IDENTITY", 1<<10); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := f.Create(config.NodeHostConfig{}, nil, nil, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("no directory: %v", err)
	}

	d, err := seglog.Open("mine", &seglog.Options{FS: fsys})
	check(t, err)
	defer d.Close()
	f = dragonboat.NewDriverFactory(d)
	for range 2 {
		l, err := f.Create(config.NodeHostConfig{}, nil, []string{"a"}, nil)
		check(t, err)
		save(t, l, update(state(1, 1, 0)))
		check(t, l.Close())
	}
	m, err := memlog.New(nil)
	check(t, err)
	defer m.Close()
	for _, d := range []raftlog.Driver{nil, m} {
		if _, err := dragonboat.NewLogDB(d); err == nil {
			t.Errorf("a LogDB on %T", d)
		}
	}
}
