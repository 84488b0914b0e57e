package simdisk

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/trimarandb/trimaran/vfs"
)

// root is a directory of a disk, as an FS.
type root struct {
	d      *Disk
	at     int
	base   string // where at was when it was opened
	closed atomic.Bool
}

// below is a valid name as seen from the root of the disk: path.Join, for each
// call that there is.
func (r *root) below(name string) string {
	switch {
	case r.base == ".":
		return name
	case name == ".":
		return r.base
	}
	return r.base + "/" + name
}

func checkName(op, name string, entry bool) error {
	if fs.ValidPath(name) && !strings.ContainsRune(name, 0) && (!entry || name != ".") {
		return nil
	}
	return pathError(op, name, vfs.ErrName)
}

// locked asks whoever makes calls fail and runs fn on this root's node, with
// the disk's lock held.
func (r *root) locked(kind, name string, fn func(*node) error) error {
	if err := r.d.ask(vfs.Op{Kind: kind, Name: r.below(name)}); err != nil {
		return err
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.closed.Load() {
		return fs.ErrClosed
	}
	return fn(r.d.live.nodes[r.at])
}

func (r *root) call(kind, name string, entry bool, fn func(*node) error) error {
	if err := checkName(kind, name, entry); err != nil {
		return err
	}
	if err := r.locked(kind, name, fn); err != nil {
		return pathError(kind, name, err)
	}
	return nil
}

func (r *root) record(k kind, name string) *record {
	return &record{kind: k, path: r.below(name)}
}

// make adds a file or directory. d.mu is held.
func (r *root) make(k kind, at *node, name string, dirs int) (*node, error) {
	dir, err := at.free(name)
	if err == nil {
		err = r.d.space(dirs)
	}
	if err != nil {
		return nil, err
	}
	rec := r.record(k, name)
	rec.id = r.d.live.last + 1
	rec.sets = []set{{dir: dir.id, name: path.Base(name), id: rec.id}}
	r.d.do(rec)
	return r.d.live.nodes[rec.id], nil
}

func (r *root) file(n *node, name string, write bool) *file {
	return &file{d: r.d, n: n, name: name, path: r.below(name), write: write}
}

func (r *root) Create(name string) (f vfs.File, err error) {
	err = r.call("create", name, true, func(at *node) error {
		n, err := r.make(opCreate, at, name, 0)
		f = r.file(n, name, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (r *root) open(kind, name string, write bool) (f vfs.File, err error) {
	err = r.call(kind, name, true, func(at *node) error {
		n, err := at.find(name)
		if err == nil && n.isDir() {
			err = syscall.EISDIR
		}
		f = r.file(n, name, write)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (r *root) Open(name string) (vfs.File, error)      { return r.open("open", name, false) }
func (r *root) OpenWrite(name string) (vfs.File, error) { return r.open("openwrite", name, true) }

func (r *root) Mkdir(name string) error {
	return r.call("mkdir", name, true, func(at *node) error {
		_, err := r.make(opMkdir, at, name, 1)
		return err
	})
}

// pair is call for what takes two names.
func (r *root) pair(kind, from, to string, fn func(*node) error) error {
	err := checkName(kind, from, true)
	if err == nil {
		err = checkName(kind, to, true)
	}
	if err == nil {
		err = r.locked(kind, from, fn)
	}
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &os.LinkError{Op: kind, Old: from, New: to, Err: err}
}

func (r *root) Rename(from, to string) error {
	return r.pair("rename", from, to, func(at *node) error {
		sets, err := at.renaming(from, to)
		if err == nil {
			err = r.d.space(0)
		}
		if err != nil || sets == nil {
			return err
		}
		rec := r.record(opRename, from)
		rec.path += " to " + r.below(to)
		rec.id, rec.sets = sets[1].id, sets
		r.d.do(rec)
		return nil
	})
}

// Link gives a file a second name: [vfs.Linker].
func (r *root) Link(from, to string) error {
	return r.pair("link", from, to, func(at *node) error {
		src, err := at.find(from)
		if err != nil {
			return err
		}
		if src.isDir() {
			return fs.ErrPermission
		}
		dir, err := at.free(to)
		if err == nil {
			err = r.d.space(0)
		}
		if err != nil {
			return err
		}
		rec := r.record(opLink, from)
		rec.path += " to " + r.below(to)
		rec.id, rec.sets = src.id, []set{{dir: dir.id, name: path.Base(to), id: src.id}}
		r.d.do(rec)
		return nil
	})
}

func (r *root) Remove(name string) error {
	return r.call("remove", name, true, func(at *node) error {
		gone, s, err := at.removing(name)
		if err != nil {
			return err
		}
		rec := r.record(opRemove, name)
		rec.id, rec.sets = gone.id, []set{s}
		r.d.do(rec)
		return nil
	})
}

func (n *node) info(name string) vfs.Info {
	return vfs.Info{Name: name, Size: n.data.size, Dir: n.isDir()}
}

func (r *root) List(dir string) (infos []vfs.Info, err error) {
	err = r.call("list", dir, false, func(at *node) error {
		n, err := at.findDir(dir)
		if err != nil {
			return err
		}
		for name, e := range n.entries {
			infos = append(infos, e.info(name))
		}
		return nil
	})
	slices.SortFunc(infos, func(a, b vfs.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, err
}

func (r *root) Stat(name string) (info vfs.Info, err error) {
	err = r.call("stat", name, false, func(at *node) error {
		n, err := at.find(name)
		if err == nil {
			info = n.info(path.Base(name))
		}
		return err
	})
	return info, err
}

func (r *root) SyncDir(dir string) error {
	if err := checkName("syncdir", dir, false); err != nil {
		return err
	}
	failed := r.d.ask(vfs.Op{Kind: "syncdir", Name: r.below(dir)})
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.closed.Load() {
		return pathError("syncdir", dir, fs.ErrClosed)
	}
	n, err := r.d.live.nodes[r.at].findDir(dir)
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	rec := r.record(opSyncDir, dir)
	rec.id, rec.failed = n.id, failed != nil
	rec.lost = rec.failed && r.d.o.LoseNames
	r.d.do(rec)
	if failed != nil {
		return pathError("syncdir", dir, failed)
	}
	return nil
}

// Sub asks nobody, as vfs.Hook does not.
func (r *root) Sub(dir string) (vfs.FS, error) {
	if err := checkName("sub", dir, false); err != nil {
		return nil, err
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.closed.Load() {
		return nil, pathError("sub", dir, fs.ErrClosed)
	}
	n, err := r.d.live.nodes[r.at].findDir(dir)
	if err != nil {
		return nil, pathError("sub", dir, err)
	}
	return &root{d: r.d, at: n.id, base: r.below(dir)}, nil
}

func (r *root) Lock(name string) (io.Closer, error) {
	l := &lock{d: r.d}
	err := r.call("lock", name, true, func(at *node) error {
		n, err := at.find(name)
		if errors.Is(err, fs.ErrNotExist) {
			n, err = r.make(opCreate, at, name, 0)
		}
		switch {
		case err != nil:
			return err
		case n.isDir():
			return syscall.EISDIR
		case n.locked:
			return vfs.ErrLocked
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

// Holder implements vfs.Holder.
func (r *root) Holder(name string) (pid int, held bool, err error) {
	err = r.call("holder", name, true, func(at *node) error {
		if n, err := at.find(name); err == nil && n.locked {
			pid, held = os.Getpid(), true
		}
		return nil
	})
	return pid, held, err
}

// lock is held; n is nil once it was let go.
type lock struct {
	d *Disk
	n *node
}

func (l *lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.n != nil {
		l.n.locked = false
		l.n = nil
	}
	return nil
}

func (r *root) Space() (vfs.Space, error) {
	if r.closed.Load() {
		return vfs.Space{}, pathError("statfs", ".", fs.ErrClosed)
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.d.o.Capacity == 0 {
		return vfs.Space{Free: math.MaxInt64, Total: math.MaxInt64}, nil
	}
	return vfs.Space{Free: r.d.room(), Total: r.d.o.Capacity}, nil
}

func (r *root) Close() error {
	r.closed.Store(true)
	return nil
}
