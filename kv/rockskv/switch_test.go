//go:build rocksdb && cgo

package rockskv

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

func options(t *testing.T) Options {
	t.Helper()
	o, err := (&Options{CacheSize: 1 << 20, WriteBufferSize: 1 << 20}).withDefaults()
	ok(t, err)
	return o
}

// replace switches to a content of its own while a reader holds the old one.
func replace(t *testing.T, db *DB) error {
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
	if err := errors.Join(gen.Put([]byte("new1"), nil), gen.Sync(), gen.Put([]byte("new0"), nil)); err != nil {
		return err
	}
	if err := gen.Switch(); err != nil {
		return err
	}
	if got := keys(t, old); got != "old" {
		t.Errorf("the old reader sees %q after the switch", got)
	}
	return nil
}

func keys(t *testing.T, tx kv.DriverTx) string {
	t.Helper()
	var list []string
	for pair, err := range tx.Scan(kv.Range{}) {
		ok(t, err)
		list = append(list, string(pair.Key))
	}
	return strings.Join(list, " ")
}

func content(t *testing.T, db *DB) string {
	t.Helper()
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	defer tx.Rollback()
	return keys(t, tx)
}

func commit(t *testing.T, db *DB, key string) error {
	tx, err := db.Begin(t.Context(), true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return errors.Join(tx.Put([]byte(key), nil), tx.Commit())
}

// The process dies at every change that the engine itself makes in a first
// open and a switch: the content is the old or the new one, and nothing else is
// left. RocksDB's own files can't be cut this way.
func TestDeathInSwitch(t *testing.T) {
	seen := map[string]int{}
	for n := int64(1); ; n++ {
		dir := t.TempDir()
		disk, err := vfs.Disk(dir)
		ok(t, err)
		var count atomic.Int64
		hook := vfs.Hook(disk, func(op vfs.Op) error {
			if slices.Contains([]string{"read", "open", "list", "stat", "lock"}, op.Kind) || count.Add(1) < n {
				return nil
			}
			return fmt.Errorf("%s %s: %w", op.Kind, op.Name, syscall.EIO)
		})
		db, err := openIn(dir, hook, options(t))
		committed := false
		if err == nil {
			err = errors.Join(commit(t, db, "old"), db.Sync())
			committed = err == nil
			err = errors.Join(err, replace(t, db))
			_ = db.Close()
		}
		what := fmt.Sprintf("death at change %d", n)
		db, err2 := Open(dir, nil)
		ok(t, err2)
		got := content(t, db)
		seen[got]++
		if got != "new0 new1" && (got != "old" || err == nil) && (got != "" || committed) {
			t.Errorf("%s: content is %q after %v", what, got, err)
		}
		ok(t, errors.Join(commit(t, db, "more"), db.Sync(), db.Close()))
		left, err2 := os.ReadDir(dir)
		ok(t, err2)
		if len(left) != 3 { // GENERATION, LOCK and one generation
			t.Errorf("%s: %v is left", what, left)
		}
		if count.Load() < n {
			break
		}
	}
	if seen["old"] == 0 || seen["new0 new1"] < 2 {
		t.Errorf("contents seen: %v, want both", seen)
	}
}

// The last sync of a switch fails, when the pointer has been renamed: the next
// open finds a content, and the pointer is durable before the other one goes.
func TestFailedLastSyncOfASwitch(t *testing.T) {
	dir := t.TempDir()
	disk, err := vfs.Disk(dir)
	ok(t, err)
	armed, named := false, false
	hook := vfs.Hook(disk, func(op vfs.Op) error {
		if op.Kind == "syncdir" && named {
			armed, named = false, false
			return syscall.EIO
		}
		named = armed && (named || op.Kind == "rename")
		return nil
	})
	db, err := openIn(dir, hook, options(t))
	ok(t, err)
	ok(t, errors.Join(commit(t, db, "old"), db.Sync()))
	armed = true
	if err := replace(t, db); !errors.Is(err, syscall.EIO) {
		t.Errorf("Switch = %v, want EIO", err)
	}
	_ = db.Close() // poisoned
	var calls []string
	disk, err = vfs.Disk(dir) // the engine closed the one before
	ok(t, err)
	db, err = openIn(dir, vfs.Hook(disk, func(op vfs.Op) error {
		calls = append(calls, op.Kind)
		return nil
	}), options(t))
	ok(t, err)
	if got := content(t, db); got != "new0 new1" {
		t.Errorf("content = %q, want that of the pointer", got)
	}
	if s, r := slices.Index(calls, "syncdir"), slices.Index(calls, "remove"); r < 0 || s < 0 || r < s {
		t.Errorf("calls of open: %v, want a syncdir before a remove", calls)
	}
	ok(t, db.Close())
}

// roomy is a disk with as much room as it says.
type roomy struct {
	vfs.FS
	free *atomic.Int64
}

func (r roomy) Space() (vfs.Space, error) {
	return vfs.Space{Free: r.free.Load(), Total: 1 << 30}, nil
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	disk, err := vfs.Disk(dir)
	ok(t, err)
	free := &atomic.Int64{}
	free.Store(1 << 10)
	db, err := openIn(dir, roomy{disk, free}, options(t))
	ok(t, err)
	if err := commit(t, db, "key"); !errors.Is(err, fault.ErrFull) || errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("commit = %v, want full", err)
	}
	if got := content(t, db); got != "" {
		t.Errorf("a commit that was refused shows: %q", got)
	}
	free.Store(1 << 30)
	ok(t, errors.Join(commit(t, db, "key"), db.Sync(), db.Close()))
}

// After a failure nothing is written, and reads go on.
func TestPoisoned(t *testing.T) {
	db, err := Open(t.TempDir(), nil)
	ok(t, err)
	ok(t, commit(t, db, "key"))
	db.live.fate.fail(syscall.EIO)
	_, fresh := db.Fresh(t.Context())
	for call, err := range map[string]error{
		"Sync": db.Sync(), "commit": commit(t, db, "more"), "Compact": db.Compact(t.Context()), "Fresh": fresh,
	} {
		if !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s = %v, want poisoned by EIO", call, err)
		}
	}
	if got := content(t, db); got != "key" {
		t.Errorf("content = %q, want key", got)
	}
	if err := db.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close = %v, want EIO", err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
