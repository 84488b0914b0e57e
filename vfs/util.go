package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"syscall"
)

// At opens dir in fsys, or on the real disk when fsys is nil, and makes it if
// need be: each new directory is durable in its parent before the next one is
// made, so a crash leaves no name that can vanish later. On the real disk dir
// is a path of the operating system, and must not be empty.
func At(fsys FS, dir string) (FS, error) {
	if fsys == nil {
		return atDisk(dir)
	}
	dir = path.Clean(dir)
	if err := MkdirAll(fsys, dir); err != nil {
		return nil, err
	}
	return fsys.Sub(dir)
}

func atDisk(dir string) (FS, error) {
	if dir == "" {
		return nil, fail("open", dir, ErrName)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	up := filepath.Dir(abs)
	root, err := Disk(abs)
	if up == abs || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if err == nil {
		if err := syncDisk(up); err != nil {
			return nil, errors.Join(err, root.Close())
		}
		return root, nil
	}
	parent, err := atDisk(up)
	if err != nil {
		return nil, err
	}
	sub, err := At(parent, filepath.Base(abs))
	return sub, errors.Join(err, parent.Close())
}

// syncDisk makes the names in a directory durable that may be none of ours. If
// we may not read it, we did not make anything in it.
func syncDisk(dir string) error {
	root, err := Disk(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(root.SyncDir("."), root.Close())
}

// MkdirAll makes dir and what is missing above it, each durable in its parent
// before the next.
func MkdirAll(fsys FS, dir string) error {
	info, err := fsys.Stat(dir)
	switch {
	case err == nil && !info.Dir:
		return fail("mkdir", dir, syscall.ENOTDIR)
	case err == nil && dir == ".":
		return nil
	case errors.Is(err, fs.ErrNotExist) && dir != ".":
		if err := MkdirAll(fsys, path.Dir(dir)); err != nil {
			return err
		}
		if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case err != nil:
		return err
	}
	// Also when dir was there: whoever made it may have been killed before the
	// name was synced, and then a power cut would take all that we put in it.
	return fsys.SyncDir(path.Dir(dir))
}

// RemoveAll removes name and what is below it; a name that is not there is no
// error. The removal is durable after SyncDir of the parent.
func RemoveAll(fsys FS, name string) error {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Dir {
		children, err := fsys.List(name)
		if err != nil {
			return err
		}
		for _, c := range children {
			if err := RemoveAll(fsys, path.Join(name, c.Name)); err != nil {
				return err
			}
		}
	}
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fsys FS, name string, limit int64) (b []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d expected", name, size, limit)
	}
	b = make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if n == len(b) {
		return b, nil
	}
	if errors.Is(err, io.EOF) {
		err = fail("read", name, io.ErrUnexpectedEOF) // cut since Size
	}
	return nil, err
}

// TempSuffix marks files that WriteFile had not finished. Whoever owns a
// directory removes them when it opens it.
const TempSuffix = ".tmp"

// WriteFile replaces a small file as a whole: on return the new content is
// durable under its name, and after a crash or an error the old or the new one
// is there. One caller at a time for one name.
func WriteFile(fsys FS, name string, b []byte) error {
	tmp := name + TempSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	return fsys.SyncDir(path.Dir(name))
}
