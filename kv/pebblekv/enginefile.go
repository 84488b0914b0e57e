package pebblekv

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"github.com/trimarandb/trimaran/vfs"
)

// engineFile is an open file of the engine, with the position that Pebble
// reads or writes on from.
type engineFile struct {
	fs    *engineFS
	name  string
	f     vfs.File
	hints vfs.Hinter // nil if f takes none
	fd    uintptr
	pos   int64 // Pebble never reads and writes one file by several goroutines
	short bool  // a write failed
}

func newEngineFile(e *engineFS, name string, f vfs.File) *engineFile {
	file := &engineFile{fs: e, name: name, f: f, fd: pebblevfs.InvalidFd}
	file.hints, _ = f.(vfs.Hinter)
	if d, ok := f.(vfs.Descriptor); ok {
		file.fd = d.Fd()
	}
	return file
}

func (f *engineFile) Close() error { return f.f.Close() }

func (f *engineFile) Read(p []byte) (int, error) {
	n, err := f.f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF { //nolint:errorlint // ReadAt returns it bare
		err = nil
	}
	return n, err
}

func (f *engineFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

func (f *engineFile) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *engineFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.change(f.name, func() error {
		n, err = f.f.WriteAt(p, off)
		return err
	})
	f.short = f.short || err != nil
	if err != nil && isLog(f.name) {
		return len(p), nil
	}
	return n, err
}

func (f *engineFile) Sync() error     { return f.sync(f.f.Sync) }
func (f *engineFile) SyncData() error { return f.sync(f.f.SyncData) }

func (f *engineFile) sync(do func() error) error {
	err := f.fs.change(f.name, do)
	switch {
	case err == nil && isTable(f.name):
		if !f.short { // Pebble syncs what it could not write as well
			f.fs.fate.roomFound()
		}
	case isLog(f.name):
		return nil
	}
	return err
}

// SyncTo begins to write out what was written up to length; where that can't
// be had, it syncs everything.
func (f *engineFile) SyncTo(length int64) (fullSync bool, err error) {
	if f.hints == nil {
		return true, f.SyncData()
	}
	var unsupported bool
	err = f.sync(func() error {
		err := f.hints.Hint(vfs.HintWriteBack, 0, length)
		if unsupported = errors.Is(err, errors.ErrUnsupported); unsupported {
			return nil
		}
		return err
	})
	if unsupported {
		return true, f.SyncData()
	}
	return false, err
}

// Preallocate is for speed; what it cannot have, a write will tell.
func (f *engineFile) Preallocate(off, n int64) error {
	if f.hints == nil || f.fs.fate.err() != nil {
		return nil
	}
	return f.hints.Hint(vfs.HintReserve, off, n)
}

func (f *engineFile) Prefetch(off, n int64) error {
	if f.hints == nil {
		return nil
	}
	err := f.hints.Hint(vfs.HintPrefetch, off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func (f *engineFile) Stat() (pebblevfs.FileInfo, error) {
	size, err := f.f.Size()
	if err != nil {
		return nil, err
	}
	return fileInfo{vfs.Info{Name: path.Base(f.name), Size: size}}, nil
}

func (f *engineFile) Fd() uintptr { return f.fd }

// nullFile takes everything and keeps nothing.
type nullFile struct{ name string }

func (f *nullFile) Close() error                           { return nil }
func (f *nullFile) Read([]byte) (int, error)               { return 0, io.EOF }
func (f *nullFile) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (f *nullFile) Write(p []byte) (int, error)            { return len(p), nil }
func (f *nullFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (f *nullFile) Preallocate(_, _ int64) error           { return nil }
func (f *nullFile) Sync() error                            { return nil }
func (f *nullFile) SyncData() error                        { return nil }
func (f *nullFile) SyncTo(int64) (bool, error)             { return false, nil }
func (f *nullFile) Prefetch(_, _ int64) error              { return nil }
func (f *nullFile) Fd() uintptr                            { return pebblevfs.InvalidFd }
func (f *nullFile) Stat() (pebblevfs.FileInfo, error) {
	return fileInfo{vfs.Info{Name: path.Base(f.name)}}, nil
}

// engineDir is a directory, opened to be synced. A failure is not told to
// Pebble, which would end the process where the name was one of its log; it
// decides the fate, and then nothing can be built on the name.
type engineDir struct {
	nullFile
	fs *engineFS
}

func (d *engineDir) Sync() error {
	_ = d.fs.change(d.name, func() error { return d.fs.fs.SyncDir(d.name) }) // in the fate
	return nil
}

func (d *engineDir) SyncData() error { return d.Sync() }

func (d *engineDir) Stat() (pebblevfs.FileInfo, error) { return d.fs.Stat(d.name) }

// fileInfo is what Pebble asks of a name: its size.
type fileInfo struct{ info vfs.Info }

func (i fileInfo) Name() string                 { return i.info.Name }
func (i fileInfo) Size() int64                  { return i.info.Size }
func (i fileInfo) IsDir() bool                  { return i.info.Dir }
func (i fileInfo) ModTime() time.Time           { return time.Time{} }
func (i fileInfo) Sys() any                     { return nil }
func (i fileInfo) DeviceID() pebblevfs.DeviceID { return pebblevfs.DeviceID{} }

func (i fileInfo) Mode() os.FileMode {
	if i.info.Dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
