package trimaran_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// fullStep is a step that meets a full disk. Where it fails it may be made
// again.
type fullStep struct {
	name    string
	prepare func(n *node)
	step    func(n *node, container []byte) error
	o       trimaran.Options
	reopens bool // the engine takes nothing more when its journal found no room
	frees   bool // it is made whatever room there is
}

// large are entries 41 to 60, a kilobyte each.
func large() (es []raftlog.Entry) {
	for i := uint64(41); i <= 60; i++ {
		es = append(es, raftlog.Entry{Index: i, Term: 2, Data: append([]byte("large="), bytes.Repeat([]byte{byte(i)}, 1000)...)})
	}
	return es
}

var fullSteps = []fullStep{
	{"append", goneOn, func(n *node, _ []byte) error { return n.Log().Append(large()...) }, bare, false, false},
	{"apply", func(n *node) { goneOn(n); n.check(n.Log().Append(large()...)) }, func(n *node, _ []byte) error {
		return errors.Join(n.Apply(n.t.Context(), large(), put), n.Sync(n.t.Context()))
	}, bare, true, false},
	{"snapshot and compaction", func(n *node) { goneOn(n); n.run(41, 61, 2) }, func(n *node, _ []byte) error {
		_, err := n.Snapshot(n.t.Context(), 0)
		return err
	}, bare, false, false},
	{"compaction", func(n *node) { n.run(1, 41, 2); n.snapshot() }, round, trimaran.Options{TrailingEntries: 100, DiskSoft: 1}, false, true},
	{"restore", func(n *node) { goneOn(n); n.run(41, 61, 2) }, func(n *node, _ []byte) error {
		m, err := n.Snapshots().Latest(n.t.Context())
		n.check(err)
		return n.Restore(n.t.Context(), m.ID, &trimaran.RestoreOptions{Force: true})
	}, bare, false, false},
	{"restore below the base", goneOn, func(n *node, _ []byte) error {
		return n.Restore(n.t.Context(), n.oldest(), &trimaran.RestoreOptions{Force: true})
	}, bare, false, false},
	{"install", conflicting, installed, bare, false, false},
	{"maintain", func(n *node) { goneOn(n); n.run(41, 61, 2) }, round, trimaran.Options{
		TrailingEntries: 5, SnapshotEntries: 10, DiskSoft: 1, Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1},
	}, false, false},
}

// bare keeps no log behind a snapshot.
var bare = trimaran.Options{TrailingEntries: -1}

func round(n *node, _ []byte) error { return n.Round(n.t.Context()) }

// However much room there is left when a step begins: it is made, or refused
// with ErrFull and nothing changed. Votes are saved all the same, and when there
// is room again the step is made, without a new open but where Pebble's journal
// is what found no room.
func TestFullDiskInEachStep(t *testing.T) {
	sent := container(t)
	for _, tc := range fullSteps {
		t.Run(tc.name, func(t *testing.T) {
			disk := simdisk.New(nil)
			n := onPebble(t, disk.FS(), tc.o)
			tc.prepare(n)
			before := n.state()
			n.check(n.Close())
			refused := 0
			for room, made := int64(0), false; !made; room += int64(race.Either(1, 4)) * 4096 {
				made = fullOnce(t, tc, disk.Point(disk.Ops()).Crash(simdisk.Choice{}).Disk(nil), room, before, sent)
				if !made {
					refused++
				}
			}
			if t.Logf("refused with %d amounts of room", refused); (refused == 0) != tc.frees {
				t.Errorf("want some: %t", !tc.frees)
			}
		})
	}
}

// fullOnce makes the step with so much room, and again with more. It reports
// whether the first was enough.
func fullOnce(t *testing.T, tc fullStep, disk *simdisk.Disk, room int64, before string, sent []byte) (made bool) {
	t.Helper()
	const plenty = 1 << 30
	n := onPebble(t, disk.FS(), tc.o)
	disk.SetCapacity(plenty)
	space, err := disk.FS().Space()
	n.check(err)
	disk.SetCapacity(plenty - space.Free + room)
	err = tc.step(n, sent)
	poisoned := tc.reopens && errors.Is(err, fault.ErrPoisoned)
	if err != nil && !poisoned {
		wantErr(t, "the step", err, fault.ErrFull)
		if got := n.state(); got != before {
			t.Errorf("room for %d bytes: refused with %v, and the node holds %s, want %s", room, err, got, before)
		}
	}
	made = err == nil
	vote := raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("for 3 in term 7")}}}
	if err := n.Log().Write(vote); err != nil {
		t.Fatalf("room for %d bytes: a vote is refused: %v", room, err)
	}
	disk.SetCapacity(0)
	if poisoned {
		if h := n.Health(t.Context()); h.Data.State != trimaran.Unhealthy || !h.MayVote {
			t.Errorf("health %+v, want the data unhealthy, and votes", h)
		}
		_ = n.Close() // says what poisoned it
		n.check(n.tryPebble())
		if got := n.state(); got != before {
			t.Errorf("room for %d bytes: after an open the node holds %s, want %s", room, got, before)
		}
	}
	if !made {
		if err := tc.step(n, sent); err != nil && !errors.Is(err, fault.ErrNothingNew) {
			t.Fatalf("room for %d bytes: with more the step fails with %v", room, err)
		}
	}
	after, log := n.state(), n.bounds()
	n.check(n.Close())
	n.check(n.tryPebble())
	if got := n.state(); got != after || n.bounds() != log {
		t.Errorf("room for %d bytes: after an open the node holds %s and %+v, want %s and %+v", room, got, n.bounds(), after, log)
	}
	if b, err := n.Log().Stable("vote"); err != nil || string(b) != "for 3 in term 7" {
		t.Errorf("room for %d bytes: the vote is %q, %v", room, b, err)
	}
	for m, err := range n.Snapshots().All(t.Context()) {
		if err == nil {
			_, err = n.Snapshots().Verify(t.Context(), m.ID, nil)
		}
		n.check(err)
	}
	n.check(n.Close())
	return made
}

// What a snapshot and the compaction behind it rest on is durable in the data
// before: with the power gone, and the snapshot too, nothing is missing.
func TestDataIsDurableBeforeTheLogGoes(t *testing.T) {
	disk := simdisk.New(nil)
	n := onPebble(t, disk.FS(), bare)
	goneOn(n)
	want := n.state()
	image := disk.Point(disk.Ops()).Crash(simdisk.Choice{Mode: simdisk.None}).Disk(nil)
	n.check(n.Close())
	n.check(vfs.RemoveAll(image.FS(), "snapshots"))
	m := onPebble(t, image.FS(), bare)
	if got := m.state(); got != want || m.bounds().Base.Index != 40 || !m.Recovered().Bare {
		t.Errorf("the node holds %s, log %+v, want %s, with only the data below 40", got, m.bounds(), want)
	}
	m.check(m.Close())
}
