package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
)

// At opens dir in fsys, or on the real disk when fsys is nil, and makes it if
// need be: each new directory is durable in its parent before the next one is
// made, so a crash leaves no name that can vanish later.
func At(fsys FS, dir string) (FS, error) {
	if fsys != nil {
		dir = path.Clean(dir)
		if err := MkdirAll(fsys, dir); err != nil {
			return nil, err
		}
		return fsys.Sub(dir)
	}
	root, err := Disk(dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if filepath.Dir(abs) == abs {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	parent, err := At(nil, filepath.Dir(abs))
	if err != nil {
		return nil, err
	}
	sub, err := At(parent, filepath.Base(abs))
	return sub, errors.Join(err, parent.Close())
}

// MkdirAll makes dir and what is missing above it, each durable in its parent
// before the next.
func MkdirAll(fsys FS, dir string) error {
	info, err := fsys.Stat(dir)
	if err == nil {
		if !info.Dir {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errNotDir}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) || dir == "." {
		return err
	}
	if err := MkdirAll(fsys, path.Dir(dir)); err != nil {
		return err
	}
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
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
	return fsys.Remove(name)
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
	if n, err := f.ReadAt(b, 0); err != nil && (err != io.EOF || n != len(b)) {
		return nil, err
	}
	return b, nil
}

// TempSuffix marks files that WriteFile had not finished. Whoever owns a
// directory removes them when it opens it.
const TempSuffix = ".tmp"

// WriteFile replaces a small file as a whole: on return the new content is
// durable under its name, and after a crash the old or the new one is there.
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
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}
