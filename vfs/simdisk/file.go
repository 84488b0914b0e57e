package simdisk

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math"
	"sync/atomic"
	"syscall"

	"github.com/trimarandb/trimaran/vfs"
)

// maxFile turns an offset that cannot be meant into an error instead of
// running out of memory.
const maxFile = min(1<<32, math.MaxInt/4)

// file is an open file. It outlives its name.
type file struct {
	d      *Disk
	n      *node
	name   string // as it was opened
	path   string // from the root of the disk
	write  bool
	closed atomic.Bool
}

func (f *file) check(op string, write bool, off int64) error {
	switch {
	case f.closed.Load():
		return pathError(op, f.name, fs.ErrClosed)
	case write && !f.write:
		return pathError(op, f.name, fs.ErrPermission)
	case off < 0 || off > maxFile:
		return pathError(op, f.name, fs.ErrInvalid)
	}
	return nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false, off); err != nil || len(p) == 0 {
		return 0, err
	}
	if err := f.d.ask(vfs.Op{Kind: "read", Name: f.path, Off: off, Len: len(p)}); err != nil {
		return 0, pathError("read", f.name, err)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.n.data.readAt(p, off)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true, off); err != nil || len(p) == 0 {
		return 0, err
	}
	err := f.d.ask(vfs.Op{Kind: "write", Name: f.path, Off: off, Len: len(p)})
	if short, ok := errors.AsType[*ShortWrite](err); ok {
		p, err = p[:min(len(p), max(0, short.N))], cmp.Or(short.Err, io.ErrShortWrite)
	} else if err != nil {
		return 0, pathError("write", f.name, err)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if n := f.fits(off, len(p)); n < len(p) {
		p, err = p[:n], syscall.ENOSPC
	}
	if len(p) > 0 {
		r := &record{kind: opWrite, path: f.path, id: f.n.id, off: off, n: len(p), before: f.n.data.size}
		r.size = max(r.before, off+int64(len(p)))
		r.first, r.sectors = f.n.data.written(p, off)
		f.d.do(r)
	}
	if err != nil {
		return len(p), pathError("write", f.name, err)
	}
	return len(p), nil
}

// fits says how many of n bytes at off have a place. d.mu is held.
func (f *file) fits(off int64, n int) int {
	if f.d.o.Capacity == 0 || f.d.o.LateFull {
		return n
	}
	limit := max(f.n.data.size, f.n.usage()+f.d.room()/blockSize*blockSize)
	return int(max(0, min(int64(n), limit-off)))
}

func (f *file) Truncate(size int64) error {
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	if err := f.d.ask(vfs.Op{Kind: "truncate", Name: f.path, Off: size}); err != nil {
		return pathError("truncate", f.name, err)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if size > f.n.data.size && f.fits(0, int(size)) < int(size) {
		return pathError("truncate", f.name, syscall.ENOSPC)
	}
	r := &record{kind: opTruncate, path: f.path, id: f.n.id, size: size}
	r.first, r.sectors = f.n.data.shortened(size)
	f.d.do(r)
	return nil
}

func (f *file) Size() (int64, error) {
	if err := f.check("stat", false, 0); err != nil {
		return 0, err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.n.data.size, nil
}

func (f *file) sync(kind string) error {
	if err := f.check(kind, false, 0); err != nil {
		return err
	}
	err := f.d.ask(vfs.Op{Kind: kind, Name: f.path})
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err == nil && f.late() {
		err = syscall.ENOSPC
	}
	f.d.do(&record{kind: opSync, path: f.path, id: f.n.id, failed: err != nil, lost: err != nil})
	if err != nil {
		return pathError(kind, f.name, err)
	}
	return nil
}

// late reports that the blocks which the file still needs are not there. d.mu is
// held.
func (f *file) late() bool {
	need := f.n.usage() - f.n.given
	return f.d.o.LateFull && f.d.o.Capacity > 0 && need > 0 && f.d.live.given+need > f.d.o.Capacity
}

func (f *file) Sync() error     { return f.sync("sync") }
func (f *file) SyncData() error { return f.sync("syncdata") }

// Hint knows of reserving, and only whether there is room, and begins no write
// before its time: [vfs.Hinter].
func (f *file) Hint(h vfs.Hint, off, n int64) error {
	if err := f.check("hint", h == vfs.HintReserve, off); err != nil {
		return err
	}
	switch {
	case h == vfs.HintWriteOut:
		return nil
	case h != vfs.HintReserve:
		return pathError("hint", f.name, errors.ErrUnsupported)
	case n < 0 || n > maxFile:
		return pathError("hint", f.name, fs.ErrInvalid)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.fits(off, int(n)) < int(n) {
		return pathError("hint", f.name, syscall.ENOSPC)
	}
	return nil
}

func (f *file) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, fs.ErrClosed)
	}
	return nil
}
