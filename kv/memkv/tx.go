package memkv

import (
	"bytes"
	"fmt"
	"iter"
	"sort"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// tx is a transaction: a content of its own if it is writable, a published one
// otherwise.
type tx struct {
	content
	db       *DB
	writable bool
	done     atomic.Bool
}

func (t *tx) check(writes bool) error {
	switch {
	case t.done.Load():
		return fmt.Errorf("memory engine: transaction: %w", fault.ErrClosed)
	case writes && !t.writable:
		return fmt.Errorf("memory engine: transaction: %w", fault.ErrReadOnly)
	}
	return nil
}

func (t *tx) Get(key []byte) ([]byte, error) {
	if err := t.check(false); err != nil {
		return nil, err
	}
	x, found := t.tree.Get(at(key))
	if !found {
		return nil, fault.ErrNotFound
	}
	return x.value(), nil
}

// AppendGet is Get for a caller who keeps the value.
func (t *tx) AppendGet(dst, key []byte) ([]byte, error) {
	if err := t.check(false); err != nil {
		return nil, err
	}
	return t.appendGet(dst, key)
}

// Count finds both ends and takes their distance.
func (t *tx) Count(lo, hi []byte) (uint64, error) {
	if err := t.check(false); err != nil {
		return 0, err
	}
	return uint64(max(0, t.below(hi)-t.below(lo))), nil
}

// below counts the pairs whose key is below key.
func (c *content) below(key []byte) int {
	return sort.Search(c.tree.Len(), func(i int) bool {
		x, _ := c.tree.GetAt(i)
		return bytes.Compare(x.key(), key) >= 0
	})
}

func (t *tx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		if err := t.check(false); err != nil {
			yield(kv.Pair{}, err)
			return
		}
		tree := t.tree
		if t.writable {
			tree = tree.IsoCopy() // writes from inside the loop go elsewhere
		}
		if r.Reverse {
			descend(tree, r, yield)
		} else {
			ascend(tree, r, yield)
		}
	}
}

// ahead is how many pairs an ascending walk looks at before it yields the first
// of them, once it has yielded as many.
const ahead = 32

// ascent collects pairs before it yields them, and reads the first byte of each:
// what a caller looks at is then in the processor's cache, because these reads
// do not wait for one another, as those of the caller would.
type ascent struct {
	yield func(kv.Pair, error) bool
	end   *byte // of the pair that ends the walk
	items [ahead]item
	n     int
	most  int // to collect: few at first, for walks that end soon
	seen  byte
}

// ascend looks for the pair at the end first: to know a pair again takes no
// look at its key, which is elsewhere in memory.
func ascend(tree *tree, r kv.Range, yield func(kv.Pair, error) bool) {
	a := ascent{yield: yield, most: 2}
	if len(r.Hi) > 0 {
		if bytes.Compare(r.Lo, r.Hi) >= 0 {
			return
		}
		tree.Ascend(at(r.Hi), func(x item) bool {
			a.end = x.both
			return false
		})
	}
	more := true
	tree.Ascend(at(r.Lo), func(x item) bool {
		if x.both == a.end {
			return false
		}
		a.seen |= *x.both
		a.items[a.n] = x
		if a.n++; a.n == a.most {
			more = a.flush()
		}
		return more
	})
	if more {
		a.flush()
	}
}

// flush yields what was collected.
func (a *ascent) flush() bool {
	for _, x := range a.items[:a.n] {
		if !a.yield(x.pair(), nil) {
			return false
		}
	}
	a.n, a.most = 0, min(2*a.most, ahead)
	return true
}

func descend(tree *tree, r kv.Range, yield func(kv.Pair, error) bool) {
	visit := func(x item) bool {
		if len(r.Hi) > 0 && bytes.Compare(x.key(), r.Hi) >= 0 {
			return true // the bound itself
		}
		return bytes.Compare(x.key(), r.Lo) >= 0 && yield(x.pair(), nil)
	}
	if len(r.Hi) == 0 {
		tree.Reverse(visit)
	} else {
		tree.Descend(at(r.Hi), visit)
	}
}

func (t *tx) Put(key, value []byte) error {
	if err := t.check(true); err != nil {
		return err
	}
	return t.put(key, value, t.db.max)
}

func (t *tx) Delete(key []byte) error {
	if err := t.check(true); err != nil {
		return err
	}
	t.delete(key)
	return nil
}

func (t *tx) Commit() error {
	if err := t.check(true); err != nil {
		return err
	}
	t.done.Store(true)
	return t.db.commit(t.content)
}

func (t *tx) Rollback() error {
	if !t.done.Swap(true) && t.writable {
		t.db.rollback()
	}
	return nil
}
