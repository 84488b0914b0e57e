package kv_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func TestPoliciesSyncWhenTheySay(t *testing.T) {
	for policy, want := range map[kv.SyncPolicy]int{kv.SyncBatch: 3, kv.SyncAlways: 3, kv.SyncNever: 0} {
		e := newEngine(t)
		s := open(t, e, &kv.Options{Sync: policy})
		put(t, s, "a", "1", "b", "2", "c", "3")
		if err := s.Update(t.Context(), func(*kv.WriteTx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if e.count() != want {
			t.Errorf("%v: %d syncs for 3 commits, want %d", policy, e.count(), want)
		}
		st, err := s.Stats()
		if err != nil || st.Unsynced != (policy == kv.SyncNever) || st.Syncs != uint64(want) {
			t.Errorf("%v: Stats = %+v, %v", policy, st, err)
		}
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if e.count() != max(want, 1) {
			t.Errorf("%v: %d syncs after Sync and Close, want %d", policy, e.count(), max(want, 1))
		}
	}
}

func TestAnOpenedStoreCanBeSynced(t *testing.T) {
	e := newEngine(t)
	s := open(t, e, nil)
	for range 2 {
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if e.count() != 1 {
		t.Errorf("%d syncs, want 1: what the engine held before may be unsynced", e.count())
	}
}

// While one sync runs, the commits that wait share the next.
func TestWaitingCommitsShareASync(t *testing.T) {
	for policy, want := range map[kv.SyncPolicy]int{kv.SyncBatch: 2, kv.SyncAlways: 11} {
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t)
			hold := make(chan struct{})
			e.sync = func() error { <-hold; return nil }
			s := open(t, e, &kv.Options{Sync: policy})
			var wg sync.WaitGroup
			var returned atomic.Int64
			for i := range 11 {
				wg.Go(func() {
					put(t, s, fmt.Sprint(i), "x")
					returned.Add(1)
				})
				synctest.Wait()
			}
			if n, err := s.Count(t.Context(), kv.Range{}); n != 11 || err != nil {
				t.Errorf("%v: %d rows visible, %v, want 11: the writer lock is held during a sync", policy, n, err)
			}
			if e.count() != 1 {
				t.Errorf("%v: %d syncs began, want 1", policy, e.count())
			}
			hold <- struct{}{}
			synctest.Wait()
			if n := returned.Load(); n != 1 || e.count() != 2 {
				t.Errorf("%v: %d commits returned while sync %d of those behind runs, want 1 and 2", policy, n, e.count())
			}
			close(hold)
			wg.Wait()
			if e.count() != want {
				t.Errorf("%v: %d syncs for 11 commits, want %d", policy, e.count(), want)
			}
		})
	}
}

// Nobody waits for the sync of an interval, so Close is who tells that it
// failed. It returned nil.
func TestIntervalSyncsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		s := open(t, e, &kv.Options{Sync: kv.SyncInterval, FlushInterval: time.Second})
		put(t, s, "a", "1", "b", "2")
		if e.count() != 0 {
			t.Errorf("%d syncs before the interval, want 0", e.count())
		}
		time.Sleep(5 * time.Second)
		if e.count() != 1 {
			t.Errorf("%d syncs after five intervals, want 1", e.count())
		}
		e.sync = func() error { return errors.New("disk gone") }
		put(t, s, "c", "3")
		time.Sleep(2 * time.Second)
		if err := s.Put(t.Context(), []byte("d"), nil); !errors.Is(err, fault.ErrPoisoned) {
			t.Errorf("Put after a failed flush = %v, want poisoned", err)
		}
		if err := s.Close(); !errors.Is(err, fault.ErrPoisoned) {
			t.Errorf("Close after a failed flush = %v, want poisoned", err)
		}
	})
}

func TestAFailedSyncPoisons(t *testing.T) {
	gone := errors.New("disk gone")
	for name, fail := range map[string]func(e *engine){
		"sync":   func(e *engine) { e.sync = func() error { return gone } },
		"commit": func(e *engine) { e.commit = gone },
	} {
		e := newEngine(t)
		s := open(t, e, nil)
		put(t, s, "a", "1")
		pending, err := s.BeginImport(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fail(e)
		if err := s.Put(t.Context(), []byte("b"), nil); !errors.Is(err, gone) {
			t.Errorf("%s: Put = %v, want %v", name, err, gone)
		}
		e.sync, e.commit = nil, nil
		syncs := e.count()
		for what, err := range map[string]error{
			"Put": s.Put(t.Context(), []byte("c"), nil), "Sync": s.Sync(), "SetIdentity": s.SetIdentity(kv.Identity{Epoch: 1}),
		} {
			if !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, gone) {
				t.Errorf("%s: %s afterwards = %v, want poisoned by %v", name, what, err, gone)
			}
		}
		if err := pending.Abort(); err != nil {
			t.Error(err)
		}
		if _, err := s.BeginImport(t.Context()); !errors.Is(err, fault.ErrPoisoned) {
			t.Errorf("%s: BeginImport afterwards = %v, want poisoned", name, err)
		}
		if v, err := s.Get(t.Context(), []byte("a")); string(v) != "1" || err != nil {
			t.Errorf("%s: Get afterwards = %q, %v, want 1", name, v, err)
		}
		st, err := s.Stats()
		if err != nil || !errors.Is(st.Poisoned, gone) {
			t.Errorf("%s: Stats().Poisoned = %v, %v, want %v", name, st.Poisoned, err, gone)
		}
		if err := s.Close(); !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, gone) || e.count() != syncs {
			t.Errorf("%s: Close = %v with %d more syncs, want poisoned by %v and none", name, err, e.count()-syncs, gone)
		}
		put(t, open(t, e, nil), "d", "4")
	}
}

func TestAFullEngineChangesNothing(t *testing.T) {
	e := newEngine(t)
	s := open(t, e, nil)
	put(t, s, "a", "1")
	e.commit = fmt.Errorf("no room: %w", fault.ErrFull)
	if err := s.Put(t.Context(), []byte("b"), nil); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Put = %v, want full", err)
	}
	e.commit = nil
	put(t, s, "c", "3")
	if got := keys(t, s.Scan(t.Context(), kv.Range{})); got != "a c " {
		t.Errorf("rows = %q, want a c", got)
	}
}

func TestAWallClockDoesNotGoBack(t *testing.T) {
	e := newEngine(t)
	now := at(0)
	o := &kv.Options{Clock: func() time.Time { return now }}
	s := open(t, e, o)
	if err := s.PutTTL(t.Context(), []byte("a"), []byte("1"), time.Minute); err != nil {
		t.Fatal(err)
	}
	put(t, s, "b", "2")
	rows := func(want string) {
		t.Helper()
		if got := keys(t, s.Scan(t.Context(), kv.Range{})); got != want {
			t.Errorf("rows at %v = %q, want %q", now, got, want)
		}
	}
	rows("a b ")
	now = at(300) // a day without a write is no jump
	rows("b ")
	now = at(0)
	rows("b ")
	now = at(301)
	put(t, s, "c", "3")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now = at(0)
	s = open(t, e, o)
	rows("b c ")
	if m, err := s.Mark(t.Context()); err != nil || !m.Clock.Equal(at(301)) {
		t.Errorf("clock after a reopen = %v, %v, want %v", m.Clock, err, at(301))
	}
	if _, err := s.Bind(); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Bind with a wall clock = %v, want invalid", err)
	}
	var sum kv.Summary
	c, err := s.Capture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now = at(400)
	if sum.Mark = c.Mark(); !sum.Mark.Clock.Equal(at(301)) {
		t.Errorf("clock of a capture = %v, want %v", sum.Mark.Clock, at(301))
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
}

// Close lets a call end that is under way, and stops a walk at its next row.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		s := open(t, e, &kv.Options{Sync: kv.SyncBatch})
		put(t, s, "a", "1", "b", "2")
		hold := make(chan struct{})
		e.sync = func() error { <-hold; return nil }
		var wg sync.WaitGroup
		wg.Go(func() { put(t, s, "c", "3") })
		var last error
		wg.Go(func() {
			for _, err := range s.Scan(t.Context(), kv.Range{}) {
				last = err
				<-hold
			}
		})
		synctest.Wait()
		closed := false
		wg.Go(func() { _ = s.Close(); closed = true })
		synctest.Wait()
		if closed {
			t.Error("Close returned with calls under way")
		}
		close(hold)
		wg.Wait()
		if !closed || !errors.Is(last, fault.ErrClosed) {
			t.Errorf("closed %v, the walk ended with %v, want closed", closed, last)
		}
	})
}
