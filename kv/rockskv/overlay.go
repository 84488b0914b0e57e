//go:build rocksdb && cgo

package rockskv

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// overlay is what a transaction has written, over a store that does not change
// meanwhile. It is a treap whose nodes never change, so a copy of the struct
// stays what it is whatever is written later: a walk takes one.
type overlay struct {
	seed    maphash.Seed
	root    *node
	deleted []span // ranges, in the order of the calls
	bytes   int64  // of keys and values given
	writes  int
}

// span is a range [lo, hi) of the store that is deleted. Nodes stand above it.
type span struct{ lo, hi []byte }

type node struct {
	key, value  []byte
	gone        bool // the key is deleted
	weight      uint64
	left, right *node
}

func (o *overlay) put(key, value []byte, gone bool) {
	both := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	n := &node{key: both[:len(key):len(key)], value: both[len(key):], gone: gone, weight: maphash.Bytes(o.seed, key)}
	o.root = o.root.insert(n)
	o.bytes += int64(len(both))
	o.writes++
}

func (o *overlay) deleteRange(lo, hi []byte) {
	below, rest := o.root.split(lo)
	_, above := rest.split(hi)
	o.root = merge(below, above)
	// Clipped: a copy of the struct must not see what is appended.
	o.deleted = append(slices.Clip(o.deleted), span{bytes.Clone(lo), bytes.Clone(hi)})
	o.bytes += int64(len(lo) + len(hi))
	o.writes++
}

// get returns what the transaction has written for key, nil if nothing.
func (o *overlay) get(key []byte) *node {
	for n := o.root; n != nil; {
		switch c := bytes.Compare(key, n.key); {
		case c == 0:
			return n
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil
}

// hides returns the deleted range that key of the store is in, nil if it is in
// none.
func (o *overlay) hides(key []byte) *span {
	for i := range o.deleted {
		if s := &o.deleted[i]; bytes.Compare(s.lo, key) <= 0 && bytes.Compare(key, s.hi) < 0 {
			return s
		}
	}
	return nil
}

// insert returns the tree with x in it, in the place of a node with its key.
// That one has the same weight, so it is met before x would go above it.
func (n *node) insert(x *node) *node {
	if n == nil {
		return x
	}
	c := bytes.Compare(x.key, n.key)
	up := *n
	switch {
	case c == 0:
		x.left, x.right = n.left, n.right
		return x
	case x.weight > n.weight:
		x.left, x.right = n.split(x.key)
		return x
	case c < 0:
		up.left = n.left.insert(x)
	default:
		up.right = n.right.insert(x)
	}
	return &up
}

// split returns the tree of the keys below key and that of the others.
func (n *node) split(key []byte) (below, rest *node) {
	if n == nil {
		return nil, nil
	}
	up := *n
	if bytes.Compare(n.key, key) < 0 {
		up.right, rest = n.right.split(key)
		return &up, rest
	}
	below, up.left = n.left.split(key)
	return below, &up
}

// merge joins two trees, all keys of the first below those of the second.
func merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.weight > b.weight:
		up := *a
		up.right = merge(a.right, b)
		return &up
	default:
		up := *b
		up.left = merge(a, b.left)
		return &up
	}
}

// walk is a position in an overlay: the node to come is the last of path.
type walk struct {
	path    []*node
	reverse bool
}

// from starts at the first node of [lo, hi), or at its last in reverse; an
// empty hi has no bound.
func (o *overlay) from(lo, hi []byte, reverse bool) *walk {
	w := &walk{reverse: reverse}
	for n := o.root; n != nil; {
		inside := bytes.Compare(n.key, lo) >= 0
		if reverse {
			inside = len(hi) == 0 || bytes.Compare(n.key, hi) < 0
		}
		if inside {
			w.path = append(w.path, n)
		}
		if inside != reverse {
			n = n.left
		} else {
			n = n.right
		}
	}
	return w
}

// node is the node to come, nil at the end.
func (w *walk) node() *node {
	if len(w.path) == 0 {
		return nil
	}
	return w.path[len(w.path)-1]
}

func (w *walk) next() {
	n := w.node()
	w.path = w.path[:len(w.path)-1]
	if w.reverse {
		for n = n.left; n != nil; n = n.right {
			w.path = append(w.path, n)
		}
		return
	}
	for n = n.right; n != nil; n = n.left {
		w.path = append(w.path, n)
	}
}
