package doctor

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/trimarandb/trimaran/vfs"
)

// saver is a tree that has a file kept before it is changed or removed for the
// first time. Files that were made through it are not kept.
type saver struct {
	vfs.FS
	base string // of this tree in the one that is saved
	s    *saving
}

type saving struct {
	keep func(name string) error

	mu   sync.Mutex
	mine map[string]bool // names of files that were made since, or are kept
	kept []string
}

func newSaver(fsys vfs.FS, keep func(name string) error) saver {
	return saver{fsys, ".", &saving{keep: keep, mine: map[string]bool{}}}
}

// names returns what was kept, in order.
func (s *saving) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.kept)
	return slices.Clone(s.kept)
}

// touch keeps a file if it is there, and not ours.
func (v saver) touch(name string) error {
	info, err := v.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Dir {
		return nil
	}
	if err != nil {
		return err
	}
	name = path.Join(v.base, name)
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.s.mine[name] {
		return nil
	}
	if err := v.s.keep(name); err != nil {
		return err
	}
	v.s.mine[name] = true
	v.s.kept = append(v.s.kept, name)
	return nil
}

// made notes a file as ours, or as nobody's.
func (v saver) made(name string, is bool) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.s.mine[path.Join(v.base, name)] = is
}

func (v saver) Create(name string) (vfs.File, error) {
	f, err := v.FS.Create(name)
	if err == nil {
		v.made(name, true)
	}
	return f, err
}

func (v saver) OpenWrite(name string) (vfs.File, error) {
	if err := v.touch(name); err != nil {
		return nil, err
	}
	return v.FS.OpenWrite(name)
}

func (v saver) Remove(name string) error {
	if err := v.touch(name); err != nil {
		return err
	}
	return v.FS.Remove(name)
}

// Rename keeps what is replaced, and what is renamed: under its new name it may
// be written to. A directory keeps its bytes.
func (v saver) Rename(from, to string) error {
	if err := errors.Join(v.touch(from), v.touch(to)); err != nil {
		return err
	}
	if err := v.FS.Rename(from, to); err != nil {
		return err
	}
	v.made(to, true)
	return nil
}

func (v saver) Link(from, to string) error { return vfs.Link(v.FS, from, to) }

func (v saver) Holder(name string) (pid int, held bool, err error) {
	return vfs.LockHolder(v.FS, name)
}

func (v saver) Sub(dir string) (vfs.FS, error) {
	sub, err := v.FS.Sub(dir)
	if err != nil {
		return nil, err
	}
	return saver{sub, path.Join(v.base, dir), v.s}, nil
}

// copyAside returns what keeps a file of fsys: a copy beside the layer that it
// belongs to, durable before the original changes.
func copyAside(fsys vfs.FS, layers []string, suffix string) func(name string) error {
	return func(name string) error {
		for _, dir := range layers {
			if below, ok := strings.CutPrefix(name, dir+"/"); ok {
				return copyFile(fsys, name, path.Join(dir+suffix, below))
			}
		}
		return nil // of none of them
	}
}

func copyFile(fsys vfs.FS, name, to string) (err error) {
	if err := vfs.MkdirAll(fsys, path.Dir(to)); err != nil {
		return err
	}
	from, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	size, err := from.Size()
	if err != nil {
		return err
	}
	f, err := fsys.Create(to)
	if err != nil {
		return err
	}
	if _, err = io.Copy(io.NewOffsetWriter(f, 0), io.NewSectionReader(from, 0, size)); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(to))
}
