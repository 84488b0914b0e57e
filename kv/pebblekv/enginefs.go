package pebblekv

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"github.com/trimarandb/trimaran/vfs"
)

// engineFS puts Pebble on a [vfs.FS]. It decides the engine's fate at the
// first write that fails, before Pebble knows of it, and from then on changes
// nothing on disk:
//
//   - The write-ahead log seems to work. Pebble would end the process when
//     its log fails; nothing is acknowledged any more anyhow.
//   - Flushes and compactions wait, where they make their first file, until
//     the engine is closed: Pebble would repeat them without end. Those that
//     make none are slowed down between tries.
//   - All else fails.
//
// A table that finds no room decides nothing: Pebble has its content
// elsewhere, and writes another one later. Only Open would wait for that, so
// until it has returned there is no exception.
type engineFS struct {
	fs   vfs.FS
	fate *fate
}

var _ pebblevfs.FS = (*engineFS)(nil)

func isLog(name string) bool   { return strings.HasSuffix(name, ".log") }
func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

// isMarker reports whether a name says by itself which manifest, or which
// format, is in force.
func isMarker(name string) bool { return strings.HasPrefix(path.Base(name), "marker.") }

// change makes one change on disk, unless the fate is decided, and lets a
// failure decide it.
func (e *engineFS) change(name string, do func() error) error {
	if err := e.fate.err(); err != nil {
		return fmt.Errorf("write %s after a failure: %w", name, err)
	}
	look := e.fate.looks()
	err := do()
	switch {
	case err == nil:
	case isTable(name) && vfs.IsFull(err) && e.fate.opened.Load():
		e.fate.roomMissed(look)
	default:
		e.fate.fail(err)
	}
	return err
}

// hold keeps background work of a failed engine from its next try.
func (e *engineFS) hold() {
	if e.fate.err() != nil {
		<-e.fate.gone
		return
	}
	if e.fate.full() {
		e.fate.pause()
	}
}

func isBackground(c pebblevfs.DiskWriteCategory) bool {
	return c == "pebble-memtable-flush" || c == "pebble-compaction" || c == "pebble-blob-file-rewrite"
}

// Create makes a new file, in the place of one that is there.
func (e *engineFS) Create(name string, category pebblevfs.DiskWriteCategory) (pebblevfs.File, error) {
	if isBackground(category) {
		e.hold()
	}
	if isMarker(name) {
		// A crash that kept the marker and lost the name of the manifest that it
		// puts in force would leave a store that does not open.
		if err := e.settle(name); err != nil {
			return nil, err
		}
	}
	var f vfs.File
	err := e.change(name, func() (err error) {
		f, err = e.fs.Create(name)
		for errors.Is(err, fs.ErrExist) {
			if err = e.fs.Remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
				f, err = e.fs.Create(name)
			}
		}
		return err
	})
	return e.file(name, f, err)
}

// file wraps f. A log file that could not be made is one that forgets.
func (e *engineFS) file(name string, f vfs.File, err error) (pebblevfs.File, error) {
	switch {
	case err == nil:
		return newEngineFile(e, name, f), nil
	case isLog(name):
		return &nullFile{name: name}, nil
	default:
		return nil, err
	}
}

func (e *engineFS) Link(from, to string) error {
	var unsupported error
	err := e.change(to, func() error {
		err := vfs.Link(e.fs, from, to)
		if errors.Is(err, errors.ErrUnsupported) {
			unsupported = err // Pebble copies instead
			return nil
		}
		return err
	})
	return errors.Join(err, unsupported)
}

func (e *engineFS) Open(name string, opts ...pebblevfs.OpenOption) (pebblevfs.File, error) {
	f, err := e.fs.Open(name)
	if err != nil {
		return nil, err
	}
	file := newEngineFile(e, name, f)
	for _, o := range opts {
		o.Apply(file)
	}
	return file, nil
}

// OpenReadWrite is for shared caches, which need more than one node's disk.
func (e *engineFS) OpenReadWrite(name string, _ pebblevfs.DiskWriteCategory, _ ...pebblevfs.OpenOption) (pebblevfs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}

func (e *engineFS) OpenDir(name string) (pebblevfs.File, error) {
	info, err := e.fs.Stat(name)
	if err == nil && !info.Dir {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
	}
	if err != nil {
		return nil, err
	}
	return &engineDir{nullFile: nullFile{name: name}, fs: e}, nil
}

// Remove decides nothing when it fails: Pebble removes only what it does not
// need, and looks for leftovers when it opens.
func (e *engineFS) Remove(name string) error {
	if err := e.fate.err(); err != nil {
		return fmt.Errorf("remove %s after a failure: %w", name, err)
	}
	if isMarker(name) {
		// Pebble has just made the next one. A crash that kept the removal and lost
		// the new name would leave none, and with it no store.
		if err := e.settle(name); err != nil {
			return err
		}
	}
	return e.fs.Remove(name)
}

// settle makes the names beside name durable.
func (e *engineFS) settle(name string) error {
	dir := path.Dir(name)
	return e.change(dir, func() error { return e.fs.SyncDir(dir) })
}

func (e *engineFS) RemoveAll(name string) error {
	if err := e.fate.err(); err != nil {
		return fmt.Errorf("remove %s after a failure: %w", name, err)
	}
	return vfs.RemoveAll(e.fs, name)
}

func (e *engineFS) Rename(from, to string) error {
	return e.change(to, func() error { return e.fs.Rename(from, to) })
}

func (e *engineFS) ReuseForWrite(from, to string, _ pebblevfs.DiskWriteCategory) (pebblevfs.File, error) {
	var f vfs.File
	err := e.change(to, func() (err error) {
		if err = e.fs.Rename(from, to); err == nil {
			f, err = e.fs.OpenWrite(to)
		}
		return err
	})
	return e.file(to, f, err)
}

func (e *engineFS) MkdirAll(dir string, _ os.FileMode) error {
	return e.change(dir, func() error { return vfs.MkdirAll(e.fs, dir) })
}

// Lock locks nothing: Open holds the lock over the whole directory.
func (e *engineFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (e *engineFS) List(dir string) ([]string, error) {
	infos, err := e.fs.List(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name
	}
	return names, nil
}

func (e *engineFS) Stat(name string) (pebblevfs.FileInfo, error) {
	info, err := e.fs.Stat(name)
	if err != nil {
		return nil, err
	}
	return fileInfo{info}, nil
}

func (e *engineFS) PathBase(name string) string    { return path.Base(name) }
func (e *engineFS) PathJoin(elem ...string) string { return path.Join(elem...) }
func (e *engineFS) PathDir(name string) string     { return path.Dir(name) }
func (e *engineFS) Unwrap() pebblevfs.FS           { return nil }

func (e *engineFS) GetDiskUsage(string) (pebblevfs.DiskUsage, error) {
	sp, err := e.fs.Space()
	if err != nil {
		return pebblevfs.DiskUsage{}, err
	}
	return pebblevfs.DiskUsage{AvailBytes: uint64(sp.Free), TotalBytes: uint64(sp.Total), UsedBytes: uint64(sp.Total - sp.Free)}, nil
}
