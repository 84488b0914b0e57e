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
	return f.n.data.ReadAt(p, off)
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	// Writing nothing beyond the end does not move the end.
	if err := f.check("write", true, off); err != nil || len(p) == 0 {
		return 0, err
	}
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	return f.n.data.WriteAt(p, off)
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	return f.n.data.Truncate(size)
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false, 0); err != nil {
		return 0, err
	}
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	return f.n.data.Size(), nil
}

func (f *memFile) Sync() error     { return f.check("sync", false, 0) }
func (f *memFile) SyncData() error { return f.check("sync", false, 0) }

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return fail("close", f.name, fs.ErrClosed)
	}
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	return f.n.data.Close()
}

func (n *node) use() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.data.Open()
}

// memory is a content in memory.
type memory []byte

func (m *memory) Open() error  { return nil }
func (m *memory) Close() error { return nil }
func (m *memory) Size() int64  { return int64(len(*m)) }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off >= m.Size() {
		return 0, io.EOF
	}
	n := copy(p, (*m)[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > m.Size() {
		if err := m.Truncate(end); err != nil {
			return 0, err
		}
	}
	return copy((*m)[off:], p), nil
}

// Truncate keeps what fits and zeroes what is new, also where a shorter length
// left old bytes behind.
func (m *memory) Truncate(size int64) error {
	old := m.Size()
	switch {
	case size <= old:
		*m = (*m)[:size]
	case size > int64(cap(*m)):
		data := make([]byte, size, max(size, 2*int64(cap(*m))))
		copy(data, *m)
		*m = data
	default:
		*m = (*m)[:size]
		clear((*m)[old:])
	}
	return nil
}
