package vfs

import (
	"io"
	"io/fs"
	"math"
	"sync/atomic"
)

// maxMemFile turns an offset that cannot be meant into an error instead of
// running out of memory.
const maxMemFile = min(1<<40, math.MaxInt/4)

type memFile struct {
	name   string
	n      *node
	write  bool
	closed atomic.Bool
}

func (f *memFile) check(op string, write bool, off int64) error {
	switch {
	case f.closed.Load():
		return fail(op, f.name, fs.ErrClosed)
	case write && !f.write:
		return fail(op, f.name, fs.ErrPermission)
	case off < 0 || off > maxMemFile:
		return fail(op, f.name, fs.ErrInvalid)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false, off); err != nil || len(p) == 0 {
		return 0, err
	}
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	// Writing nothing beyond the end does not move the end.
	if err := f.check("write", true, off); err != nil || len(p) == 0 {
		return 0, err
	}
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	if end := off + int64(len(p)); end > int64(len(f.n.data)) {
		f.n.resize(end)
	}
	return copy(f.n.data[off:], p), nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	f.n.resize(size)
	return nil
}

// resize keeps what fits and zeroes what is new, also where a shorter length
// left old bytes behind.
func (n *node) resize(size int64) {
	old := len(n.data)
	if size <= int64(old) {
		n.data = n.data[:size]
		return
	}
	if size > int64(cap(n.data)) {
		data := make([]byte, size, max(size, 2*int64(cap(n.data))))
		copy(data, n.data)
		n.data = data
		return
	}
	n.data = n.data[:size]
	clear(n.data[old:])
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false, 0); err != nil {
		return 0, err
	}
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Sync() error     { return f.check("sync", false, 0) }
func (f *memFile) SyncData() error { return f.check("sync", false, 0) }

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return fail("close", f.name, fs.ErrClosed)
	}
	return nil
}
