package pebblekv_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

// tiny are options with which an engine opens in a millisecond.
func tiny(fsys vfs.FS) *pebblekv.Options {
	return &pebblekv.Options{FS: fsys, CacheSize: 64 << 10, WriteBufferSize: 64 << 10, MaxWriteBuffers: 2}
}

func openTiny(fsys vfs.FS) (kv.Driver, error) { return pebblekv.Open("kv", tiny(fsys)) }

func TestCrash(t *testing.T) { kvtest.Crash(t, openTiny, crash) }

// A disk that is full for good keeps what was acknowledged.
func TestCrashFullDisk(t *testing.T) {
	for _, capacity := range []int64{80 << 10, 160 << 10} {
		o := *crash
		o.Disk.Capacity = capacity
		o.Stride = cmp.Or(o.Stride, race.Either(32, 288))
		kvtest.Crash(t, openTiny, &o)
	}
}

// The manifest in force is the one that a marker names. Pebble makes the
// manifest and its marker, removes the marker before, and syncs the directory
// once: a crash could keep the new marker without its manifest, or the removal
// without the new marker, and the store was gone.
func TestCrashBetweenMarkers(t *testing.T) {
	d := simdisk.New(nil)
	for i := range 3 {
		db, err := pebblekv.Open("kv", tiny(d.FS()))
		ok(t, err)
		ok(t, errors.Join(round(t, db, i+1), db.Sync(), db.Close()))
	}
	markers := 0
	for p := d.Point(0); p.Next(); {
		last := p.Ops() - 1
		if !strings.Contains(d.Op(last), "/marker.") {
			continue
		}
		markers++
		image := p.Crash(simdisk.Choice{Mode: simdisk.Only, Arg: uint64(last)})
		db, err := pebblekv.Open("kv", tiny(image.Disk(nil).FS()))
		if err != nil {
			t.Errorf("nothing but operation %d, %s, survived of what was not synced: %v", last, d.Op(last), err)
			continue
		}
		ok(t, db.Close())
	}
	if markers < 10 {
		t.Errorf("%d operations on markers, want more", markers)
	}
}

// The last sync of a switch fails: the new content is named, and a crash may
// bring back the old name. The switch dropped the new one nevertheless, and the
// next Open swept the old one: one of them was needed.
func TestCrashAfterAFailedSwitch(t *testing.T) {
	d := simdisk.New(nil)
	db, err := pebblekv.Open("kv", tiny(d.FS()))
	ok(t, err)
	ok(t, errors.Join(round(t, db, 1), db.Sync()))
	named, first := false, 0
	d.Fail(func(op vfs.Op) error {
		if op.Kind == "syncdir" && named && first == 0 {
			first = d.Ops()
			return syscall.EIO
		}
		named = named || op.Kind == "rename" && strings.HasSuffix(op.Name, "GENERATION.tmp")
		return nil
	})
	if err := replace(t, db); !errors.Is(err, syscall.EIO) {
		t.Errorf("Switch = %v, want EIO", err)
	}
	_ = db.Close() // poisoned
	db, err = pebblekv.Open("kv", tiny(d.FS()))
	ok(t, err)
	content(t, "opened again", db)
	ok(t, db.Close())
	for p := d.Point(first); p.Next(); {
		choices := []simdisk.Choice{{Mode: simdisk.All}, {Mode: simdisk.None}}
		for _, op := range p.Loose() {
			choices = append(choices, simdisk.Choice{Mode: simdisk.Omit, Arg: uint64(op)}, simdisk.Choice{Mode: simdisk.Only, Arg: uint64(op)})
		}
		for _, c := range choices {
			db, err := pebblekv.Open("kv", tiny(p.Crash(c).Disk(nil).FS()))
			if err != nil {
				t.Fatalf("crash after operation %d, %s, %v: %v", p.Ops()-1, d.Op(p.Ops()-1), c, err)
			}
			content(t, c.String(), db)
			ok(t, db.Close())
		}
	}
}

// patience is longer than any machine stalls: what takes it has hung.
const patience = time.Minute

// A compaction for which there is no room ends. It went on for ever, and Close
// waited for it.
func TestCompactOnFullDisk(t *testing.T) {
	d := simdisk.New(nil)
	db, err := pebblekv.Open("kv", tiny(d.FS()))
	ok(t, err)
	ok(t, errors.Join(round(t, db, 1), db.Sync()))
	d.Fail(func(op vfs.Op) error {
		if op.Kind == "write" && strings.HasSuffix(op.Name, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := db.Compact(ctx); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Compact = %v, want full", err)
	}
	d.Fail(nil)
	ok(t, db.Compact(t.Context()))
	if got := state(t, db); got != 1 {
		t.Errorf("after round %d, want 1", got)
	}
	ok(t, db.Close())
}

// A table that could not be written is synced all the same, which does not mean
// that there was room: it was tried again without a pause, and commits waited
// for ever.
func TestTableSyncedWithoutRoom(t *testing.T) {
	d := simdisk.New(nil)
	db, err := pebblekv.Open("kv", tiny(d.FS()))
	ok(t, err)
	d.Fail(func(op vfs.Op) error {
		if op.Kind == "write" && strings.HasSuffix(op.Name, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})
	last := 0
	full := make(chan error, 1)
	go func() {
		for i := 1; ; i++ {
			if err := round(t, db, i); err != nil {
				full <- err
				return
			}
			last = i
		}
	}()
	select {
	case err := <-full:
		if !errors.Is(err, fault.ErrFull) {
			t.Errorf("round %d = %v, want full", last+1, err)
		}
	case <-time.After(patience):
		t.Fatal("a commit on a full disk does not return")
	}
	d.Fail(nil)
	err = round(t, db, last+1)
	for begun := time.Now(); errors.Is(err, fault.ErrFull) && time.Since(begun) < patience; { // until the engine has tried again
		err = round(t, db, last+1)
	}
	ok(t, err)
	if got := state(t, db); got != last+1 {
		t.Errorf("after round %d, want %d", got, last+1)
	}
	ok(t, db.Close())
}

// What is in the log becomes a table when the store opens. On a disk without
// room for that Open tried for ever.
func TestOpenOnFullDisk(t *testing.T) {
	d := simdisk.New(nil)
	db, err := pebblekv.Open("kv", tiny(d.FS()))
	ok(t, err)
	ok(t, errors.Join(round(t, db, 1), db.Sync()))
	left := d.Point(d.Ops()).Crash(simdisk.Choice{}).Disk(nil)
	ok(t, db.Close())
	left.Fail(func(op vfs.Op) error {
		if op.Kind == "write" && strings.HasSuffix(op.Name, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})
	opened := make(chan error, 1)
	go func() {
		db, err := pebblekv.Open("kv", tiny(left.FS()))
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		if !errors.Is(err, fault.ErrFull) {
			t.Errorf("Open = %v, want full", err)
		}
	case <-time.After(patience):
		t.Fatal("Open of a store on a full disk does not return")
	}
	left.Fail(nil)
	db, err = pebblekv.Open("kv", tiny(left.FS()))
	ok(t, err)
	if got := state(t, db); got != 1 {
		t.Errorf("with room again the store is after round %d, want 1", got)
	}
	ok(t, db.Close())
}
