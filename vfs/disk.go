//go:build unix

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

func (d disk) open(name string, flag int) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d disk) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}
func (d disk) Open(name string) (File, error)      { return d.open(name, os.O_RDONLY) }
func (d disk) OpenWrite(name string) (File, error) { return d.open(name, os.O_RDWR) }

func (d disk) Mkdir(name string) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	return d.root.Mkdir(name, dirMode)
}

func (d disk) Rename(from, to string) error {
	if err := errors.Join(checkName("rename", from), checkName("rename", to)); err != nil {
		return err
	}
	return d.root.Rename(from, to)
}

func (d disk) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	return d.root.Remove(name)
}

func (d disk) List(dir string) (infos []Info, err error) {
	if err := checkName("list", dir); err != nil {
		return nil, err
	}
	f, err := d.root.Open(dir)
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
	if err := checkName("sync", dir); err != nil {
		return err
	}
	f, err := d.root.Open(dir)
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

func (d disk) Space() (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.root.Name(), &st); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: d.root.Name(), Err: err}
	}
	block := int64(st.Bsize)
	return Space{Free: int64(st.Bavail) * block, Total: int64(st.Blocks) * block}, nil
}

func (d disk) Lock(name string) (io.Closer, error) {
	if err := checkName("lock", name); err != nil {
		return nil, err
	}
	return lockFile(d.root, name)
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
