package vfs

import (
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// NewMem returns an empty file system in memory. It keeps nothing across a
// crash and pretends nothing: syncs do no work. It refuses what the kernel
// refuses, with the kernel's errors.
func NewMem() FS { return newTree(newDir(), func() content { return new(memory) }) }

// mem is one root in a tree of nodes; Subs have the same lock and other roots.
type mem struct {
	names  *sync.Mutex // over all names and locks of the tree
	fresh  func() content
	root   *node
	closed atomic.Bool
}

func newTree(root *node, fresh func() content) *mem {
	return &mem{names: new(sync.Mutex), fresh: fresh, root: root}
}

// node is a file, or a directory when entries is not nil.
type node struct {
	entries map[string]*node
	removed bool // a directory that no name leads to takes no new entries
	locked  bool

	mu   sync.RWMutex // over data
	data content
}

// content is what a file holds. One goroutine changes it, or several read it.
type content interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Size() int64
	// Open and Close enclose the time in which it is used.
	Open() error
	Close() error
}

func newDir() *node { return &node{entries: map[string]*node{}} }

func (n *node) isDir() bool { return n.entries != nil }

// find walks down from n.
func (n *node) find(name string) (*node, error) {
	if name == "." {
		return n, nil
	}
	for elem := range strings.SplitSeq(name, "/") {
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[elem]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (n *node) findDir(name string) (*node, error) {
	dir, err := n.find(name)
	if err == nil && !dir.isDir() {
		err = syscall.ENOTDIR
	}
	return dir, err
}

// put gives child a name that is free.
func (n *node) put(name string, child *node) error {
	dir, err := n.findDir(path.Dir(name))
	switch {
	case err != nil:
		return err
	case dir.entries[path.Base(name)] != nil:
		return fs.ErrExist
	case dir.removed:
		return fs.ErrNotExist
	}
	dir.entries[path.Base(name)] = child
	return nil
}

// rename relies on names without symbolic links: one directory is inside
// another exactly when its name says so.
func (n *node) rename(from, to string) error {
	up, err := n.findDir(path.Dir(from))
	if err != nil {
		return err
	}
	dir, err := n.findDir(path.Dir(to))
	if err != nil {
		return err
	}
	src, old := up.entries[path.Base(from)], dir.entries[path.Base(to)]
	switch {
	case src == nil || dir.removed:
		return fs.ErrNotExist
	case old != nil && old.isDir():
		return fs.ErrExist
	case old != nil && src.isDir():
		return syscall.ENOTDIR
	case strings.HasPrefix(to, from+"/"):
		return syscall.EINVAL
	case src == old:
		return nil // two names of one file: POSIX does nothing
	}
	delete(up.entries, path.Base(from))
	dir.entries[path.Base(to)] = src
	return nil
}

func (n *node) link(from, to string) error {
	src, err := n.find(from)
	switch {
	case err != nil:
		return err
	case src.isDir():
		return fs.ErrPermission
	}
	return n.put(to, src)
}

func (n *node) remove(name string) error {
	up, err := n.findDir(path.Dir(name))
	if err != nil {
		return err
	}
	gone := up.entries[path.Base(name)]
	switch {
	case gone == nil:
		return fs.ErrNotExist
	case len(gone.entries) > 0:
		return syscall.ENOTEMPTY
	}
	gone.removed = true
	delete(up.entries, path.Base(name))
	return nil
}

func (n *node) info(name string) Info {
	n.mu.RLock()
	defer n.mu.RUnlock()
	info := Info{Name: name, Dir: n.isDir()}
	if !info.Dir {
		info.Size = n.data.Size()
	}
	return info
}

// locking runs fn under the lock over all names.
func (m *mem) locking(fn func() error) error {
	m.names.Lock()
	defer m.names.Unlock()
	if m.closed.Load() {
		return fs.ErrClosed
	}
	return fn()
}

// entry runs fn for a name that is not the root.
func (m *mem) entry(op, name string, fn func() error) error {
	if err := checkEntry(op, name); err != nil {
		return err
	}
	if err := m.locking(fn); err != nil {
		return fail(op, name, err)
	}
	return nil
}

// lookup runs fn on the node of that name, which may be the root.
func (m *mem) lookup(op, name string, fn func(*node) error) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	err := m.locking(func() error {
		n, err := m.root.find(name)
		if err != nil {
			return err
		}
		return fn(n)
	})
	if err != nil {
		return fail(op, name, err)
	}
	return nil
}

func (m *mem) Create(name string) (File, error) {
	n := &node{data: m.fresh()}
	err := m.entry("create", name, func() error {
		if err := m.root.put(name, n); err != nil {
			return err
		}
		return n.use()
	})
	if err != nil {
		return nil, err
	}
	return &memFile{name: name, n: n, write: true}, nil
}

func (m *mem) open(name string, write bool) (File, error) {
	f := &memFile{name: name, write: write}
	err := m.entry("open", name, func() (err error) {
		f.n, err = m.root.find(name)
		switch {
		case err != nil:
			return err
		case f.n.isDir():
			return syscall.EISDIR
		}
		return f.n.use()
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *mem) Open(name string) (File, error)      { return m.open(name, false) }
func (m *mem) OpenWrite(name string) (File, error) { return m.open(name, true) }

func (m *mem) Mkdir(name string) error {
	return m.entry("mkdir", name, func() error { return m.root.put(name, newDir()) })
}

func (m *mem) Remove(name string) error {
	return m.entry("remove", name, func() error { return m.root.remove(name) })
}

func (m *mem) Rename(from, to string) error {
	if err := checkPair("rename", from, to); err != nil {
		return err
	}
	if err := m.locking(func() error { return m.root.rename(from, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Link gives a file a second name: [Linker].
func (m *mem) Link(from, to string) error {
	if err := checkPair("link", from, to); err != nil {
		return err
	}
	if err := m.locking(func() error { return m.root.link(from, to) }); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return nil
}

func (m *mem) List(dir string) (infos []Info, err error) {
	err = m.lookup("list", dir, func(n *node) error {
		if !n.isDir() {
			return syscall.ENOTDIR
		}
		for name, e := range n.entries {
			infos = append(infos, e.info(name))
		}
		return nil
	})
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, err
}

func (m *mem) Stat(name string) (info Info, err error) {
	err = m.lookup("stat", name, func(n *node) error {
		info = n.info(path.Base(name))
		return nil
	})
	return info, err
}

func (m *mem) SyncDir(dir string) error {
	return m.lookup("sync", dir, func(n *node) error {
		if !n.isDir() {
			return syscall.ENOTDIR
		}
		return nil
	})
}

func (m *mem) Sub(dir string) (FS, error) {
	sub := &mem{names: m.names, fresh: m.fresh}
	err := m.lookup("open", dir, func(n *node) error {
		if !n.isDir() {
			return syscall.ENOTDIR
		}
		sub.root = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sub, nil
}

func (m *mem) Lock(name string) (io.Closer, error) {
	l := &memLock{names: m.names}
	err := m.entry("lock", name, func() error {
		n, err := m.root.find(name)
		if err != nil {
			n = &node{data: m.fresh()}
			err = m.root.put(name, n)
		}
		switch {
		case err != nil:
			return err
		case n.isDir():
			return syscall.EISDIR
		case n.locked:
			return ErrLocked
		}
		n.locked = true
		l.n = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Holder tells who has a lock, which is always this process: [Holder].
func (m *mem) Holder(name string) (pid int, held bool, err error) {
	err = m.entry("lock", name, func() error {
		if n, err := m.root.find(name); err == nil && n.locked {
			pid, held = os.Getpid(), true
		}
		return nil
	})
	return pid, held, err
}

// memLock is a held lock; n is nil once it was let go.
type memLock struct {
	names *sync.Mutex
	n     *node
}

func (l *memLock) Close() error {
	l.names.Lock()
	defer l.names.Unlock()
	if l.n != nil {
		l.n.locked = false
		l.n = nil
	}
	return nil
}

func (m *mem) Space() (Space, error) {
	if m.closed.Load() {
		return Space{}, fail("statfs", ".", fs.ErrClosed)
	}
	return Space{Free: math.MaxInt64, Total: math.MaxInt64}, nil
}

func (m *mem) Close() error {
	m.closed.Store(true)
	return nil
}
