package snapshot

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestCrew lets tasks end in any order: they are taken in the order in which
// they were begun, no more run at once than there are tools, no more wait than
// were asked for, and each tool comes back once.
func TestCrew(t *testing.T) {
	for workers := 1; workers <= 5; workers++ {
		for most := workers; most <= workers+3; most++ {
			t.Run(fmt.Sprintf("%d of %d", workers, most), func(t *testing.T) { crewKeepsOrder(t, workers, most) })
		}
	}
}

func crewKeepsOrder(t *testing.T, workers, most int) {
	type task struct{ in, out int }
	var running, atOnce atomic.Int64
	c := newCrew(make([]*int, workers), most, func(_ *int, t *task) {
		for n := running.Add(1); ; {
			if old := atOnce.Load(); n <= old || atOnce.CompareAndSwap(old, n) {
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
			t.Fatalf("took %+v, want task %d", *got, next)
		}
		next++
	}
	for i := range 200 {
		if c.full() != (i-next >= most) {
			t.Fatalf("full = %v with %d tasks", c.full(), i-next)
		}
		if c.full() {
			take()
		}
		c.next().in = i
		c.begin()
	}
	for !c.idle() {
		take()
	}
	if next != 200 || c.take() != nil || atOnce.Load() > int64(workers) {
		t.Errorf("%d tasks, %d at once", next, atOnce.Load())
	}
	c.next().in = 200 // begun, and never taken
	c.begin()
	freed := 0
	for range 2 {
		c.dismiss(func(*int) { freed++ })
	}
	if freed != workers || running.Load() != 0 {
		t.Errorf("%d tools came back, %d tasks run", freed, running.Load())
	}
}

// TestCrewWaitsForTheOldest lets the second task end while the first runs: it is
// the first that is taken, and only when it ended.
func TestCrewWaitsForTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		type task struct{ in, out int }
		c := newCrew(make([]int, 2), 2, func(_ int, t *task) {
			if t.in == 1 {
				<-hold
			}
			t.out = t.in
		})
		for in := 1; in <= 2; in++ {
			c.next().in = in
			c.begin()
		}
		go func() {
			synctest.Wait() // all that can go on without the first did
			close(hold)
		}()
		for want := 1; want <= 2; want++ {
			if got := c.take(); got.in != want || got.out != want {
				t.Errorf("took %+v, want %d and what it gave", *got, want)
			}
		}
		c.dismiss(func(int) {})
	})
}

// TestCrewEnd holds the oldest task up: those behind it are told of as they end,
// each once, and are taken behind it all the same.
func TestCrewEnd(t *testing.T) {
	type task struct {
		n    int
		hold chan struct{}
	}
	c := newCrew(make([]int, 2), 4, func(_ int, t *task) { <-t.hold })
	holds := make([]chan struct{}, 4)
	for i := range holds {
		holds[i] = make(chan struct{})
		*c.next() = task{n: i, hold: holds[i]}
		c.begin()
	}
	for _, i := range []int{1, 3, 2} {
		// The task runs or will: only one before it holds a tool.
		close(holds[i])
	}
	seen := map[int]bool{}
	for range 3 {
		if c.ready() {
			t.Fatal("ready, and the oldest task is held up")
		}
		seen[c.end().n] = true
	}
	if !seen[1] || !seen[2] || !seen[3] {
		t.Errorf("ended: %v, want 1, 2 and 3", seen)
	}
	close(holds[0])
	if got := c.end(); got.n != 0 || !c.ready() {
		t.Errorf("ended %d, ready = %v, want 0, true", got.n, c.ready())
	}
	for i := range holds {
		if got := c.take(); got.n != i {
			t.Errorf("took %d, want %d", got.n, i)
		}
	}
	c.dismiss(func(int) {})
}
