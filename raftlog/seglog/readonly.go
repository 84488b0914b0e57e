package seglog

import (
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// readOnly is a directory in which nothing can be changed: files are opened for
// reading, whatever for, and everything else is refused.
type readOnly struct{ vfs.FS }

// atReadOnly is vfs.At for a directory that must be there.
func atReadOnly(fsys vfs.FS, dir string) (vfs.FS, error) {
	var root vfs.FS
	var err error
	if fsys == nil {
		root, err = vfs.Disk(dir)
	} else {
		root, err = fsys.Sub(dir)
	}
	if err != nil {
		return nil, err
	}
	return readOnly{root}, nil
}

func refused(what, name string) error { return fmt.Errorf("%s %s: %w", what, name, fault.ErrReadOnly) }

func (r readOnly) OpenWrite(name string) (vfs.File, error) { return r.Open(name) }
func (r readOnly) Create(name string) (vfs.File, error)    { return nil, refused("create", name) }
func (r readOnly) Mkdir(name string) error                 { return refused("mkdir", name) }
func (r readOnly) Rename(from, _ string) error             { return refused("rename", from) }
func (r readOnly) Remove(name string) error                { return refused("remove", name) }
func (r readOnly) SyncDir(dir string) error                { return refused("sync", dir) }
func (r readOnly) Lock(name string) (io.Closer, error)     { return nil, refused("lock", name) }
func (r readOnly) Sub(dir string) (vfs.FS, error)          { return nil, refused("open", dir) }

func (r readOnly) Holder(name string) (pid int, held bool, err error) {
	return vfs.LockHolder(r.FS, name)
}
