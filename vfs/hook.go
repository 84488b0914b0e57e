package vfs

import (
	"errors"
	"io"
	"path"
)

// Op is one call that can fail or take effect: what Hook shows to its
// function before the call happens.
type Op struct {
	Kind string // "create", "open", "openwrite", "mkdir", "rename", "link", "remove", "list", "stat", "syncdir", "lock", "holder", "read", "write", "hint", "truncate", "sync", "syncdata"
	Name string // from the root of the hooked tree; the old name of a rename or link
	Off  int64  // of a read, write or hint; the size of a truncate
	Len  int    // of a read, write or hint
}

// Hook returns fsys with before called ahead of each operation, on the files
// opened through it too. An error from before is returned instead of making
// the call, so a test can refuse the n-th sync or run out of space; before may
// be called by several goroutines.
func Hook(fsys FS, before func(Op) error) FS {
	return hooked{fs: fsys, base: ".", before: before}
}

type hooked struct {
	fs     FS
	base   string
	before func(Op) error
}

func (h hooked) ask(kind, name string) error {
	return h.before(Op{Kind: kind, Name: path.Join(h.base, name)})
}

func (h hooked) open(kind, name string, open func(string) (File, error)) (File, error) {
	if err := h.ask(kind, name); err != nil {
		return nil, err
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	return hookedFile{File: f, name: path.Join(h.base, name), before: h.before}, nil
}

func (h hooked) Create(name string) (File, error) { return h.open("create", name, h.fs.Create) }
func (h hooked) Open(name string) (File, error)   { return h.open("open", name, h.fs.Open) }
func (h hooked) OpenWrite(name string) (File, error) {
	return h.open("openwrite", name, h.fs.OpenWrite)
}

func (h hooked) Mkdir(name string) error {
	if err := h.ask("mkdir", name); err != nil {
		return err
	}
	return h.fs.Mkdir(name)
}

func (h hooked) Rename(from, to string) error {
	if err := h.ask("rename", from); err != nil {
		return err
	}
	return h.fs.Rename(from, to)
}

func (h hooked) Link(from, to string) error {
	if err := h.ask("link", from); err != nil {
		return err
	}
	return Link(h.fs, from, to)
}

func (h hooked) Remove(name string) error {
	if err := h.ask("remove", name); err != nil {
		return err
	}
	return h.fs.Remove(name)
}

func (h hooked) List(dir string) ([]Info, error) {
	if err := h.ask("list", dir); err != nil {
		return nil, err
	}
	return h.fs.List(dir)
}

func (h hooked) Stat(name string) (Info, error) {
	if err := h.ask("stat", name); err != nil {
		return Info{}, err
	}
	return h.fs.Stat(name)
}

func (h hooked) SyncDir(dir string) error {
	if err := h.ask("syncdir", dir); err != nil {
		return err
	}
	return h.fs.SyncDir(dir)
}

func (h hooked) Lock(name string) (io.Closer, error) {
	if err := h.ask("lock", name); err != nil {
		return nil, err
	}
	return h.fs.Lock(name)
}

func (h hooked) Holder(name string) (pid int, held bool, err error) {
	if err := h.ask("holder", name); err != nil {
		return 0, false, err
	}
	return LockHolder(h.fs, name)
}

func (h hooked) Sub(dir string) (FS, error) {
	sub, err := h.fs.Sub(dir)
	if err != nil {
		return nil, err
	}
	return hooked{fs: sub, base: path.Join(h.base, dir), before: h.before}, nil
}

func (h hooked) Space() (Space, error) { return h.fs.Space() }
func (h hooked) Close() error          { return h.fs.Close() }

type hookedFile struct {
	File
	name   string
	before func(Op) error
}

func (f hookedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.before(Op{Kind: "read", Name: f.name, Off: off, Len: len(p)}); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f hookedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.before(Op{Kind: "write", Name: f.name, Off: off, Len: len(p)}); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f hookedFile) Truncate(size int64) error {
	if err := f.before(Op{Kind: "truncate", Name: f.name, Off: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f hookedFile) Sync() error {
	if err := f.before(Op{Kind: "sync", Name: f.name}); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f hookedFile) SyncData() error {
	if err := f.before(Op{Kind: "syncdata", Name: f.name}); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f hookedFile) Hint(h Hint, off, n int64) error {
	if err := f.before(Op{Kind: "hint", Name: f.name, Off: off, Len: int(n)}); err != nil {
		return err
	}
	if inner, ok := f.File.(Hinter); ok {
		return inner.Hint(h, off, n)
	}
	return fail("hint", f.name, errors.ErrUnsupported)
}
