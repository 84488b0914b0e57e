package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"sync/atomic"
)

// Overlay returns a tree that begins as base, or as the given directories of it,
// and can be changed as one likes: base stays as it is, and what is written is in files of scratch, which
// whoever made that removes. So a store can be opened, and repaired, to see
// what would come of it. Names are those that base has now; its files must not
// change while the overlay is used. A file that is written to is copied to
// scratch first, as a whole. Syncs do no work, and locks are the overlay's own.
func Overlay(base, scratch FS, dirs ...string) (FS, error) {
	var n atomic.Int64
	fresh := func() content { return &copied{scratch: scratch, n: &n} }
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	o := overlay{newTree(newDir(), fresh), scratch}
	for _, dir := range dirs {
		if err := o.shadow(base, dir); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// shadow adds a directory of base, and what is above it, as far as it is there.
func (o overlay) shadow(base FS, dir string) error {
	for at := range len(dir) {
		if up := dir[:at]; dir[at] == '/' {
			if info, err := base.Stat(up); errors.Is(err, fs.ErrNotExist) || err == nil && !info.Dir {
				return nil
			}
			if err := o.Mkdir(up); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	n, err := shadow(base, dir, o.fresh)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case dir == ".":
		o.root = n
		return nil
	}
	return o.root.put(dir, n)
}

// shadow makes a node of each name below dir.
func shadow(base FS, dir string, fresh func() content) (*node, error) {
	infos, err := base.List(dir)
	if err != nil {
		return nil, err
	}
	n := newDir()
	for _, info := range infos {
		name := path.Join(dir, info.Name)
		if info.Dir {
			if n.entries[info.Name], err = shadow(base, name, fresh); err != nil {
				return nil, err
			}
			continue
		}
		c := fresh().(*copied)
		c.base, c.name, c.size = base, name, info.Size
		n.entries[info.Name] = &node{data: c}
	}
	return n, nil
}

// overlay has the room of scratch.
type overlay struct {
	*mem
	scratch FS
}

func (o overlay) Sub(dir string) (FS, error) {
	sub, err := o.mem.Sub(dir)
	if err != nil {
		return nil, err
	}
	return overlay{sub.(*mem), o.scratch}, nil
}

func (o overlay) Space() (Space, error) {
	if _, err := o.mem.Space(); err != nil { // it is closed
		return Space{}, err
	}
	return o.scratch.Space()
}

// copied is the content of a file of base until it is written to, and of one in
// scratch from then on.
type copied struct {
	scratch FS
	n       *atomic.Int64 // how many files scratch has
	base    FS            // nil: name is in scratch
	name    string        // empty: there is no file yet
	size    int64
	users   int
	file    File // while somebody uses it, and there is one
}

func (c *copied) Size() int64 { return c.size }

func (c *copied) Open() (err error) {
	switch {
	case c.users > 0 || c.name == "":
	case c.base != nil:
		c.file, err = c.base.Open(c.name)
	default:
		c.file, err = c.scratch.OpenWrite(c.name)
	}
	if err == nil {
		c.users++
	}
	return err
}

func (c *copied) Close() error {
	if c.users--; c.users > 0 || c.file == nil {
		return nil
	}
	f := c.file
	c.file = nil
	return f.Close()
}

func (c *copied) ReadAt(p []byte, off int64) (int, error) {
	if off >= c.size {
		return 0, io.EOF
	}
	return c.file.ReadAt(p, off)
}

func (c *copied) WriteAt(p []byte, off int64) (int, error) {
	if err := c.own(); err != nil {
		return 0, err
	}
	n, err := c.file.WriteAt(p, off)
	c.size = max(c.size, off+int64(n))
	return n, err
}

func (c *copied) Truncate(size int64) error {
	if err := c.own(); err != nil {
		return err
	}
	if err := c.file.Truncate(size); err != nil {
		return err
	}
	c.size = size
	return nil
}

// own makes the file one of scratch.
func (c *copied) own() (err error) {
	if c.name != "" && c.base == nil {
		return nil
	}
	name := strconv.FormatInt(c.n.Add(1), 10)
	f, err := c.scratch.Create(name)
	if err != nil {
		return err
	}
	if c.file != nil {
		if _, err = io.Copy(io.NewOffsetWriter(f, 0), io.NewSectionReader(c.file, 0, c.size)); err == nil {
			err = c.file.Close()
		}
	}
	if err != nil {
		return errors.Join(err, f.Close(), c.scratch.Remove(name))
	}
	c.base, c.name, c.file = nil, name, f
	return nil
}
