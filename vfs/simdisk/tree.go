package simdisk

import (
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// rootID is the node that every disk begins with.
const rootID = 1

// node is a file, or a directory when entries is not nil.
type node struct {
	id      int
	entries map[string]*node
	data    content
	given   int64 // bytes of the disk that it has, whatever the capacity is later
	links   int
	locked  bool
}

func (n *node) isDir() bool { return n.entries != nil }

// tree is what a running system sees: everything that was done, synced or not.
type tree struct {
	nodes map[int]*node
	last  int   // the highest id that was given away
	used  int64 // bytes that the capacity counts
	given int64 // of these, in blocks that were given away
}

func newTree(nodes int) *tree {
	t := &tree{nodes: make(map[int]*node, nodes)}
	t.add(&node{id: rootID, entries: map[string]*node{}, links: 1})
	return t
}

// blockSize is what a file system gives away at once.
const blockSize = 4096

func (n *node) usage() int64 {
	if n.isDir() {
		return blockSize
	}
	return (n.data.size + blockSize - 1) / blockSize * blockSize
}

// apply does what a record says. It cannot fail: whoever made the record
// looked first.
func (t *tree) apply(r *record) {
	switch r.kind {
	case opCreate:
		t.add(&node{id: r.id})
	case opMkdir:
		t.add(&node{id: r.id, entries: map[string]*node{}, given: blockSize})
	case opWrite, opTruncate:
		n := t.nodes[r.id]
		t.count(n, -1)
		n.data.put(r.first, r.sectors, r.size)
		n.given = min(n.given, n.usage())
		t.count(n, 1)
	case opSync:
		if n := t.nodes[r.id]; !r.failed {
			t.count(n, -1)
			n.given = n.usage()
			t.count(n, 1)
		}
	}
	for _, s := range r.sets {
		t.set(s)
	}
}

// count adds what a node needs, or takes it away. What no name leads to is free.
func (t *tree) count(n *node, sign int64) {
	if n.links > 0 {
		t.used += sign * n.usage()
		t.given += sign * n.given
	}
}

func (t *tree) add(n *node) {
	t.nodes[n.id] = n
	t.last = max(t.last, n.id)
}

func (t *tree) set(s set) {
	dir := t.nodes[s.dir]
	if old := dir.entries[s.name]; old != nil {
		if old.links == 1 {
			t.count(old, -1)
		}
		old.links--
		delete(dir.entries, s.name)
	}
	if s.id == 0 {
		return
	}
	n := t.nodes[s.id]
	if n.links++; n.links == 1 {
		t.count(n, 1)
	}
	dir.entries[s.name] = n
}

// find walks down from n.
func (n *node) find(name string) (*node, error) {
	if name == "." {
		return n, nil
	}
	for elem := range strings.SplitSeq(name, "/") {
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[elem]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (n *node) findDir(name string) (*node, error) {
	dir, err := n.find(name)
	if err == nil && !dir.isDir() {
		err = syscall.ENOTDIR
	}
	return dir, err
}

// free finds the directory in which name can be made.
func (n *node) free(name string) (*node, error) {
	dir, err := n.findDir(path.Dir(name))
	switch {
	case err != nil:
		return nil, err
	case dir.entries[path.Base(name)] != nil:
		return nil, fs.ErrExist
	case dir.links == 0:
		return nil, fs.ErrNotExist
	}
	return dir, nil
}

// renaming checks a rename as the kernel does.
func (n *node) renaming(from, to string) ([]set, error) {
	up, err := n.findDir(path.Dir(from))
	if err != nil {
		return nil, err
	}
	dir, err := n.findDir(path.Dir(to))
	if err != nil {
		return nil, err
	}
	src, old := up.entries[path.Base(from)], dir.entries[path.Base(to)]
	switch {
	case src == nil || dir.links == 0:
		return nil, fs.ErrNotExist
	case old != nil && old.isDir():
		return nil, fs.ErrExist
	case old != nil && src.isDir():
		return nil, syscall.ENOTDIR
	case strings.HasPrefix(to, from+"/"):
		return nil, syscall.EINVAL
	case src == old:
		return nil, nil // two names of one file: POSIX does nothing
	}
	return []set{{dir: up.id, name: path.Base(from)}, {dir: dir.id, name: path.Base(to), id: src.id}}, nil
}

func (n *node) removing(name string) (*node, set, error) {
	up, err := n.findDir(path.Dir(name))
	if err != nil {
		return nil, set{}, err
	}
	gone := up.entries[path.Base(name)]
	switch {
	case gone == nil:
		return nil, set{}, fs.ErrNotExist
	case len(gone.entries) > 0:
		return nil, set{}, syscall.ENOTEMPTY
	}
	return gone, set{dir: up.id, name: path.Base(name)}, nil
}
