package pebblekv_test

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
)

// What the options say is what Pebble writes down that it was told.
func TestOptionsReachPebble(t *testing.T) {
	disk := vfs.NewMem()
	db, err := pebblekv.Open("kv", &pebblekv.Options{FS: disk, CacheSize: 3 << 20, WriteBufferSize: 5 << 20, MaxWriteBuffers: 6})
	ok(t, err)
	ok(t, db.Close())
	for _, name := range entries(t, disk, "kv/gen-00000001") {
		if !strings.HasPrefix(name, "OPTIONS-") {
			continue
		}
		b, err := vfs.ReadFile(disk, "kv/gen-00000001/"+name, 1<<20)
		ok(t, err)
		for key, want := range map[string]int{"cache_size": 3 << 20, "mem_table_size": 5 << 20, "mem_table_stop_writes_threshold": 7} {
			if !regexp.MustCompile(fmt.Sprintf(`(?m)^\s*%s=%d$`, key, want)).Match(b) {
				t.Errorf("no %s=%d in\n%s", key, want, b)
			}
		}
		return
	}
	t.Error("Pebble has written no options")
}

// A cache that has room for everything is read from; one that has not is
// missed again.
func TestCacheHits(t *testing.T) {
	for size, want := range map[int64]bool{8 << 20: true, 64 << 10: false} {
		db, err := pebblekv.Open("kv", &pebblekv.Options{FS: vfs.NewMem(), CacheSize: size, WriteBufferSize: 256 << 10})
		ok(t, err)
		for i := 1; i <= 3*slots; i++ {
			ok(t, round(t, db, i))
		}
		ok(t, db.Compact(t.Context()))
		state(t, db)
		before, err := db.Size()
		ok(t, err)
		state(t, db)
		after, err := db.Size()
		ok(t, err)
		hits, misses := after.CacheHits-before.CacheHits, after.CacheMisses-before.CacheMisses
		if hits+misses == 0 || (misses == 0) != want {
			t.Errorf("a cache of %d bytes has %d hits and %d misses when all is read again, want all hits %v", size, hits, misses, want)
		}
		ok(t, db.Close())
	}
}

// Durable commits that wait for a disk share its next sync.
func TestWaitingCommitsShareASync(t *testing.T) {
	const callers = 12
	var syncs atomic.Int64
	var armed atomic.Bool
	began, hold := make(chan struct{}), make(chan struct{})
	db, err := pebblekv.Open("kv", options(vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if armed.Load() && strings.HasPrefix(op.Kind, "sync") && strings.HasSuffix(op.Name, ".log") && syncs.Add(1) == 1 {
			close(began)
			<-hold
		}
		return nil
	})))
	ok(t, err)
	s, err := kv.New(db, nil)
	ok(t, err)
	put := func(i int) {
		if err := s.Put(t.Context(), fmt.Append(nil, "key", i), nil); err != nil {
			t.Error(err)
		}
	}
	put(0)
	armed.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { put(1) })
	<-began
	for i := 2; i <= callers; i++ {
		wg.Go(func() { put(i) })
	}
	for n := uint64(0); n <= callers; runtime.Gosched() { // with the one before
		n, err = s.Count(t.Context(), kv.Prefix([]byte("key")))
		ok(t, err)
	}
	tx, err := s.BeginWrite(t.Context()) // after the last of them
	ok(t, err)
	ok(t, tx.Rollback())
	close(hold)
	wg.Wait()
	if n := syncs.Load(); n != 2 {
		t.Errorf("%d syncs of the log for %d commits, want 2", n, callers)
	}
	ok(t, s.Close())
}
