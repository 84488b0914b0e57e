package gate

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestCloseWaitsForThoseInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		if !g.Enter() {
			t.Fatal("Enter = false on an open gate")
		}
		var closed atomic.Bool
		go func() {
			if !g.Close() {
				t.Error("first Close = false, want true")
			}
			closed.Store(true)
		}()
		synctest.Wait()
		if closed.Load() {
			t.Fatal("Close returned while a call was inside")
		}
		if g.Enter() {
			t.Error("Enter = true on a closed gate")
		}
		g.Leave()
		synctest.Wait()
		if !closed.Load() {
			t.Error("Close did not return after the last call left")
		}
		if g.Close() {
			t.Error("second Close = true, want false")
		}
	})
}

func TestManyCallers(t *testing.T) {
	var g Gate
	var inside, entered atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for g.Enter() {
				inside.Add(1)
				entered.Add(1)
				inside.Add(-1)
				g.Leave()
			}
		})
	}
	for entered.Load() < 1000 {
	}
	g.Close()
	if n := inside.Load(); n != 0 {
		t.Errorf("%d calls inside after Close", n)
	}
	wg.Wait()
}
