package pebblekv_test

import (
	"flag"
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
)

var (
	seed  = flag.Uint64("seed", 1, "first seed of the random test")
	seeds = flag.Int("seeds", 3, "how many seeds the random test runs")
	steps = flag.Int("steps", 400, "how many steps each seed makes")
)

// options are small, so that tests reach what a large store does.
func options(fsys vfs.FS) *pebblekv.Options {
	return &pebblekv.Options{FS: fsys, CacheSize: 1 << 20, WriteBufferSize: 256 << 10, MaxWriteBuffers: 2}
}

func onDisk(t testing.TB) kvtest.Place {
	dir := t.TempDir()
	return func() (kv.Driver, error) { return pebblekv.Open(dir, options(nil)) }
}

func inMemory(testing.TB) kvtest.Place {
	fsys := vfs.NewMem()
	return func() (kv.Driver, error) { return pebblekv.Open("kv", options(fsys)) }
}

func TestContractOnDisk(t *testing.T)   { kvtest.Run(t, onDisk) }
func TestContractInMemory(t *testing.T) { kvtest.Run(t, inMemory) }

func TestRandom(t *testing.T) {
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		t.Logf("seed %d", s)
		if err := kvtest.Random(t.Context(), inMemory(t), s, *steps); err != nil {
			t.Errorf("%v\nreplay: -run TestRandom -seed %d -seeds 1 -steps %d", err, s, *steps)
		}
	}
}
