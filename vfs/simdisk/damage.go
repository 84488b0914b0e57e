package simdisk

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Files lists the files by their names, in order. One with two names is there
// twice.
func (m *Image) Files() []string {
	names := m.names.list(rootID, ".")
	slices.Sort(names)
	return names
}

func (n *names) list(dir int, at string) (files []string) {
	for name, id := range n.dirs[dir] {
		if n.dirs[id] == nil {
			files = append(files, path.Join(at, name))
		} else {
			files = append(files, n.list(id, path.Join(at, name))...)
		}
	}
	return files
}

// Bytes returns a copy of a file.
func (m *Image) Bytes(name string) ([]byte, error) {
	_, id, err := m.find("read", name)
	if err != nil {
		return nil, err
	}
	return m.file(id).bytes(), nil
}

// find returns a file and the directory that it is in.
func (m *Image) find(op, name string) (dir, id int, err error) {
	id = rootID
	for elem := range strings.SplitSeq(name, "/") {
		dir = id
		if id = m.names.dirs[dir][elem]; id == 0 {
			return 0, 0, pathError(op, name, fs.ErrNotExist)
		}
	}
	if m.file(id) == nil {
		return 0, 0, pathError(op, name, syscall.EISDIR)
	}
	return dir, id, nil
}

// rename returns m with fn applied to its directories. more are the bytes of
// files that were not there.
func (m *Image) rename(fn func(dirs map[int]map[string]int), more ...*frozen) *Image {
	dirs := make(map[int]map[string]int, len(m.names.dirs))
	for dir, names := range m.names.dirs {
		dirs[dir] = maps.Clone(names)
	}
	fn(dirs)
	out := &Image{names: reach(dirs)}
	for _, id := range out.names.files {
		if c := m.file(id); c != nil {
			out.files = append(out.files, c)
		}
	}
	out.files = append(out.files, more...)
	return out
}

// change returns m with fn applied to the bytes of a file.
func (m *Image) change(op, name string, fn func(c *content) error) (*Image, error) {
	_, id, err := m.find(op, name)
	if err != nil {
		return nil, err
	}
	c := m.file(id).content
	if err := fn(&c); err != nil {
		return nil, pathError(op, name, err)
	}
	out := &Image{names: m.names, files: slices.Clone(m.files)}
	i, _ := slices.BinarySearch(m.names.files, id)
	out.files[i] = freeze(c)
	return out, nil
}

func (c *content) within(off, n int64) error {
	if off < 0 || n < 0 || n > c.size-off {
		return fmt.Errorf("%d bytes at %d of %d: %w", n, off, c.size, fs.ErrInvalid)
	}
	return nil
}

func (c *content) overwrite(p []byte, off int64) {
	first, sectors := c.written(p, off)
	c.put(first, sectors, max(c.size, off+int64(len(p))))
}

// Flip returns m with one bit of a file flipped, 0 to 7 of the byte at off.
func (m *Image) Flip(name string, off int64, bit int) (*Image, error) {
	return m.change("flip", name, func(c *content) error {
		if err := c.within(off, 1); err != nil {
			return err
		}
		var b [1]byte
		_, err := c.readAt(b[:], off)
		b[0] ^= 1 << (bit & 7)
		c.overwrite(b[:], off)
		return err
	})
}

// Zero returns m with n bytes of a file zeroed: a block that was lost.
func (m *Image) Zero(name string, off, n int64) (*Image, error) {
	return m.change("zero", name, func(c *content) error {
		if err := c.within(off, n); err != nil {
			return err
		}
		c.overwrite(make([]byte, n), off)
		return nil
	})
}

// Stale returns m with n bytes of a file as they were in an older image: a
// write that never arrived. Where the file was not there yet, or shorter, they
// are zeros.
func (m *Image) Stale(older *Image, name string, off, n int64) (*Image, error) {
	return m.change("stale", name, func(c *content) error {
		if err := c.within(off, n); err != nil {
			return err
		}
		b := make([]byte, n)
		if _, id, err := older.find("stale", name); err == nil {
			if old := older.file(id).bytes(); off < int64(len(old)) {
				copy(b, old[off:])
			}
		}
		c.overwrite(b, off)
		return nil
	})
}

// Misdirect returns m with n bytes at off of one file where those at off of
// another, or at another offset, should be: a write that went elsewhere.
func (m *Image) Misdirect(name string, off int64, from string, fromOff, n int64) (*Image, error) {
	_, id, err := m.find("misdirect", from)
	if err != nil {
		return nil, err
	}
	src := m.file(id)
	return m.change("misdirect", name, func(c *content) error {
		if err := c.within(off, n); err != nil {
			return err
		}
		if err := src.within(fromOff, n); err != nil {
			return err
		}
		c.overwrite(src.bytes()[fromOff:fromOff+n], off)
		return nil
	})
}

// Resize returns m with a file cut, or extended with zeros.
func (m *Image) Resize(name string, size int64) (*Image, error) {
	return m.change("resize", name, func(c *content) error {
		if size < 0 || size > maxFile {
			return fs.ErrInvalid
		}
		first, sectors := c.shortened(size)
		c.put(first, sectors, size)
		return nil
	})
}

// Lose returns m without a file.
func (m *Image) Lose(name string) (*Image, error) {
	dir, _, err := m.find("lose", name)
	if err != nil {
		return nil, err
	}
	return m.rename(func(dirs map[int]map[string]int) { delete(dirs[dir], path.Base(name)) }), nil
}

// Swap returns m with two files under each other's names.
func (m *Image) Swap(a, b string) (*Image, error) {
	dirA, idA, err := m.find("swap", a)
	if err != nil {
		return nil, err
	}
	dirB, idB, err := m.find("swap", b)
	if err != nil {
		return nil, err
	}
	return m.rename(func(dirs map[int]map[string]int) {
		dirs[dirA][path.Base(a)] = idB
		dirs[dirB][path.Base(b)] = idA
	}), nil
}

// Duplicate returns m with a file under a second name in the same directory as
// well, or instead of what has that name.
func (m *Image) Duplicate(name, base string) (*Image, error) {
	dir, id, err := m.find("duplicate", name)
	if err != nil {
		return nil, err
	}
	if !fs.ValidPath(base) || strings.Contains(base, "/") || base == "." {
		return nil, pathError("duplicate", base, fs.ErrInvalid)
	}
	last := rootID
	for _, p := range m.names.places {
		last = max(last, p.id)
	}
	return m.rename(func(dirs map[int]map[string]int) { dirs[dir][base] = last + 1 }, m.file(id)), nil
}
