package seglog_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// disk counts and can hold up the syncs of a log.
type disk struct {
	syncs atomic.Int64
	hold  atomic.Bool
	held  chan struct{} // a sync waits here while hold is set
}

func (d *disk) before(op vfs.Op) error {
	if op.Kind == "syncdata" {
		if d.hold.Load() {
			<-d.held
		}
		d.syncs.Add(1)
	}
	return nil
}

func openOn(t *testing.T, d *disk, o seglog.Options) *seglog.Store {
	t.Helper()
	o.FS = vfs.Hook(vfs.NewMem(), d.before)
	s, err := seglog.Open("log", &o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appendOne(s *seglog.Store, g raftlog.Group, index uint64) error {
	return s.Write(raftlog.GroupBatch{Group: g, Batch: raftlog.Batch{Entries: []raftlog.Entry{{Index: index, Term: 1, Data: payload(index)}}}})
}

// While one sync is under way the writers that arrive wait, and the next sync
// serves all of them, whatever their groups; under Always each has its own.
func TestGroupCommit(t *testing.T) {
	for policy, want := range map[seglog.SyncPolicy]int64{seglog.SyncBatch: 2, seglog.SyncAlways: 21} {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{held: make(chan struct{})}
			s := openOn(t, d, seglog.Options{Sync: policy})
			d.hold.Store(true)
			before := d.syncs.Load()
			var wg sync.WaitGroup
			for w := range 21 {
				wg.Go(func() {
					if err := appendOne(s, raftlog.Group{Shard: uint64(w)}, 1); err != nil {
						t.Error(err)
					}
				})
				if w == 0 {
					synctest.Wait() // the first one leads
				}
			}
			synctest.Wait() // the others wait
			d.hold.Store(false)
			close(d.held)
			wg.Wait()
			if got := d.syncs.Load() - before; got != want {
				t.Errorf("%v: %d syncs for 21 writers, want %d", policy, got, want)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Nothing is visible before it is acknowledged.
func TestVisibleWhenAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{held: make(chan struct{})}
		s := openOn(t, d, seglog.Options{})
		d.hold.Store(true)
		done := make(chan error, 1)
		go func() { done <- appendOne(s, raftlog.Group{}, 1) }()
		synctest.Wait()
		if b, err := s.Bounds(raftlog.Group{}); err != nil || b.Last != 0 {
			t.Errorf("Bounds before the sync = %+v, %v, want an empty log", b, err)
		}
		close(d.held)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if b, err := s.Bounds(raftlog.Group{}); err != nil || b.Last != 1 {
			t.Errorf("Bounds = %+v, %v, want last 1", b, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Interval and Never acknowledge entries without a sync, and never a stable
// key. Interval syncs behind their backs.
func TestUnsafePolicies(t *testing.T) {
	for _, policy := range []seglog.SyncPolicy{seglog.SyncInterval, seglog.SyncNever} {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{}
			s := openOn(t, d, seglog.Options{Sync: policy, FlushInterval: time.Second})
			syncs := func(what string, want int64, do func() error) {
				t.Helper()
				before := d.syncs.Load()
				if err := do(); err != nil {
					t.Error(err)
				}
				if got := d.syncs.Load() - before; got != want {
					t.Errorf("%v: %d syncs for %s, want %d", policy, got, what, want)
				}
			}
			vote := raftlog.GroupBatch{Batch: raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("1")}}}}
			syncs("an entry", 0, func() error { return appendOne(s, raftlog.Group{}, 1) })
			syncs("a vote", 1, func() error { return s.Write(vote) })
			syncs("an entry", 0, func() error { return appendOne(s, raftlog.Group{}, 2) })
			syncs("Sync", 1, s.Sync)
			syncs("a removal", 1, func() error { return s.Remove(raftlog.Group{Shard: 7}) })
			syncs("an entry", 0, func() error { return appendOne(s, raftlog.Group{}, 3) })
			want := int64(0)
			if policy == seglog.SyncInterval {
				want = 1
			}
			syncs("the time", want, func() error {
				<-time.After(2500 * time.Millisecond)
				synctest.Wait()
				return nil
			})
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func names(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	var names []string
	for name := range take(t, fsys) {
		if _, ok := seqOf(name); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func seqOf(name string) (string, bool) {
	return name, len(name) == len(lastSegment) && name[len(name)-4:] == ".seg"
}

// Segments in which nothing lives any more are removed, oldest first, also
// those that hold the truncations and votes of what is still there.
func TestDeadSegmentsAreRemoved(t *testing.T) {
	fsys := vfs.NewMem()
	var removed []string
	var mu sync.Mutex
	o := &seglog.Options{SegmentSize: 500, Background: inline, FS: vfs.Hook(fsys, func(op vfs.Op) error {
		if _, ok := seqOf(op.Name[max(0, len(op.Name)-len(lastSegment)):]); ok && op.Kind == "remove" {
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, op.Name)
		}
		return nil
	})}
	s, err := seglog.Open("log", o)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 40)
	before := len(names(t, fsys))
	idle := raftlog.Group{Shard: 99}
	if err := appendOne(s, idle, 1); err != nil {
		t.Fatal(err)
	}
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(41); i <= 60; i++ { // the vote of fill is not written again
		if err := l.Append(raftlog.Entry{Index: i, Term: 2, Data: payload(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.TruncateFrom(60), l.CompactTo(58), s.Close()); err != nil {
		t.Fatal(err)
	}
	if after := names(t, fsys); len(after) >= before+2 || !slices.IsSorted(removed) || len(removed) == 0 {
		t.Errorf("segments %v, removed %v, want those before the idle group's gone", after, removed)
	}
	if s, err = seglog.Open("log", o); err != nil {
		t.Fatal(err)
	}
	if l, err = s.Log(raftlog.Group{Shard: group1}); err != nil {
		t.Fatal(err)
	}
	b, err := l.Bounds()
	if err != nil || b.Base != (raftlog.Position{Index: 58, Term: 2}) || b.Last != 59 {
		t.Errorf("Bounds = %+v, %v, want base 58 of term 2, last 59", b, err)
	}
	if vote, err := l.Stable("vote"); err != nil || string(vote) != string(payload(40)) {
		t.Errorf("vote = %q, %v, want the one from a removed segment", vote, err)
	}
	if e, err := s.Read(nil, idle, 1, 2, 0); err != nil || string(e[0].Data) != string(payload(1)) {
		t.Errorf("the idle group's entry = %v, %v", e, err)
	}
	if err := errors.Join(s.Remove(idle), s.Close()); err != nil {
		t.Fatal(err)
	}
	if after := names(t, fsys); len(after) > 3 {
		t.Errorf("segments %v after the idle group was removed", after)
	}
}

// A reader that is under way keeps a dead segment until it is done.
func TestReaderKeepsItsSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		hold := make(chan struct{})
		var holding atomic.Bool
		s, err := seglog.Open("log", &seglog.Options{SegmentSize: 1000, TailCache: -1, FS: vfs.Hook(mem, func(op vfs.Op) error {
			if op.Kind == "read" && holding.Load() {
				<-hold
			}
			return nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		data := bytes.Repeat([]byte("x"), 300)
		for i := uint64(1); i <= n; i++ {
			if err := s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: data}}}}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		first := names(t, mem)[0]
		if _, err := s.Read(nil, raftlog.Group{}, 1, 2, 0); err != nil { // its index is in memory now
			t.Fatal(err)
		}
		holding.Store(true)
		read := make(chan error, 1)
		go func() {
			e, err := s.Read(nil, raftlog.Group{}, 1, 2, 0)
			if err == nil && !bytes.Equal(e[0].Data, data) {
				err = errors.New("wrong bytes")
			}
			read <- err
		}()
		synctest.Wait()
		if err := s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{CompactTo: n}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := names(t, mem)[0]; got != first {
			t.Errorf("%s was removed while a read was under way", first)
		}
		close(hold)
		if err := <-read; err != nil {
			t.Errorf("read beside the removal: %v", err)
		}
		<-time.After(time.Minute) // removals are paced
		synctest.Wait()
		if got := names(t, mem); len(got) != 1 {
			t.Errorf("segments %v after the read, want the active one", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
