package simdisk_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

const block = 4096

func full(blocks int64) *simdisk.Options { return &simdisk.Options{Capacity: blocks * block} }

func space(t *testing.T, fsys vfs.FS, want int64) {
	t.Helper()
	s, err := fsys.Space()
	must(t, err)
	if s.Free != want {
		t.Errorf("%d bytes free, want %d", s.Free, want)
	}
}

func TestFullDisk(t *testing.T) {
	d := simdisk.New(full(2))
	fsys := d.FS()
	f := create(t, fsys, "f", fill(5000, 'a'))
	space(t, fsys, 0)

	n, err := f.WriteAt(fill(5000, 'b'), 5000) // 3192 bytes of which have a place
	fails(t, err, syscall.ENOSPC)
	if n != 2*block-5000 {
		t.Errorf("%d bytes were written", n)
	}
	n, err = f.WriteAt([]byte("c"), 2*block)
	fails(t, err, syscall.ENOSPC)
	if n != 0 {
		t.Errorf("%d bytes were written beyond", n)
	}
	if _, err := f.WriteAt(fill(2*block, 'd'), 0); err != nil {
		t.Errorf("overwrite what is there: %v", err)
	}
	fails(t, f.Truncate(2*block+1), syscall.ENOSPC)
	fails(t, f.(vfs.Hinter).Hint(vfs.HintReserve, 2*block, 1), syscall.ENOSPC)
	must(t, f.(vfs.Hinter).Hint(vfs.HintReserve, 0, 2*block))
	_, err = fsys.Create("g")
	fails(t, err, syscall.ENOSPC)
	fails(t, fsys.Mkdir("g"), syscall.ENOSPC)
	fails(t, fsys.Rename("f", "g"), syscall.ENOSPC)
	fails(t, vfs.Link(fsys, "f", "g"), syscall.ENOSPC)
	_, err = fsys.Lock("g")
	fails(t, err, syscall.ENOSPC)
	if got := dump(t, fsys, "."); got != "f: d8192" {
		t.Errorf("what was refused left %s", got)
	}

	must(t, f.Truncate(block))
	space(t, fsys, block)
	must(t, fsys.Mkdir("g"))
	fails(t, fsys.Mkdir("h"), syscall.ENOSPC)
	must(t, fsys.Remove("g"))
	must(t, fsys.Rename("f", "g"))
	create(t, fsys, "f", fill(block, 'e'))
	space(t, fsys, 0)
	d.SetCapacity(4 * block)
	space(t, fsys, 2*block)
	must(t, fsys.Rename("f", "g")) // which frees what was there
	space(t, fsys, 3*block)
	d.SetCapacity(1)
	space(t, fsys, 0)
	d.SetCapacity(0)
	space(t, fsys, math.MaxInt64)
	create(t, fsys, "h", fill(100*block, 'f'))
}

func TestSpaceCountsWhatACrashLeft(t *testing.T) {
	d := simdisk.New(nil)
	must(t, d.FS().Mkdir("d"))
	create(t, d.FS(), "d/f", fill(1, 'a'))
	must(t, vfs.Link(d.FS(), "d/f", "g")) // the same block
	space(t, after(d, simdisk.Choice{}).Disk(full(5)).FS(), 3*block)
	space(t, d.Point(d.Ops()).Kill(full(5)).FS(), 3*block)
}

// LateFull: writes pass, the syncs of files that need blocks fail.
func TestLateFull(t *testing.T) {
	d := simdisk.New(&simdisk.Options{Capacity: 2 * block, LateFull: true})
	fsys := d.FS()
	f := create(t, fsys, "f", fill(block, 'a'))
	must(t, f.Sync())
	g := create(t, fsys, "g", fill(2*block, 'b'))
	fails(t, g.Sync(), syscall.ENOSPC)
	fails(t, g.SyncData(), syscall.ENOSPC)
	write(t, fsys, "f", 0, fill(block, 'c'))
	must(t, f.Sync()) // in blocks that it has
	must(t, fsys.SyncDir("."))
	none := after(d, simdisk.Choice{Mode: simdisk.None})
	if got := show(t, none); got != "f: c4096, g:" {
		t.Errorf("without what is loose: %s", got)
	}
	must(t, fsys.Remove("f"))
	write(t, fsys, "g", 0, fill(2*block, 'd'))
	must(t, g.Sync())
	must(t, g.Truncate(0))
	h := create(t, fsys, "h", fill(2*block, 'e'))
	must(t, h.Sync())
	write(t, fsys, "g", 0, fill(1, 'f'))
	fails(t, g.Sync(), syscall.ENOSPC)
}

func TestShortWrite(t *testing.T) {
	d := simdisk.New(nil)
	f := create(t, d.FS(), "f", nil)
	for _, c := range []struct{ n, want int }{{2, 2}, {0, 0}, {-1, 0}, {9, 4}} {
		failNext(d, "write", &simdisk.ShortWrite{N: c.n, Err: syscall.ENOSPC})
		n, err := f.WriteAt([]byte("abcd"), 0)
		fails(t, err, syscall.ENOSPC)
		if n != c.want {
			t.Errorf("ShortWrite of %d: %d bytes were written, want %d", c.n, n, c.want)
		}
	}
	failNext(d, "write", fmt.Errorf("wrapped: %w", &simdisk.ShortWrite{N: 1}))
	n, err := f.WriteAt([]byte("xyz"), 0)
	fails(t, err, io.ErrShortWrite)
	if got := dump(t, d.FS(), "."); n != 1 || got != "f: x1 b1 c1 d1" {
		t.Errorf("%d bytes were written: %s", n, got)
	}
}

// What fails does nothing, and says which name it was about.
func TestFail(t *testing.T) {
	d := simdisk.New(nil)
	fsys := d.FS()
	must(t, fsys.Mkdir("d"))
	sub, err := fsys.Sub("d")
	must(t, err)
	f := create(t, sub, "f", fill(3, 'a'))
	ops := d.Ops()
	var asked []vfs.Op
	d.Fail(func(op vfs.Op) error {
		asked = append(asked, op)
		return syscall.EIO
	})
	calls := []func() error{
		func() error { _, err := sub.Create("g"); return err },
		func() error { _, err := sub.Open("f"); return err },
		func() error { _, err := sub.OpenWrite("f"); return err },
		func() error { return sub.Mkdir("g") },
		func() error { return sub.Rename("f", "g") },
		func() error { return vfs.Link(sub, "f", "g") },
		func() error { return sub.Remove("f") },
		func() error { _, err := sub.List("."); return err },
		func() error { _, err := sub.Stat("f"); return err },
		func() error { _, err := sub.Lock("g"); return err },
		func() error { _, err := f.ReadAt(make([]byte, 2), 1); return err },
		func() error { _, err := f.WriteAt([]byte("b"), 1); return err },
		func() error { return f.Truncate(2) },
	}
	want := []vfs.Op{
		{Kind: "create", Name: "d/g"}, {Kind: "open", Name: "d/f"}, {Kind: "openwrite", Name: "d/f"}, {Kind: "mkdir", Name: "d/g"},
		{Kind: "rename", Name: "d/f"}, {Kind: "link", Name: "d/f"}, {Kind: "remove", Name: "d/f"}, {Kind: "list", Name: "d"},
		{Kind: "stat", Name: "d/f"}, {Kind: "lock", Name: "d/g"}, {Kind: "read", Name: "d/f", Off: 1, Len: 2},
		{Kind: "write", Name: "d/f", Off: 1, Len: 1}, {Kind: "truncate", Name: "d/f", Off: 2},
	}
	for i, call := range calls {
		err := call()
		fails(t, err, syscall.EIO)
		_, isPath := errors.AsType[*fs.PathError](err)
		if isLink := want[i].Kind == "rename" || want[i].Kind == "link"; isPath == isLink {
			t.Errorf("%s: error of type %T", want[i].Kind, err)
		}
		if len(asked) != i+1 || asked[i] != want[i] {
			t.Fatalf("asked %+v, want %+v", asked, want[:i+1])
		}
	}
	if _, err := sub.Sub("."); err != nil {
		t.Errorf("Sub asks somebody: %v", err)
	}
	if d.Ops() != ops {
		t.Errorf("%d operations are from calls that failed", d.Ops()-ops)
	}
	for kind, sync := range map[string]func() error{"sync": f.Sync, "syncdata": f.SyncData, "syncdir": func() error { return sub.SyncDir(".") }} {
		asked = nil
		fails(t, sync(), syscall.EIO)
		if len(asked) != 1 || asked[0].Kind != kind {
			t.Errorf("asked %+v, want %s", asked, kind)
		}
	}
	if d.Ops() != ops+3 {
		t.Errorf("%d operations after three syncs that failed", d.Ops()-ops)
	}
	d.Fail(nil)
	if got := dump(t, fsys, "."); got != "d/{f: a3}" {
		t.Errorf("what failed left %s", got)
	}
}

// A function of Fail that blocks holds up only the call that it was asked
// about.
func TestFailMayBlock(t *testing.T) {
	d := simdisk.New(nil)
	f := create(t, d.FS(), "f", nil)
	asked, answer, done := make(chan bool), make(chan error), make(chan error)
	d.Fail(func(op vfs.Op) error {
		if op.Kind != "sync" {
			return nil
		}
		asked <- true
		return <-answer
	})
	go func() { done <- f.Sync() }()
	<-asked
	create(t, d.FS(), "g", fill(3, 'a'))
	d.Point(d.Ops()).Crash(simdisk.Choice{})
	answer <- syscall.EIO
	fails(t, <-done, syscall.EIO)
}

func TestWrongLengths(t *testing.T) {
	d := simdisk.New(nil)
	f := create(t, d.FS(), "f", nil)
	for _, n := range []int64{-1, math.MaxInt64} {
		fails(t, f.(vfs.Hinter).Hint(vfs.HintReserve, 0, n), fs.ErrInvalid)
	}
	r, err := d.FS().Open("f")
	must(t, err)
	fails(t, r.(vfs.Hinter).Hint(vfs.HintReserve, 0, 1), fs.ErrPermission)
	must(t, r.Close())
}

// A system that was killed holds no locks, and goes on with the history.
func TestKill(t *testing.T) {
	d := simdisk.New(nil)
	_, err := d.FS().Lock("lock")
	must(t, err)
	create(t, d.FS(), "f", fill(3, 'a'))
	pt := d.Point(d.Ops() - 1)
	killed := pt.Kill(nil)
	if killed.Ops() != pt.Ops() {
		t.Errorf("%d operations, want %d", killed.Ops(), pt.Ops())
	}
	l, err := killed.FS().Lock("lock")
	must(t, err)
	must(t, l.Close())
	if got := dump(t, killed.FS(), "."); got != "f:, lock:" {
		t.Errorf("after the kill: %s", got)
	}
	write(t, killed.FS(), "f", 0, fill(5, 'b'))
	if got := killed.Op(killed.Ops() - 1); got != "write f [0, 5)" {
		t.Errorf("last operation: %s", got)
	}
	if got, op := dump(t, d.FS(), "."), d.Op(d.Ops()-1); got != "f: a3, lock:" || op != "write f [0, 3)" {
		t.Errorf("the disk before the kill became %s, its last operation %s", got, op)
	}
	_, err = d.FS().Lock("lock")
	fails(t, err, vfs.ErrLocked)
}
