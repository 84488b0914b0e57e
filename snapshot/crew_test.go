package snapshot

import (
	"sync/atomic"
	"testing"
)

// TestCrew lets tasks end in any order: they are taken in the order in which
// they were begun, no more run at once than there are tools, and each tool
// comes back once.
func TestCrew(t *testing.T) {
	for workers := 1; workers <= 5; workers++ {
		type task struct{ in, out int }
		var running, most atomic.Int64
		c := newCrew(make([]*int, workers), func(_ *int, t *task) {
			for n := running.Add(1); ; {
				if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
					break
				}
			}
			t.out = t.in * t.in
			running.Add(-1)
		})
		next := 0
		take := func() {
			t.Helper()
			if got := c.take(); got.in != next || got.out != next*next {
				t.Fatalf("%d workers: took %+v, want task %d", workers, *got, next)
			}
			next++
		}
		for i := range 200 {
			if c.full() {
				take()
			}
			c.next().in = i
			c.begin()
		}
		for !c.idle() {
			take()
		}
		if next != 200 || c.take() != nil || most.Load() > int64(workers) {
			t.Errorf("%d workers: %d tasks, %d at once", workers, next, most.Load())
		}
		c.next().in = 200 // begun, and never taken
		c.begin()
		freed := 0
		for range 2 {
			c.dismiss(func(*int) { freed++ })
		}
		if freed != workers || running.Load() != 0 {
			t.Errorf("%d workers: %d tools came back, %d run", workers, freed, running.Load())
		}
	}
}
