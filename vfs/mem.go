package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
)

// tree is the file system in memory that all its Subs share.
type tree struct {
	mu    sync.Mutex
	nodes map[string]*node // by path from the root of the tree; "." is there always
}

type node struct {
	mu     sync.RWMutex
	dir    bool
	data   []byte
	locked bool
}

type mem struct {
	t    *tree
	base string
}

// NewMem returns an empty file system in memory. It keeps nothing across a
// crash and pretends nothing: syncs do no work.
func NewMem() FS {
	return mem{t: &tree{nodes: map[string]*node{".": {dir: true}}}, base: "."}
}

func fail(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// with runs fn on the full path of name, under the tree's lock.
func (m mem) with(op, name string, fn func(full string) error) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if err := fn(path.Join(m.base, name)); err != nil {
		return fail(op, name, err)
	}
	return nil
}

// parent fails unless the directory that holds full exists.
func (t *tree) parent(full string) error {
	p := t.nodes[path.Dir(full)]
	if p == nil {
		return fs.ErrNotExist
	}
	if !p.dir {
		return errNotDir
	}
	return nil
}

var (
	errNotDir   = errors.New("not a directory")
	errIsDir    = errors.New("is a directory")
	errNotEmpty = errors.New("directory not empty")
)

func (m mem) add(op, name string, n *node) error {
	return m.with(op, name, func(full string) error {
		if m.t.nodes[full] != nil {
			return fs.ErrExist
		}
		if err := m.t.parent(full); err != nil {
			return err
		}
		m.t.nodes[full] = n
		return nil
	})
}

func (m mem) Create(name string) (File, error) {
	n := &node{}
	if err := m.add("create", name, n); err != nil {
		return nil, err
	}
	return &memFile{name: name, n: n, write: true}, nil
}

func (m mem) open(name string, write bool) (File, error) {
	var f *memFile
	err := m.with("open", name, func(full string) error {
		n := m.t.nodes[full]
		if n == nil {
			return fs.ErrNotExist
		}
		if n.dir {
			return errIsDir
		}
		f = &memFile{name: name, n: n, write: write}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m mem) Open(name string) (File, error)      { return m.open(name, false) }
func (m mem) OpenWrite(name string) (File, error) { return m.open(name, true) }
func (m mem) Mkdir(name string) error             { return m.add("mkdir", name, &node{dir: true}) }

func (m mem) Rename(from, to string) error {
	if err := checkName("rename", to); err != nil {
		return err
	}
	return m.with("rename", from, func(full string) error {
		src, dst := m.t.nodes[full], path.Join(m.base, to)
		if src == nil {
			return fs.ErrNotExist
		}
		if err := m.t.parent(dst); err != nil {
			return err
		}
		if old := m.t.nodes[dst]; old != nil && old != src {
			switch {
			case old.dir && !src.dir:
				return errIsDir
			case !old.dir && src.dir:
				return errNotDir
			case old.dir && m.t.hasChild(dst):
				return errNotEmpty
			}
		}
		if src.dir && strings.HasPrefix(dst+"/", full+"/") {
			return fs.ErrInvalid
		}
		for p, n := range m.t.nodes {
			if rest, ok := strings.CutPrefix(p, full+"/"); ok {
				delete(m.t.nodes, p)
				m.t.nodes[dst+"/"+rest] = n
			}
		}
		delete(m.t.nodes, full)
		m.t.nodes[dst] = src
		return nil
	})
}

func (m mem) Remove(name string) error {
	return m.with("remove", name, func(full string) error {
		n := m.t.nodes[full]
		switch {
		case n == nil:
			return fs.ErrNotExist
		case full == ".":
			return fs.ErrInvalid
		case n.dir && m.t.hasChild(full):
			return errNotEmpty
		}
		delete(m.t.nodes, full)
		return nil
	})
}

func (t *tree) hasChild(full string) bool {
	for p := range t.nodes {
		if p != full && path.Dir(p) == full {
			return true
		}
	}
	return false
}

func (m mem) List(dir string) ([]Info, error) {
	var infos []Info
	err := m.with("list", dir, func(full string) error {
		n := m.t.nodes[full]
		if n == nil {
			return fs.ErrNotExist
		}
		if !n.dir {
			return errNotDir
		}
		for p, n := range m.t.nodes {
			if p != "." && p != full && path.Dir(p) == full {
				infos = append(infos, n.info(p))
			}
		}
		return nil
	})
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, err
}

func (n *node) info(full string) Info {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return Info{Name: path.Base(full), Size: int64(len(n.data)), Dir: n.dir}
}

func (m mem) Stat(name string) (Info, error) {
	var info Info
	err := m.with("stat", name, func(full string) error {
		n := m.t.nodes[full]
		if n == nil {
			return fs.ErrNotExist
		}
		info = n.info(full)
		return nil
	})
	return info, err
}

func (m mem) SyncDir(dir string) error {
	_, err := m.List(dir)
	return err
}

func (m mem) Lock(name string) (io.Closer, error) {
	var l *memLock
	err := m.with("lock", name, func(full string) error {
		if err := m.t.parent(full); err != nil {
			return err
		}
		n := m.t.nodes[full]
		if n == nil {
			n = &node{}
			m.t.nodes[full] = n
		}
		if n.locked {
			return ErrLocked
		}
		n.locked = true
		l = &memLock{t: m.t, n: n}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

type memLock struct {
	t    *tree
	n    *node
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.t.mu.Lock()
		defer l.t.mu.Unlock()
		l.n.locked = false
	})
	return nil
}

func (m mem) Sub(dir string) (FS, error) {
	if _, err := m.List(dir); err != nil {
		return nil, err
	}
	return mem{t: m.t, base: path.Join(m.base, dir)}, nil
}

func (m mem) Space() (Space, error) { return Space{Free: math.MaxInt64, Total: math.MaxInt64}, nil }
func (m mem) Close() error          { return nil }
