package kvtest_test

import (
	"flag"
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
)

var (
	seed  = flag.Uint64("seed", 1, "first seed of the random tests")
	seeds = flag.Int("seeds", 3, "how many seeds they run")
	steps = flag.Int("steps", 400, "how many steps each seed makes")
)

func openPebble(fsys vfs.FS, dir string) (kv.Driver, error) {
	return pebblekv.Open(dir, &pebblekv.Options{FS: fsys, CacheSize: 1 << 20, WriteBufferSize: 64 << 10, MaxWriteBuffers: 2})
}

// every is a place of each engine, those in memory first; all keep what they
// hold when they are closed.
func every(t testing.TB) []kvtest.Place {
	disk := vfs.NewMem()
	list := []kvtest.Place{lasting(plain), func() (kv.Driver, error) { return openPebble(disk, "kv") }}
	if withRocks {
		dir := t.TempDir()
		list = append(list, func() (kv.Driver, error) { return openRocks(dir) })
	}
	return list
}

// disks are the engines that keep their files on the real disk.
func disks() map[string]func(dir string) (kv.Driver, error) {
	list := map[string]func(dir string) (kv.Driver, error){
		"pebble": func(dir string) (kv.Driver, error) { return openPebble(nil, dir) },
	}
	if withRocks {
		list["rocksdb"] = openRocks
	}
	return list
}

func TestTogether(t *testing.T) {
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		if err := kvtest.Together(t.Context(), s, *steps, every(t)...); err != nil {
			t.Errorf("%v\nreplay: -run TestTogether -seed %d -seeds 1 -steps %d", err, s, *steps)
		}
	}
}

func TestReplicas(t *testing.T) {
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		if err := kvtest.Replicas(t.Context(), s, 4**steps, append(every(t), lasting(plain))...); err != nil {
			t.Errorf("%v\nreplay: -run TestReplicas -seed %d -seeds 1 -steps %d", err, s, *steps)
		}
	}
}
