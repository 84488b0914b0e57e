package seglog_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

var fullDir = flag.String("full.dir", "", "empty directory of a file system of about 8 MiB for TestFullFileSystem; by default one is simulated")

// small is a file system of 8 MiB.
func small(t *testing.T) vfs.FS {
	t.Helper()
	if *fullDir == "" {
		return simdisk.New(&simdisk.Options{Capacity: 8 << 20}).FS()
	}
	root, err := vfs.Disk(*fullDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(vfs.RemoveAll(root, "log"), vfs.RemoveAll(root, "ballast"), vfs.RemoveAll(root, "more"), root.Close()); err != nil {
			t.Error(err)
		}
	})
	return root
}

// filler writes to a log of one group what it can check.
type filler struct {
	t    *testing.T
	s    *seglog.Store
	last uint64 // acknowledged
	vote int
}

func (f *filler) entry(i uint64) raftlog.Entry {
	return raftlog.Entry{Index: i, Term: 1, Data: bytes.Repeat(fmt.Appendf(nil, "%08d", i), 1<<10)}
}

// fill appends entries until there is no room, and says how many.
func (f *filler) fill() (n int) {
	f.t.Helper()
	for ; ; n++ {
		err := f.s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{Entries: []raftlog.Entry{f.entry(f.last + 1)}}})
		if errors.Is(err, fault.ErrFull) {
			return n
		}
		if err != nil {
			f.t.Fatalf("append %d = %v, want ErrFull or none", f.last+1, err)
		}
		f.last++
	}
}

// votes saves some.
func (f *filler) votes() {
	f.t.Helper()
	for range 100 {
		vote := raftlog.StableKV{Key: "vote", Value: fmt.Append(nil, f.vote+1)}
		if err := f.s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{Stable: []raftlog.StableKV{vote}}}); err != nil {
			f.t.Fatalf("vote %d on a full disk: %v", f.vote+1, err)
		}
		f.vote++
	}
}

// check reads everything back.
func (f *filler) check() {
	f.t.Helper()
	b, err := f.s.Bounds(raftlog.Group{})
	if err != nil || b.Last != f.last {
		f.t.Fatalf("Bounds = %+v, %v, want last %d", b, err, f.last)
	}
	for i := b.First(); i <= b.Last; i++ {
		es, err := f.s.Read(nil, raftlog.Group{}, i, i+1, 1<<20)
		if err != nil || !bytes.Equal(es[0].Data, f.entry(i).Data) {
			f.t.Fatalf("entry %d: %v", i, err)
		}
	}
	if vote, err := f.s.Stable(raftlog.Group{}, "vote"); err != nil || string(vote) != fmt.Sprint(f.vote) {
		f.t.Errorf("vote = %q, %v, want %d", vote, err, f.vote)
	}
	report, err := f.s.Verify(f.t.Context(), nil)
	if err != nil || len(report.Damage) > 0 {
		f.t.Errorf("Verify = %+v, %v", report, err)
	}
}

// On a small file system that is full nothing acknowledged is lost and votes
// are saved. The log goes on when others leave room, and when it makes room
// itself.
func TestFullFileSystem(t *testing.T) {
	root := small(t)
	put := func(name string, size int) {
		if err := vfs.WriteFile(root, name, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	leave := func(name string) {
		if err := errors.Join(root.Remove(name), root.SyncDir(".")); err != nil {
			t.Fatal(err)
		}
	}
	put("ballast", 2<<20)
	put("more", 1<<20)
	o := &seglog.Options{FS: root, SegmentSize: 1 << 20, Background: inline}
	s, err := seglog.Open("log", o)
	if err != nil {
		t.Fatal(err)
	}
	f := &filler{t: t, s: s}
	first := f.fill()
	f.votes()
	f.check()
	leave("ballast")
	more := f.fill()
	f.votes()
	f.check()
	if err := s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{CompactTo: f.last / 2}}); err != nil {
		t.Fatalf("compaction on a full disk: %v", err)
	}
	again := f.fill()
	f.votes()
	f.check()
	t.Logf("%d entries of 8 KiB fit, %d more when 2 MiB were free, %d more after a compaction of half", first, more, again)
	if first < 300 || more < 150 || again < 150 {
		t.Error("fewer entries fit than there is room for")
	}
	if err := s.Close(); err != nil && !vfs.IsFull(err) { // there may be no room for the mark
		t.Errorf("Close = %v", err)
	}
	leave("more")
	if f.s, err = seglog.Open("log", o); err != nil {
		t.Fatalf("open: %v", err)
	}
	f.check()
	if err := f.s.Close(); err != nil {
		t.Error(err)
	}
}
