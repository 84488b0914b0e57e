package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
)

func size(t *testing.T, f vfs.File) int64 {
	t.Helper()
	n, err := f.Size()
	ok(t, err)
	return n
}

func readAtEnd(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "a", "abc")
	f, err := fsys.Open("a")
	ok(t, err)
	for _, c := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{
		{0, 3, "abc", nil}, {1, 1, "b", nil}, {3, 0, "", nil}, {9, 0, "", nil},
		{0, 4, "abc", io.EOF}, {2, 4, "c", io.EOF}, {3, 1, "", io.EOF}, {9, 1, "", io.EOF},
	} {
		b := make([]byte, c.n)
		n, err := f.ReadAt(b, c.off)
		if string(b[:n]) != c.want || err != c.err { //nolint:errorlint // an io.ReaderAt returns io.EOF bare
			t.Errorf("read %d at %d = %q, %v, want %q, %v", c.n, c.off, b[:n], err, c.want, c.err)
		}
	}
	ok(t, f.Close())
}

func holes(t *testing.T, fsys vfs.FS) {
	f := create(t, fsys, "a")
	_, err := f.WriteAt([]byte("x"), 10_000)
	ok(t, err)
	same(t, "content", read(t, fsys, "a"), strings.Repeat("\x00", 10_000)+"x")
	_, err = f.WriteAt(nil, 20_000)
	ok(t, err)
	same(t, "size after writing nothing at 20000", size(t, f), 10_001)
	ok(t, f.Close())
}

func truncate(t *testing.T, fsys vfs.FS) {
	f := create(t, fsys, "a")
	_, err := f.WriteAt([]byte("abcdef"), 0)
	ok(t, err)
	ok(t, f.Truncate(2))
	same(t, "content", read(t, fsys, "a"), "ab")
	ok(t, f.Truncate(5))
	same(t, "content", read(t, fsys, "a"), "ab\x00\x00\x00")
	ok(t, f.Truncate(1))
	_, err = f.WriteAt([]byte("z"), 4)
	ok(t, err)
	same(t, "content", read(t, fsys, "a"), "a\x00\x00\x00z")
	ok(t, f.Truncate(0))
	same(t, "size", size(t, f), 0)
	ok(t, f.Close())
}

func badOffsets(t *testing.T, fsys vfs.FS) {
	f := create(t, fsys, "a")
	for _, off := range []int64{-1, math.MinInt64, math.MaxInt64 - 1} {
		_, err := f.WriteAt([]byte("abc"), off)
		fails(t, err)
	}
	_, err := f.ReadAt(make([]byte, 1), -1)
	fails(t, err)
	fails(t, f.Truncate(-1))
	fails(t, f.Truncate(math.MaxInt64))
	same(t, "size", size(t, f), 0)
	ok(t, f.Close())
}

func readOnly(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "a", "abc")
	f, err := fsys.Open("a")
	ok(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	fails(t, err)
	fails(t, f.Truncate(0))
	ok(t, f.Sync()) // a reader may make sure of what it read
	ok(t, f.SyncData())
	ok(t, f.Close())
	same(t, "content", read(t, fsys, "a"), "abc")

	f, err = fsys.OpenWrite("a")
	ok(t, err)
	_, err = f.WriteAt([]byte("x"), 1)
	ok(t, err)
	ok(t, f.Close())
	same(t, "content", read(t, fsys, "a"), "axc")
}

func closedFile(t *testing.T, fsys vfs.FS) {
	f := create(t, fsys, "a")
	ok(t, f.Close())
	_, err := f.ReadAt(make([]byte, 1), 0)
	is(t, err, fs.ErrClosed)
	_, err = f.WriteAt([]byte("x"), 0)
	is(t, err, fs.ErrClosed)
	_, err = f.Size()
	is(t, err, fs.ErrClosed)
	is(t, f.Truncate(0), fs.ErrClosed)
	is(t, f.Sync(), fs.ErrClosed)
	is(t, f.SyncData(), fs.ErrClosed)
	is(t, f.Close(), fs.ErrClosed)
}

func removedWhileOpen(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "a", "abc")
	f, err := fsys.OpenWrite("a")
	ok(t, err)
	ok(t, fsys.Remove("a"))
	write(t, fsys, "a", "other")
	_, err = f.WriteAt([]byte("d"), 3)
	ok(t, err)
	b := make([]byte, 4)
	_, err = f.ReadAt(b, 0)
	ok(t, err)
	same(t, "content of the removed file", string(b), "abcd")
	ok(t, f.Sync())
	ok(t, f.Close())
	same(t, "content of its successor", read(t, fsys, "a"), "other")
}

// One goroutine appends numbered blocks and publishes how many there are; the
// others read published blocks while it goes on.
func readersAndWriter(t *testing.T, fsys vfs.FS) {
	const block, blocks = 512, 200
	w := create(t, fsys, "a")
	r, err := fsys.Open("a")
	ok(t, err)
	var written atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			b := make([]byte, block)
			for i := int64(0); i < blocks; {
				if i >= written.Load() {
					runtime.Gosched()
					continue
				}
				if _, err := r.ReadAt(b, i*block); err != nil {
					t.Errorf("block %d: %v", i, err)
					return
				}
				if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, block)) {
					t.Errorf("block %d has other bytes", i)
				}
				i++
			}
		})
	}
	for i := range int64(blocks) {
		_, err := w.WriteAt(bytes.Repeat([]byte{byte(i)}, block), i*block)
		ok(t, err)
		written.Add(1)
	}
	readers.Wait()
	ok(t, w.Close())
	ok(t, r.Close())
}

func hints(t *testing.T, fsys vfs.FS) {
	f := create(t, fsys, "f")
	_, err := f.WriteAt([]byte("content"), 0)
	ok(t, err)
	for _, h := range []vfs.Hint{vfs.HintReserve, vfs.HintWriteBack, vfs.HintPrefetch, 99} {
		hinter, can := f.(vfs.Hinter)
		if !can {
			break
		}
		if err := hinter.Hint(h, 4, 1<<16); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Hint(%d) = %v, want nil or unsupported", h, err)
		}
		size, err := f.Size()
		ok(t, err)
		same(t, "size", size, 7)
	}
	ok(t, f.Close())
	same(t, "content", read(t, fsys, "f"), "content")
	if hinter, can := f.(vfs.Hinter); can {
		fails(t, hinter.Hint(vfs.HintReserve, 0, 1))
	}
}
