package trimaran_test

import (
	"errors"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// A snapshot that somebody reads, while the state goes back to an older one and
// gives it up with the log, does not become the data again after a crash.
func TestHeldSnapshotStaysForsaken(t *testing.T) {
	o := trimaran.Options{TrailingEntries: -1}
	disk := simdisk.New(nil)
	n := onPebble(t, disk.FS(), o)
	goneOn(n)
	meta, err := n.Snapshots().Latest(t.Context())
	n.check(err)
	before := n.state()
	begun := disk.Ops()
	r, err := n.Snapshots().Stream(t.Context(), meta.ID)
	n.check(err)
	n.check(n.Restore(t.Context(), n.oldest(), &trimaran.RestoreOptions{Force: true}))
	done, after := disk.Ops(), n.state()
	for p := disk.Point(begun); p.Ops() <= done; {
		for _, image := range []*simdisk.Disk{p.Kill(nil), p.Crash(simdisk.Choice{Mode: simdisk.All}).Disk(nil), p.Crash(simdisk.Choice{Mode: simdisk.None}).Disk(nil)} {
			if p.Ops() < done && p.Ops()%race.Either(1, 8) > 0 {
				continue
			}
			n := onPebble(t, image.FS(), o)
			if got := n.state(); got != after && (got != before || p.Ops() == done) {
				t.Fatalf("crash after operation %d of %d to %d: the node holds %s, want %s", p.Ops(), begun, done, got, after)
			}
			if p.Ops() == done && len(n.Recovered().Forsaken) != 1 {
				t.Errorf("crash after the restore: %+v, want that a snapshot was removed", n.Recovered())
			}
			n.goesOn(p.Ops()) // also, it is opened once more
		}
		if !p.Next() {
			break
		}
	}
	n.check(errors.Join(r.Close(), n.Close()))
}

// A snapshot taken after going back is none of those that were given up, though
// it may be of the same index.
func TestSnapshotAfterGoingBackStays(t *testing.T) {
	n := newNode(t, trimaran.Options{TrailingEntries: -1})
	goneOn(n)
	n.check(n.Restore(t.Context(), n.oldest(), &trimaran.RestoreOptions{Force: true}))
	n.run(21, 41, 2)
	again := n.snapshot()
	for range 2 {
		n.reopen()
		if meta, err := n.Snapshots().Latest(t.Context()); err != nil || meta.ID != again.ID {
			t.Errorf("newest = %v, %v, want %v", meta.ID, err, again.ID)
		}
	}
}
