package hashiraft_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftbench "github.com/hashicorp/raft/bench"

	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// stores opens both parts of a node that has a state machine of its own.
func stores(t *testing.T, fsys vfs.FS, retain int) (*hashiraft.LogStore, *hashiraft.SnapshotStore) {
	t.Helper()
	snaps, err := hashiraft.OpenSnapshots("node", retain, &hashiraft.Options{FS: fsys})
	check(t, err)
	logs, err := hashiraft.OpenLog("node", &hashiraft.Options{FS: fsys, Snapshots: snaps})
	check(t, err)
	return logs, snaps
}

func publish(t *testing.T, snaps raft.SnapshotStore, index, term uint64, payload string) {
	t.Helper()
	_, trans := raft.NewInmemTransport("a") // hashicorp's store asks it to encode addresses
	sink, err := snaps.Create(1, index, term, voters, 1, trans)
	check(t, err)
	_, err = io.WriteString(sink, payload)
	check(t, err)
	check(t, sink.Close())
}

func TestOpenAgain(t *testing.T) {
	fsys := vfs.NewMem()
	for round := range uint64(3) {
		logs, snaps := stores(t, fsys, 2)
		if round > 0 {
			bounds(t, logs, 1, 10*round)
		}
		if n, err := logs.GetUint64([]byte("CurrentTerm")); err != nil || n != round {
			t.Errorf("term %d, %v after %d rounds", n, err, round)
		}
		check(t, logs.SetUint64([]byte("CurrentTerm"), round+1))
		check(t, logs.StoreLogs(commands(10*round+1, 10*round+10, round+1)))
		publish(t, snaps, 10*round+5, round+1, "payload")
		list, err := snaps.List()
		check(t, err)
		if want := min(int(round)+1, 2); len(list) != want || list[0].Index != 10*round+5 {
			t.Errorf("round %d lists %d snapshots, the first of index %d, want %d", round, len(list), list[0].Index, want)
		}
		if _, err := hashiraft.OpenLog("node", &hashiraft.Options{FS: fsys}); !errors.Is(err, fault.ErrLocked) {
			t.Errorf("a second open: %v, want ErrLocked", err)
		}
		for range 2 {
			check(t, logs.Close())
			check(t, snaps.Close())
		}
	}
}

// A crash between the install of a snapshot and the removal of the log that it
// replaces: raft goes on after the snapshot, and the log with it.
func TestLogFollowsSnapshot(t *testing.T) {
	const last = 100
	for _, test := range []struct {
		name        string
		snap        raftlog.Position
		first, last uint64 // of the log afterwards
	}{
		{"far beyond", raftlog.Position{Index: 500, Term: 3}, 0, 0},
		{"next to it", raftlog.Position{Index: 101, Term: 2}, 0, 0},
		{"same entry", raftlog.Position{Index: 100, Term: 2}, 1, last},
		{"suffix that matches", raftlog.Position{Index: 60, Term: 2}, 1, last},
		{"suffix that conflicts", raftlog.Position{Index: 60, Term: 3}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			fsys := vfs.NewMem()
			logs, snaps := stores(t, fsys, 3)
			check(t, logs.SetUint64([]byte("CurrentTerm"), 3))
			check(t, logs.StoreLogs(commands(1, last, 2)))
			publish(t, snaps, 10, 2, "old")
			publish(t, snaps, test.snap.Index, test.snap.Term, "new")
			check(t, logs.Close())
			check(t, snaps.Close())
			logs, snaps = stores(t, fsys, 3)
			bounds(t, logs, test.first, test.last)
			next := max(test.snap.Index, test.last) + 1
			check(t, logs.StoreLog(command(next, 3)))
			check(t, logs.Close())
			check(t, snaps.Close())
			logs, snaps = stores(t, fsys, 3)
			if test.first == 0 {
				bounds(t, logs, next, next)
			} else {
				bounds(t, logs, test.first, next)
			}
			check(t, logs.Close())
			check(t, snaps.Close())
		})
	}
}

// What raft could not remove when it installed the snapshot goes with the next
// write, in the same batch.
func TestLogFollowsSnapshotLater(t *testing.T) {
	logs, snaps := stores(t, vfs.NewMem(), 1)
	check(t, logs.StoreLogs(commands(1, 100, 2)))
	if err := logs.StoreLog(command(501, 3)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("store after a gap: %v, want ErrInvalid", err)
	}
	publish(t, snaps, 500, 3, "new")
	if err := logs.StoreLog(command(502, 3)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("store after a gap behind the snapshot: %v, want ErrInvalid", err)
	}
	bounds(t, logs, 1, 100)
	check(t, logs.StoreLog(command(501, 3)))
	bounds(t, logs, 501, 501)
	check(t, logs.DeleteRange(501, 501))
	check(t, logs.StoreLog(command(501, 4)))
	check(t, logs.Close())
	check(t, snaps.Close())
}

// Raft empties the log of a node that was sent a snapshot behind its last entry,
// and answers for those entries all the same. The churn found it: raft v1.8
// panicked over an entry that it had acknowledged.
func TestEntriesBeyondSnapshotStay(t *testing.T) {
	logs, snaps := stores(t, vfs.NewMem(), 3)
	check(t, logs.StoreLogs(commands(1, 100, 2)))
	publish(t, snaps, 90, 2, "behind")
	check(t, logs.DeleteRange(1, 100))
	bounds(t, logs, 91, 100)
	check(t, logs.DeleteRange(91, 100)) // a conflict: none of them is in the snapshot
	bounds(t, logs, 0, 0)
	check(t, logs.StoreLogs(commands(91, 110, 3)))
	publish(t, snaps, 105, 4, "of another leader")
	check(t, logs.DeleteRange(91, 110))
	bounds(t, logs, 0, 0)
	check(t, logs.StoreLog(command(106, 4)))
	check(t, logs.Close())
	check(t, snaps.Close())
}

// Without a snapshot store a gap stays an error, and says how to go on.
func TestGapWithoutSnapshots(t *testing.T) {
	logs, err := hashiraft.OpenLog("node", &hashiraft.Options{FS: vfs.NewMem()})
	check(t, err)
	check(t, logs.StoreLogs(commands(1, 100, 2)))
	if err := logs.StoreLog(command(501, 3)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("store after a gap: %v, want ErrInvalid", err)
	}
	bounds(t, logs, 1, 100)
	check(t, logs.DeleteRange(1, 100))
	check(t, logs.StoreLogs(commands(7, 8, 1)))
	bounds(t, logs, 7, 8)
	check(t, logs.Close())
}

// The log of one history and the snapshots of another: neither gives way.
func TestLogOfAnotherHistory(t *testing.T) {
	for name, snap := range map[string]raftlog.Position{
		"older term": {Index: 60, Term: 1}, "beyond, older term": {Index: 500, Term: 1}, "committed with another term": {Index: 60, Term: 3},
	} {
		fsys := vfs.NewMem()
		logs, snaps := stores(t, fsys, 1)
		check(t, logs.StageCommitIndex(80))
		check(t, logs.StoreLogs(commands(1, 100, 2)))
		publish(t, snaps, snap.Index, snap.Term, "foreign")
		check(t, logs.Close())
		_, err := hashiraft.OpenLog("node", &hashiraft.Options{FS: fsys, Snapshots: snaps})
		var c *fault.Corruption
		if !errors.As(err, &c) || c.Class != fault.Foreign {
			t.Errorf("%s: %v, want a foreign *Corruption", name, err)
		}
		logs, err = hashiraft.OpenLog("node", &hashiraft.Options{FS: fsys})
		check(t, err)
		bounds(t, logs, 1, 100)
		check(t, logs.Close())
		check(t, snaps.Close())
	}
}

// A term behind the last entry's means that votes were lost. A log whose stable
// store is another one has no term at all.
func TestOpenLostVotes(t *testing.T) {
	fsys := vfs.NewMem()
	logs, snaps := stores(t, fsys, 1)
	check(t, logs.StoreLogs(commands(1, 3, 5)))
	check(t, logs.Close())
	check(t, snaps.Close())
	logs, snaps = stores(t, fsys, 1)
	check(t, logs.SetUint64([]byte("CurrentTerm"), 4))
	check(t, logs.Close())
	check(t, snaps.Close())
	if _, err := hashiraft.OpenLog("node", &hashiraft.Options{FS: fsys}); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("open of a log that lost its votes: %v, want ErrCorrupt", err)
	}
}

// hashicorp's own snapshots beside our log.
func TestFileSnapshotStore(t *testing.T) {
	dir := t.TempDir()
	snaps, err := raft.NewFileSnapshotStore(dir, 2, io.Discard)
	check(t, err)
	logs, err := hashiraft.OpenLog(dir, &hashiraft.Options{Snapshots: snaps})
	check(t, err)
	check(t, logs.StoreLogs(commands(1, 100, 2)))
	publish(t, snaps, 500, 3, "new")
	check(t, logs.Close())
	logs, err = hashiraft.OpenLog(dir, &hashiraft.Options{Snapshots: snaps})
	check(t, err)
	check(t, logs.StoreLog(command(501, 3)))
	bounds(t, logs, 501, 501)
	check(t, logs.Close())
}

// words is a state machine as simple as they come.
type words struct{ raft.MockFSM }

// raft.RecoverCluster reads log and snapshots by itself, writes a snapshot and
// empties the log.
func TestRecoverCluster(t *testing.T) {
	fsys := vfs.NewMem()
	logs, snaps := stores(t, fsys, 2)
	conf := raft.DefaultConfig()
	conf.LocalID, conf.LogOutput = "a", io.Discard
	_, trans := raft.NewInmemTransport("a")
	check(t, raft.BootstrapCluster(conf, logs, logs, snaps, trans, voters))
	check(t, logs.StoreLogs(commands(2, 9, 1)))
	changed := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: "a", Address: "elsewhere"}}}
	check(t, raft.RecoverCluster(conf, &words{}, logs, logs, snaps, trans, changed))
	bounds(t, logs, 0, 0)
	list, err := snaps.List()
	check(t, err)
	if len(list) != 1 || list[0].Index != 9 || list[0].Configuration.Servers[0].Address != "elsewhere" {
		t.Errorf("the snapshots are %+v", list)
	}
	check(t, logs.StoreLog(command(10, 1)))
	check(t, logs.Close())
	check(t, snaps.Close())
}

func TestNewFromParts(t *testing.T) {
	driver, err := seglog.Open("log", &seglog.Options{FS: vfs.NewMem()})
	check(t, err)
	l, err := driver.Log(raftlog.Group{Shard: 7})
	check(t, err)
	logs, err := hashiraft.NewLog(l, nil)
	check(t, err)
	check(t, logs.Set([]byte("k"), []byte("v")))
	check(t, logs.Close()) // the log stays the caller's
	if v, err := logs.Get([]byte("k")); err != nil || !bytes.Equal(v, []byte("v")) {
		t.Errorf("k is %q, %v", v, err)
	}
	check(t, errors.Join(l.Close(), driver.Close()))
}

// raft's own benchmarks, as far as they write what raft writes: no gaps.
func BenchmarkLibrary(b *testing.B) {
	for name, run := range map[string]func(*testing.B, raft.LogStore){
		"FirstIndex": raftbench.FirstIndex, "LastIndex": raftbench.LastIndex, "GetLog": raftbench.GetLog,
		"StoreLog": raftbench.StoreLog, "StoreLogs": raftbench.StoreLogs,
	} {
		b.Run(name, func(b *testing.B) { onDisk(b, func(s *hashiraft.LogStore) { run(b, raised{s}) }) })
	}
	for name, run := range map[string]func(*testing.B, raft.StableStore){
		"Set": raftbench.Set, "Get": raftbench.Get, "SetUint64": raftbench.SetUint64, "GetUint64": raftbench.GetUint64,
	} {
		b.Run(name, func(b *testing.B) { onDisk(b, func(s *hashiraft.LogStore) { run(b, s) }) })
	}
}

func onDisk(b *testing.B, run func(*hashiraft.LogStore)) {
	logs, err := hashiraft.OpenLog(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	run(logs)
	if err := logs.Close(); err != nil {
		b.Fatal(err)
	}
}

// raised has the indexes and terms of raft's benchmarks begin at one, not zero.
type raised struct{ *hashiraft.LogStore }

func (r raised) GetLog(index uint64, l *raft.Log) error { return r.LogStore.GetLog(index+1, l) }

func (r raised) StoreLog(l *raft.Log) error { return r.StoreLogs([]*raft.Log{l}) }

func (r raised) StoreLogs(logs []*raft.Log) error {
	for _, l := range logs {
		l.Index, l.Term = l.Index+1, l.Term+1
	}
	return r.LogStore.StoreLogs(logs)
}

// silent is a stable store as raft-boltdb is one: what is not there is an error.
type silent struct{ *raft.InmemStore }

func (silent) GetUint64([]byte) (uint64, error) { return 0, errors.New("not found") }

func TestCopyFrom(t *testing.T) {
	old := raft.NewInmemStore()
	big := commands(41, 45, 3)
	for _, l := range big {
		l.Data, l.Extensions, l.AppendedAt = bytes.Repeat([]byte{byte(l.Index)}, 500_000), []byte{1}, time.Unix(int64(l.Index), 7)
	}
	check(t, old.StoreLogs(big))
	check(t, old.Set([]byte("LastVoteCand"), []byte("b")))
	check(t, old.SetUint64([]byte("LastVoteTerm"), 3))
	check(t, old.SetUint64([]byte("CurrentTerm"), 4))
	fsys := vfs.NewMem()
	o := &hashiraft.Options{FS: fsys}
	logs, err := hashiraft.OpenLog("node", o)
	check(t, err)
	check(t, logs.CopyFrom(t.Context(), old, old))
	if err := logs.CopyFrom(t.Context(), old, old); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a second copy: %v, want ErrInvalid", err)
	}
	check(t, logs.Close())
	logs, err = hashiraft.OpenLog("node", o)
	check(t, err)
	bounds(t, logs, 41, 45)
	for _, want := range big {
		var got raft.Log
		check(t, logs.GetLog(want.Index, &got))
		if got.Term != 3 || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) || !got.AppendedAt.Equal(want.AppendedAt) {
			t.Errorf("entry %d differs", want.Index)
		}
	}
	term, err := logs.GetUint64([]byte("CurrentTerm"))
	check(t, err)
	voted, err := logs.GetUint64([]byte("LastVoteTerm"))
	check(t, err)
	candidate, err := logs.Get([]byte("LastVoteCand"))
	check(t, err)
	if term != 4 || voted != 3 || string(candidate) != "b" {
		t.Errorf("term %d, voted in %d for %q", term, voted, candidate)
	}
	check(t, logs.Close())

	logs, err = hashiraft.OpenLog("new", o)
	check(t, err)
	check(t, logs.CopyFrom(t.Context(), raft.NewInmemStore(), silent{raft.NewInmemStore()}))
	bounds(t, logs, 0, 0)
	check(t, logs.Close())
}

func TestCopyCutShort(t *testing.T) {
	old := raft.NewInmemStore()
	check(t, old.StoreLogs(commands(1, 5, 1)))
	check(t, old.DeleteRange(4, 4)) // as if it were damaged
	check(t, old.StoreLog(command(6, 1)))
	o := &hashiraft.Options{FS: vfs.NewMem()}
	logs, err := hashiraft.OpenLog("node", o)
	check(t, err)
	if err := logs.CopyFrom(t.Context(), old, old); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("copy of a log with a hole: %v, want ErrLogNotFound", err)
	}
	check(t, logs.Close())
	if _, err := hashiraft.OpenLog("node", o); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("open after a copy that was cut short: %v, want ErrInvalid", err)
	}
}
