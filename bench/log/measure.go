package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// bulk is how many operations share a look at the clock where one operation
// is not much longer than that look.
const bulk = 512

// timed is what a loop of operations gave.
type timed struct {
	ops    int
	took   time.Duration
	each   []time.Duration // empty in bulk
	allocs float64
	bytes  float64
}

// repeat runs op until the budget is spent, and at least twice.
func repeat(budget time.Duration, op func() error) (timed, error) {
	t := timed{each: make([]time.Duration, 0, 1<<14)}
	before := allocated()
	start := time.Now()
	last := start
	for t.ops < 2 || last.Sub(start) < budget {
		if err := op(); err != nil {
			return t, err
		}
		now := time.Now()
		t.each = append(t.each, now.Sub(last))
		last = now
		t.ops++
	}
	t.finish(last.Sub(start), before)
	return t, nil
}

// repeatBulk is repeat for operations that are shorter than the clock.
func repeatBulk(budget time.Duration, op func() error) (timed, error) {
	var t timed
	before := allocated()
	start := time.Now()
	for t.ops == 0 || time.Since(start) < budget {
		for range bulk {
			if err := op(); err != nil {
				return t, err
			}
		}
		t.ops += bulk
	}
	t.finish(time.Since(start), before)
	return t, nil
}

func (t *timed) finish(took time.Duration, before runtime.MemStats) {
	after := allocated()
	t.took = took
	t.allocs = float64(after.Mallocs-before.Mallocs) / float64(t.ops)
	t.bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(t.ops)
	slices.Sort(t.each)
}

func (t *timed) mean() float64 { return micros(t.took) / float64(t.ops) }
func (t *timed) rate() float64 { return float64(t.ops) / t.took.Seconds() }

// at returns a percentile, in microseconds.
func (t *timed) at(p float64) float64 {
	if len(t.each) == 0 {
		return 0
	}
	return micros(t.each[min(len(t.each)-1, int(p*float64(len(t.each))))])
}

func (t *timed) sample() sample {
	return sample{
		colMean.name: t.mean(), colP50.name: t.at(0.5), colP99.name: t.at(0.99),
		colAllocs.name: t.allocs, colBytes.name: t.bytes,
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func allocated() runtime.MemStats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m
}

// heap is what is reachable, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	return float64(allocated().HeapAlloc)
}

// feed makes incompressible payloads, each stamped with its index, and keeps
// count of a log's next one.
type feed struct {
	next     uint64
	payloads [][]byte
}

func newFeed(seed uint64, n, size int, next uint64) *feed {
	buf := make([]byte, n*size)
	src := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 3: byte(seed >> 24)})
	_, _ = src.Read(buf) // never fails
	f := &feed{next: next}
	for i := range n {
		f.payloads = append(f.payloads, buf[i*size:(i+1)*size])
	}
	return f
}

// append writes the payloads as one batch.
func (f *feed) append(l peer.Log) error {
	for i, p := range f.payloads {
		binary.LittleEndian.PutUint64(p, f.next+uint64(i))
	}
	if err := l.Append(f.next, f.payloads); err != nil {
		return fmt.Errorf("append %d: %w", f.next, err)
	}
	f.next += uint64(len(f.payloads))
	return nil
}

// visitor counts entries and checks that each is the one it should be.
type visitor struct {
	next uint64
	size int
}

func (v *visitor) visit(index uint64, p []byte) error {
	if index != v.next || len(p) != v.size || binary.LittleEndian.Uint64(p) != index {
		return fmt.Errorf("read entry %d of %d bytes, want %d of %d", index, len(p), v.next, v.size)
	}
	v.next++
	return nil
}
