//go:build linux || darwin

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// disk is a directory of the real file system, held open by os.Root.
type disk struct{ root *os.Root }

// Disk opens an existing directory of the real file system.
func Disk(dir string) (FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return disk{root}, nil
}

func (d disk) open(op, name string, flag int) (File, error) {
	if err := checkEntry(op, name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d disk) Create(name string) (File, error) {
	return d.open("create", name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (d disk) OpenWrite(name string) (File, error) { return d.open("open", name, os.O_RDWR) }

// Open looks before it reads: unlike for writing, the kernel would open a
// directory too.
func (d disk) Open(name string) (File, error) {
	f, err := d.open("open", name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	st, err := f.(diskFile).Stat()
	if err == nil && st.IsDir() {
		err = fail("open", name, syscall.EISDIR)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d disk) Mkdir(name string) error {
	if err := checkEntry("mkdir", name); err != nil {
		return err
	}
	return d.root.Mkdir(name, dirMode)
}

func (d disk) Rename(from, to string) error {
	if err := checkPair("rename", from, to); err != nil {
		return err
	}
	return d.root.Rename(from, to)
}

// Link gives a file a second name: [Linker].
func (d disk) Link(from, to string) error {
	if err := checkPair("link", from, to); err != nil {
		return err
	}
	return d.root.Link(from, to)
}

func (d disk) Remove(name string) error {
	if err := checkEntry("remove", name); err != nil {
		return err
	}
	return d.root.Remove(name)
}

// directory opens a directory and nothing else, not even for a moment: opening
// a pipe would wait for its other end.
func (d disk) directory(op, name string) (*os.File, error) {
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
}

func (d disk) List(dir string) (infos []Info, err error) {
	f, err := d.directory("list", dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := d.Stat(path.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since ReadDir
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

func (d disk) Stat(name string) (Info, error) {
	if err := checkName("stat", name); err != nil {
		return Info{}, err
	}
	st, err := d.root.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	info := Info{Name: path.Base(name), Dir: st.IsDir()}
	if !info.Dir {
		info.Size = st.Size()
	}
	return info, nil
}

func (d disk) SyncDir(dir string) error {
	f, err := d.directory("sync", dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d disk) Sub(dir string) (FS, error) {
	if err := checkName("open", dir); err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return disk{root}, nil
}

func (d disk) Space() (sp Space, err error) {
	f, err := d.directory("statfs", ".")
	if err != nil {
		return Space{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return space(f)
}

func (d disk) Lock(name string) (io.Closer, error) {
	if err := checkEntry("lock", name); err != nil {
		return nil, err
	}
	return lockFile(d.root, name)
}

// Holder tells who has a lock: [Holder].
func (d disk) Holder(name string) (pid int, held bool, err error) {
	if err := checkEntry("lock", name); err != nil {
		return 0, false, err
	}
	return lockHolder(d.root, name)
}

func (d disk) Close() error { return d.root.Close() }

type diskFile struct{ *os.File }

func (f diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f diskFile) SyncData() error { return syncData(f.File) }

func (f diskFile) Hint(h Hint, off, n int64) error { return hint(f.File, h, off, n) }

// onFD runs call on f's descriptor, again while a signal interrupts it. The
// descriptor cannot be closed, and its number given to another file, meanwhile.
func onFD(f *os.File, op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	closed := conn.Control(func(fd uintptr) {
		for callErr = syscall.EINTR; errors.Is(callErr, syscall.EINTR); {
			callErr = call(int(fd))
		}
	})
	if closed != nil {
		callErr = fs.ErrClosed
	}
	if callErr != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: callErr}
	}
	return nil
}
