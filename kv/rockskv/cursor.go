//go:build rocksdb && cgo

package rockskv

import (
	"bytes"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/kv"
)

// cursor walks a range of the store. Bounds are checked here: RocksDB would
// keep pointers to them.
type cursor struct {
	it  *grocksdb.Iterator
	r   kv.Range
	key []byte // in C, valid until the next move; nil outside the range
}

func (g *generation) cursor(o *grocksdb.ReadOptions, r kv.Range) *cursor {
	c := &cursor{it: g.db.NewIterator(o), r: r}
	switch {
	case !r.Reverse:
		c.it.Seek(r.Lo)
		c.look()
	case len(r.Hi) == 0:
		c.it.SeekToLast()
		c.look()
	default:
		c.before(r.Hi)
	}
	return c
}

// before goes to the last key below a bound.
func (c *cursor) before(bound []byte) {
	c.it.SeekForPrev(bound)
	if c.look(); bytes.Equal(c.key, bound) && c.key != nil {
		c.next()
	}
}

// look takes the key where the iterator is.
func (c *cursor) look() {
	c.key = nil
	if !c.it.Valid() {
		return
	}
	key := c.it.Key().Data()
	// The bound that a walk begins with may be the key itself: before moves on.
	if c.r.Reverse && bytes.Compare(key, c.r.Lo) >= 0 || !c.r.Reverse && (len(c.r.Hi) == 0 || bytes.Compare(key, c.r.Hi) < 0) {
		c.key = key
	}
}

func (c *cursor) next() {
	if c.r.Reverse {
		c.it.Prev()
	} else {
		c.it.Next()
	}
	c.look()
}

// skip leaves a deleted range.
func (c *cursor) skip(s *span) {
	if c.r.Reverse {
		c.before(s.lo)
		return
	}
	c.it.Seek(s.hi)
	c.look()
}

// value is lent until the next move.
func (c *cursor) value() []byte { return c.it.Value().Data() }
