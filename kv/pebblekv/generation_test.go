package pebblekv_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
)

const loaded = 300

// replace loads a content that is told from round 1 by every key, and switches
// to it while a reader holds the old one.
func replace(t *testing.T, db *pebblekv.DB) error {
	old, err := db.Begin(t.Context(), false)
	if err != nil {
		return err
	}
	defer old.Rollback()
	gen, err := db.Fresh(t.Context())
	if err != nil {
		return err
	}
	defer func() { _ = gen.Discard() }() // what failed is returned
	for i := range loaded {
		if err := errors.Join(gen.Put(fmt.Appendf(nil, "row%05d", i), nil), gen.Put(fmt.Appendf(nil, "x%d", 7*i%loaded), nil)); err != nil {
			return err
		}
		if i == loaded/2 {
			if err := gen.Sync(); err != nil {
				return err
			}
		}
	}
	if err := gen.Switch(); err != nil {
		return err
	}
	if got := keys(t, old); len(got) != 2 {
		t.Errorf("the old reader sees %d keys after the switch, want 2", len(got))
	}
	return nil
}

func keys(t *testing.T, tx kv.DriverTx) []string {
	t.Helper()
	var list []string
	for pair, err := range tx.Scan(kv.Range{}) {
		ok(t, err)
		list = append(list, string(pair.Key))
	}
	return list
}

// content is "old" or "new", and the test fails if it is neither.
func content(t *testing.T, what string, db *pebblekv.DB) string {
	t.Helper()
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	defer tx.Rollback()
	got := keys(t, tx)
	switch {
	case slices.Equal(got, []string{"n", "slot1"}):
		return "old"
	case len(got) == 2*loaded && slices.IsSorted(got) && !slices.Contains(got, "n"):
		return "new"
	}
	t.Errorf("%s: %d keys, want the old content or the new", what, len(got))
	return ""
}

// The process dies at every change of a switch, the first open included: the
// content is the old or the new one, and nothing else is left.
func TestDeathInSwitch(t *testing.T) {
	count := &faulty{from: forever}
	db, err := pebblekv.Open("kv", options(vfs.Hook(filled(t), count.before)))
	ok(t, err)
	ok(t, replace(t, db))
	ok(t, db.Close())
	total := count.n.Load()
	t.Logf("%d changes", total)
	seen := map[string]int{}
	for n := int64(1); n <= total; n++ {
		disk := filled(t)
		f := &faulty{from: n, many: forever, err: syscall.EIO}
		dead, err := pebblekv.Open("kv", options(vfs.Hook(disk, f.before)))
		if err == nil {
			if err = replace(t, dead); err == nil && content(t, "after the switch", dead) != "new" {
				t.Errorf("death at change %d: Switch = nil, and the content is old", n)
			}
			_ = dead.Close()
		}
		what := fmt.Sprintf("death at change %d", n)
		db, err := pebblekv.Open("kv", options(disk))
		ok(t, err)
		got := content(t, what, db)
		if err == nil && f.n.Load() < n && got != "new" {
			t.Errorf("%s: it was switched to, and is not there", what)
		}
		seen[got]++
		ok(t, round(t, db, 1))
		ok(t, db.Sync())
		ok(t, db.Close())
		left := slices.DeleteFunc(entries(t, disk, "kv"), func(name string) bool { return name == "LOCK" || name == "GENERATION" })
		if len(left) != 1 || !strings.HasPrefix(left[0], "gen-") {
			t.Errorf("%s: %q is left, want one generation", what, left)
		}
	}
	if seen["old"] == 0 || seen["new"] == 0 {
		t.Errorf("contents seen: %v, want both", seen)
	}
}

// The process dies at every change of the first open.
func TestDeathInFirstOpen(t *testing.T) {
	for n := int64(1); ; n++ {
		disk := vfs.NewMem()
		f := &faulty{from: n, many: forever, err: syscall.EIO}
		dead, err := pebblekv.Open("kv", options(vfs.Hook(disk, f.before)))
		if err == nil {
			_ = dead.Close()
		}
		if f.n.Load() < n {
			t.Logf("%d changes", n-1)
			return
		}
		db, err := pebblekv.Open("kv", options(disk))
		if err != nil {
			t.Errorf("death at change %d: reopen: %v", n, err)
			continue
		}
		ok(t, round(t, db, 1))
		ok(t, db.Sync())
		if got := state(t, db); got != 1 {
			t.Errorf("death at change %d: round %d, want 1", n, got)
		}
		ok(t, db.Close())
	}
}

// A switch for which the disk has no room changes nothing and can be repeated.
func TestSwitchWithoutRoom(t *testing.T) {
	var fill atomic.Bool
	disk := filled(t)
	db, err := pebblekv.Open("kv", options(vfs.Hook(disk, func(op vfs.Op) error {
		if fill.Load() && op.Kind == "write" && strings.Contains(op.Name, "GENERATION") {
			return syscall.ENOSPC
		}
		return nil
	})))
	ok(t, err)
	gen, err := db.Fresh(t.Context())
	ok(t, err)
	ok(t, gen.Put([]byte("a"), nil))
	fill.Store(true)
	if err := gen.Switch(); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Switch = %v, want full", err)
	}
	content(t, "after a switch without room", db)
	ok(t, round(t, db, 2))
	fill.Store(false)
	ok(t, gen.Switch())
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	if got := keys(t, tx); !slices.Equal(got, []string{"a"}) {
		t.Errorf("keys = %q, want a", got)
	}
	ok(t, tx.Rollback())
	ok(t, db.Close())
}

// A load that fails is an error of the load: the live content goes on.
func TestFailedLoad(t *testing.T) {
	f := &faulty{from: 1, many: forever, err: syscall.EIO, only: "gen-00000002"}
	db, err := pebblekv.Open("kv", options(vfs.Hook(filled(t), f.before)))
	ok(t, err)
	if err := replace(t, db); !errors.Is(err, syscall.EIO) {
		t.Errorf("replace = %v, want EIO", err)
	}
	f.mended.Store(true)
	ok(t, replace(t, db))
	gen, err := db.Fresh(t.Context())
	ok(t, err)
	ok(t, errors.Join(gen.Put([]byte("a"), nil), gen.Put([]byte("b"), nil), gen.Put([]byte("a"), nil)))
	if err := gen.Sync(); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Sync of a key that came twice = %v, want invalid", err)
	}
	if err := gen.Switch(); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Switch after a failure = %v, want invalid", err)
	}
	content(t, "after failed loads", db)
	ok(t, db.Close()) // discards the load
	if err := gen.Put([]byte("c"), nil); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Put after Close = %v, want closed", err)
	}
}

// A value of 64 MiB goes in and out, by transaction and by load, through
// buffers that are far smaller.
func TestLargeValue(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs half a gigabyte")
	}
	db, err := pebblekv.Open(t.TempDir(), options(nil))
	ok(t, err)
	value := bytes.Repeat([]byte("large value "), race.Either(64<<20, 8<<20)/12)
	tx, err := db.Begin(t.Context(), true)
	ok(t, err)
	ok(t, errors.Join(tx.Put([]byte("large"), value), tx.Commit(), db.Sync()))
	has := func(what string) {
		tx, err := db.Begin(t.Context(), false)
		ok(t, err)
		defer tx.Rollback()
		if v, err := tx.Get([]byte("large")); err != nil || !bytes.Equal(v, value) {
			t.Errorf("%s: Get = %d bytes, %v, want %d", what, len(v), err, len(value))
		}
	}
	has("committed")
	gen, err := db.Fresh(t.Context())
	ok(t, err)
	ok(t, errors.Join(gen.Put([]byte("before"), nil), gen.Put([]byte("large"), value), gen.Put([]byte("x"), nil), gen.Switch()))
	has("loaded")
	ok(t, db.Close())
}

func TestCompactAndSize(t *testing.T) {
	db, err := pebblekv.Open("kv", options(vfs.NewMem()))
	ok(t, err)
	ok(t, db.Compact(t.Context())) // of nothing
	_, _, err = work(t, db)
	ok(t, err)
	tx, err := db.Begin(t.Context(), true)
	ok(t, err)
	ok(t, tx.(kv.RangeDeleter).DeleteRange([]byte("slot"), []byte("slou")))
	if err := tx.(kv.RangeDeleter).DeleteRange([]byte("a"), nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("DeleteRange without an end = %v, want invalid", err)
	}
	ok(t, tx.Commit())
	ok(t, db.Compact(t.Context()))
	size, err := db.Size()
	ok(t, err)
	if size.Disk <= 0 || size.Memory <= 0 || !size.Estimated || size.Pairs != 1 {
		t.Errorf("Size = %+v", size)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := db.Size(); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Size after Close = %v, want closed", err)
	}
}

// A walk that begins after its transaction has ended, on a content that is
// gone, is an error and no more.
func TestWalkAfterTheEnd(t *testing.T) {
	db, err := pebblekv.Open("kv", options(filled(t)))
	ok(t, err)
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	seq := tx.Scan(kv.Range{})
	ok(t, tx.Rollback())
	ok(t, replace(t, db))
	for range 2 {
		for _, err := range seq {
			if !errors.Is(err, fault.ErrClosed) {
				t.Errorf("Scan = %v, want closed", err)
			}
		}
	}
	ok(t, db.Close())
}

func TestCloseWaitsForNobody(t *testing.T) {
	db, err := pebblekv.Open("kv", options(vfs.NewMem()))
	ok(t, err)
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	if err := db.Close(); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Close with a transaction = %v, want invalid", err)
	}
	ok(t, tx.Rollback())
	ok(t, db.Close())
}
