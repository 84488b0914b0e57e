package seglog_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// alive is a log that is written to and compacted while it is inspected.
type alive struct {
	s     *seglog.Store
	l     *raftlog.Log
	acked atomic.Uint64
	done  chan struct{}
}

// writeOn writes so many entries, keeps the last hundred, and says so.
func (a *alive) writeOn(t *testing.T, n uint64) {
	defer close(a.done)
	for i := uint64(1); i <= n; i++ {
		b := raftlog.Batch{
			Entries: []raftlog.Entry{{Index: i, Term: 1 + i/100, Data: bytes.Repeat(payload(i), int(i%40))}},
			Stable:  []raftlog.StableKV{{Key: "vote", Value: payload(i)}},
		}
		if i > 100 && i%10 == 0 {
			b.CompactTo = i - 100
		}
		if err := a.l.Write(b); err != nil {
			t.Error(err)
			return
		}
		a.acked.Store(i)
	}
}

// inspect looks once, and returns what it found. Everything acknowledged before
// is there, and every entry is what was written.
func (a *alive) inspect(t *testing.T, dir string, fsys vfs.FS, verify bool) (b raftlog.Bounds, moved bool) {
	acked := a.acked.Load()
	i, err := seglog.Inspect(dir, &seglog.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}()
	if info := i.Info(); !info.Live || info.Holder != os.Getpid() || info.Recovery != (seglog.Recovery{}) {
		t.Fatalf("Info = %+v, want a log that this process holds", info)
	}
	if b, err = i.Bounds(raftlog.Group{}); err != nil || b.Last < acked {
		t.Fatalf("Bounds = %+v, %v, acknowledged were %d", b, err, acked)
	}
	if verify {
		if r, err := i.Verify(context.Background(), nil); err != nil || len(r.Damage) > 0 {
			t.Fatalf("Verify = %+v, %v", r, err)
		}
	}
	for next := b.First(); next <= b.Last && !moved; {
		es, err := i.Read(nil, raftlog.Group{}, next, b.Last+1, 4000)
		if moved = errors.Is(err, seglog.ErrMoved); err != nil && !moved {
			t.Fatalf("Read from %d = %v", next, err)
		}
		for _, e := range es {
			if e.Index != next || e.Term != 1+next/100 || !bytes.Equal(e.Data, bytes.Repeat(payload(next), int(next%40))) {
				t.Fatalf("entry %d = %+v", next, e)
			}
			next++
		}
	}
	return b, moved
}

// A log that is written to, with segments that are sealed, recycled, begun anew
// and removed all the time, is inspected again and again: never an error, and
// never less than before.
func TestInspectBesideAWriter(t *testing.T) {
	for name, tc := range map[string]struct {
		fs vfs.FS
		n  uint64
	}{"disk": {nil, 400}, "memory": {vfs.NewMem(), 40_000}} {
		t.Run(name, func(t *testing.T) {
			dir := "log"
			if tc.fs == nil {
				dir = t.TempDir()
			}
			a := &alive{done: make(chan struct{})}
			var err error
			if a.s, err = seglog.Open(dir, &seglog.Options{FS: tc.fs, SegmentSize: 6000}); err != nil {
				t.Fatal(err)
			}
			if a.l, err = a.s.Log(raftlog.Group{}); err != nil {
				t.Fatal(err)
			}
			var wait sync.WaitGroup
			wait.Go(func() { a.writeOn(t, tc.n) })
			defer wait.Wait() // also where an inspection ends the test
			looks, moves := a.look(t, dir, tc.fs)
			t.Logf("%d inspections beside %d writes, %d of which the log had moved away under", looks, tc.n, moves)
			if err := errors.Join(a.l.Close(), a.s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// look inspects until the writer is done, and once more.
func (a *alive) look(t *testing.T, dir string, fsys vfs.FS) (looks, moves int) {
	var last raftlog.Bounds
	for over := false; !over; looks++ {
		select {
		case <-a.done:
			over = true
		default:
		}
		b, moved := a.inspect(t, dir, fsys, looks%4 == 0)
		if b.Last < last.Last || b.Base.Index < last.Base.Index {
			t.Fatalf("Bounds = %+v after %+v", b, last)
		}
		if last = b; moved {
			moves++
		}
	}
	return looks, moves
}

// Behind the end of a log that is held lies what is being written, and not a
// torn tail or damage.
func TestInspectATornEndThatIsHeld(t *testing.T) {
	im, n := threeSegments(t)
	whole := im[lastSegment]
	fsys := im.with("CLEAN", nil).with(lastSegment, append(bytes.Clone(whole[:framesEnd(whole)-1]), "garbage"...)).fs(t)
	_, info, err := inspected(t, fsys)
	if err != nil || !info.Recovery.Torn || info.Recovery.Path != "log/"+lastSegment {
		t.Errorf("nobody holds it: Info = %+v, %v, want a torn tail", info, err)
	}
	root, err := fsys.Sub("log")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := root.Lock("LOCK")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	found, info, err := inspected(t, fsys)
	if err != nil || !info.Live || info.Recovery != (seglog.Recovery{}) {
		t.Errorf("held: Info = %+v, %v, want it live and nothing torn", info, err)
	}
	if text := found[raftlog.Group{Shard: group1}]; strings.Count(text, "\n{entry ") != int(n-3) {
		t.Errorf("the inspection found\n%s\nwant entries 3 to %d", text, n-1)
	}
}

// Entries whose segment became another one are not damaged: the log has moved
// on. The same bytes in a segment that is still there are.
func TestInspectAfterTheLogMovedOn(t *testing.T) {
	fsys := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 2000, Background: inline})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Log(raftlog.Group{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(lo, hi, compact uint64) {
		for i := lo; i < hi; i++ {
			b := raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: bytes.Repeat(payload(i), 10)}}}
			if compact > 0 {
				b.CompactTo = i - 1
			}
			if err := l.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(1, 30, 0)
	i, err := seglog.Inspect("log", &seglog.Options{FS: watched(t, fsys)})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	write(30, 100, 1)
	if _, err := i.Read(nil, raftlog.Group{}, 1, 30, 1<<20); !errors.Is(err, seglog.ErrMoved) || errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Read of recycled segments = %v, want ErrMoved", err)
	}
	if r, err := i.Verify(t.Context(), nil); err != nil || len(r.Damage) > 0 {
		t.Errorf("Verify of recycled segments = %+v, %v", r, err)
	}
}
