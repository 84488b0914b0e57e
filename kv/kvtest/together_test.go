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

// every is a place of each engine, those in memory first; all keep what they
// hold when they are closed.
func every(t testing.TB) []kvtest.Place {
	disk := vfs.NewMem()
	small := &pebblekv.Options{FS: disk, CacheSize: 1 << 20, WriteBufferSize: 64 << 10, MaxWriteBuffers: 2}
	pebble := func() (kv.Driver, error) { return pebblekv.Open("kv", small) }
	return append([]kvtest.Place{lasting(plain), pebble}, onRocks(t)...)
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
