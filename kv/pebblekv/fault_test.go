package pebblekv_test

import (
	"errors"
	"fmt"
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

const (
	rounds    = 42
	syncEvery = 3
	slots     = 7
)

// faulty lets a disk fail from the n-th change on, for as many changes.
type faulty struct {
	from, many int64
	err        error
	only       string // in the name
	n          atomic.Int64
	mended     atomic.Bool
}

func changes(op vfs.Op) bool {
	switch op.Kind {
	case "read", "open", "list", "stat", "lock":
		return false
	}
	return true
}

func (f *faulty) before(op vfs.Op) error {
	if f.mended.Load() || !changes(op) || !strings.Contains(op.Name, f.only) {
		return nil
	}
	if n := f.n.Add(1); n < f.from || n >= f.from+f.many {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op.Kind, op.Name, f.err)
}

const forever = 1 << 40

// round is one commit: the number of the round, and a slot that holds it too.
func round(t *testing.T, db *pebblekv.DB, i int) error {
	tx, err := db.Begin(t.Context(), true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	value := []byte(fmt.Sprintf("%08d", i) + strings.Repeat("v", 20<<10))
	if err := errors.Join(tx.Put([]byte("n"), value[:8]), tx.Put(fmt.Appendf(nil, "slot%d", i%slots), value)); err != nil {
		return err
	}
	return tx.Commit()
}

// work makes rounds until one fails, and returns the last that was durable and
// the last that was tried.
func work(t *testing.T, db *pebblekv.DB) (durable, tried int, err error) {
	for i := 1; i <= rounds && err == nil; i++ {
		tried = i
		if err = round(t, db, i); err == nil && i%syncEvery == 0 {
			if err = db.Sync(); err == nil {
				durable = i
			}
		}
	}
	return durable, tried, err
}

// state returns the last round that the store holds, and fails if it is not
// the state after that round.
func state(t *testing.T, db *pebblekv.DB) int {
	t.Helper()
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	defer tx.Rollback()
	v, err := tx.Get([]byte("n"))
	if errors.Is(err, fault.ErrNotFound) {
		return 0
	}
	ok(t, err)
	var last int
	_, err = fmt.Sscanf(string(v), "%08d", &last)
	ok(t, err)
	seen := 0
	for pair, err := range tx.Scan(kv.Prefix([]byte("slot"))) {
		ok(t, err)
		var slot, i int
		_, err := fmt.Sscanf(string(pair.Key)+" "+string(pair.Value[:8]), "slot%d %08d", &slot, &i)
		ok(t, err)
		if i%slots != slot || i <= last-slots || i > last {
			t.Errorf("after round %d: %s holds round %d", last, pair.Key, i)
		}
		seen++
	}
	if want := min(last, slots); seen != want {
		t.Errorf("after round %d: %d slots, want %d", last, seen, want)
	}
	return last
}

// Every change that the engine makes on disk fails once, and for ever from
// there on: nothing is acknowledged afterwards, reads go on, and what was
// durable is there after a reopen.
func TestEveryFailure(t *testing.T) {
	count := &faulty{from: forever}
	db, err := pebblekv.Open("kv", options(vfs.Hook(vfs.NewMem(), count.before)))
	ok(t, err)
	_, _, err = work(t, db)
	ok(t, errors.Join(err, db.Close()))
	total := count.n.Load()
	t.Logf("%d changes", total)
	stride := int64(1)
	if testing.Short() || race.Enabled {
		stride = 7
	}
	for _, many := range []int64{1, forever} {
		for n := int64(1); n <= total; n += stride {
			failOnce(t, &faulty{from: n, many: many, err: syscall.EIO})
		}
	}
}

func failOnce(t *testing.T, f *faulty) {
	t.Helper()
	disk := vfs.NewMem()
	durable, tried := 0, 0
	db, err := pebblekv.Open("kv", options(vfs.Hook(disk, f.before)))
	if err == nil {
		durable, tried, err = work(t, db)
		hit := f.n.Load() >= f.from
		switch {
		case hit && err == nil && db.Sync() == nil && durable == rounds:
			// It hit something that is not needed, such as a removal.
		case err == nil:
		default:
			if !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
				t.Errorf("%+v: work = %v, want poisoned by EIO", f, err)
			}
			if err := db.Sync(); !errors.Is(err, fault.ErrPoisoned) {
				t.Errorf("%+v: Sync afterwards = %v, want poisoned", f, err)
			}
			if err := round(t, db, tried+1); !errors.Is(err, fault.ErrPoisoned) {
				t.Errorf("%+v: commit afterwards = %v, want poisoned", f, err)
			}
			if last := state(t, db); last < durable || last > tried {
				t.Errorf("%+v: reads see round %d, want %d to %d", f, last, durable, tried)
			}
		}
		_ = db.Close()
	}
	db, err = pebblekv.Open("kv", options(disk))
	if err != nil {
		t.Errorf("%+v: reopen: %v", f, err)
		return
	}
	if last := state(t, db); last < durable || last > tried {
		t.Errorf("%+v: after a reopen round %d, want %d to %d", f, last, durable, tried)
	}
	ok(t, db.Close())
}

// A sync of the log that fails is told, and never again acknowledged.
func TestFailedSync(t *testing.T) {
	var armed atomic.Bool
	db, err := pebblekv.Open("kv", options(vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == "syncdata" && strings.HasSuffix(op.Name, ".log") && armed.Swap(false) {
			return syscall.EIO
		}
		return nil
	})))
	ok(t, err)
	ok(t, round(t, db, 1))
	armed.Store(true)
	if err := db.Sync(); !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync = %v, want poisoned by EIO", err)
	}
	if err := db.Sync(); !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("second Sync = %v, want poisoned", err)
	}
	if _, err := db.Begin(t.Context(), true); !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("Begin of a writer = %v, want poisoned", err)
	}
	if got := state(t, db); got != 1 {
		t.Errorf("reads see round %d, want 1", got)
	}
	if err := db.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close = %v, want EIO", err)
	}
}

// A writer that waits for tables to be written does not wait for ever when
// that fails.
func TestStalledWriter(t *testing.T) {
	f := &faulty{from: 1, many: forever, err: syscall.EIO, only: ".sst"}
	db, err := pebblekv.Open("kv", options(vfs.Hook(vfs.NewMem(), f.before)))
	ok(t, err)
	for i := 1; err == nil; i++ {
		err = round(t, db, i)
	}
	if !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("commit = %v, want poisoned", err)
	}
	state(t, db)
	if err := db.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close = %v, want EIO", err)
	}
}

// A table that finds no room poisons nothing: the engine waits and goes on.
func TestTableWithoutRoom(t *testing.T) {
	disk := vfs.NewMem()
	f := &faulty{from: 1, many: 3, err: syscall.ENOSPC, only: ".sst"}
	db, err := pebblekv.Open("kv", options(vfs.Hook(disk, f.before)))
	ok(t, err)
	durable, _, err := work(t, db)
	ok(t, err)
	if f.n.Load() < 3 || durable != rounds {
		t.Errorf("%d changes of tables, %d rounds durable", f.n.Load(), durable)
	}
	ok(t, db.Close())
}

// Tables find no room, and the disk says that there is some: a quota, or a part
// of the disk that is not for everybody. Commits waited for ever.
func TestCommitsWithoutRoomForTables(t *testing.T) {
	f := &faulty{from: 1, many: forever, err: syscall.ENOSPC, only: ".sst"}
	db, err := pebblekv.Open("kv", options(vfs.Hook(vfs.NewMem(), f.before)))
	ok(t, err)
	i := 0
	for err == nil {
		if err = round(t, db, i+1); err == nil {
			i++
		}
	}
	if !errors.Is(err, fault.ErrFull) || errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("commit %d = %v, want full", i+1, err)
	}
	if got := state(t, db); got != i {
		t.Errorf("a commit that was refused shows: round %d, want %d", got, i)
	}
	ok(t, db.Sync())
	if err := round(t, db, i+1); !errors.Is(err, fault.ErrFull) {
		t.Errorf("next commit = %v, want full", err)
	}
	f.mended.Store(true)
	for err = fault.ErrFull; errors.Is(err, fault.ErrFull); {
		err = round(t, db, i+1) // until a table was written
	}
	ok(t, err)
	ok(t, db.Sync())
	if got := state(t, db); got != i+1 {
		t.Errorf("with room again the store is after round %d, want %d", got, i+1)
	}
	ok(t, db.Close())
}

// small is a disk with little room.
type small struct {
	vfs.FS
	free *atomic.Int64
}

func (s small) Space() (vfs.Space, error) { return vfs.Space{Free: s.free.Load(), Total: 1 << 30}, nil }

func (s small) Sub(dir string) (vfs.FS, error) {
	sub, err := s.FS.Sub(dir)
	return small{sub, s.free}, err
}

func TestFull(t *testing.T) {
	free := &atomic.Int64{}
	free.Store(1 << 20)
	db, err := pebblekv.Open("kv", options(small{vfs.NewMem(), free}))
	ok(t, err)
	ok(t, round(t, db, 1))
	free.Store(100 << 10)
	i := 2
	for err == nil && i < 1000 {
		if err = round(t, db, i); err == nil {
			i++
		}
	}
	if !errors.Is(err, fault.ErrFull) || errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("commit = %v, want full", err)
	}
	if got := state(t, db); got != i-1 {
		t.Errorf("a commit that was refused shows: round %d, want %d", got, i-1)
	}
	ok(t, db.Sync())
	free.Store(1 << 30)
	ok(t, round(t, db, i))
	ok(t, db.Sync())
	ok(t, db.Close())
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
