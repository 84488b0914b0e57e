//go:build rocksdb && cgo

package rockskv

import (
	"bytes"
	"iter"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// get appends a copy of the value to dst.
func (g *generation) get(o *grocksdb.ReadOptions, dst, key []byte) ([]byte, error) {
	v, err := g.db.GetPinned(o, key)
	if err != nil {
		return nil, g.damaged(err)
	}
	defer v.Destroy()
	if !v.Exists() {
		return nil, fault.ErrNotFound
	}
	data := v.Data()
	if dst == nil {
		dst = make([]byte, 0, len(data))
	}
	return append(dst, data...), nil
}

// source is what a walk reads. It is kept until end is called.
type source struct {
	read *grocksdb.ReadOptions
	over overlay
	end  func()
}

// scan walks what begin returns when the walk begins.
func (g *generation) scan(r kv.Range, begin func() (source, error)) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		src, err := begin()
		if err != nil {
			yield(kv.Pair{}, err)
			return
		}
		defer src.end()
		if len(r.Hi) > 0 && bytes.Compare(r.Lo, r.Hi) >= 0 {
			return
		}
		c := g.cursor(src.read, r)
		defer c.it.Close()
		if src.merge(c, yield) {
			if err := c.it.Err(); err != nil {
				yield(kv.Pair{}, g.damaged(err))
			}
		}
	}
}

// merge yields the pairs of the store with those of the overlay above them. It
// reports false if the loop was left.
func (src *source) merge(c *cursor, yield func(kv.Pair, error) bool) bool {
	w := src.over.from(c.r.Lo, c.r.Hi, c.r.Reverse)
	for {
		n := w.node()
		if n != nil && !inside(n.key, c.r) {
			n = nil
		}
		if n == nil && c.key == nil {
			return true
		}
		switch order := compare(n, c); {
		case order > 0: // the store's key comes first
			if s := src.over.hides(c.key); s != nil {
				c.skip(s)
				continue
			}
			if !yield(kv.Pair{Key: c.key, Value: c.value}, nil) {
				return false
			}
			c.next()
		case n.gone || yield(kv.Pair{Key: n.key, Value: n.value}, nil):
			if order == 0 {
				c.next()
			}
			w.next()
		default:
			return false
		}
	}
}

// compare says what comes first: the node if negative, the store's key if
// positive; if zero they have the same key.
func compare(n *node, c *cursor) int {
	switch {
	case n == nil:
		return 1
	case c.key == nil:
		return -1
	case c.r.Reverse:
		return bytes.Compare(c.key, n.key)
	default:
		return bytes.Compare(n.key, c.key)
	}
}

func inside(key []byte, r kv.Range) bool {
	return bytes.Compare(key, r.Lo) >= 0 && (len(r.Hi) == 0 || bytes.Compare(key, r.Hi) < 0)
}
