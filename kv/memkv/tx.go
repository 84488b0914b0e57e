package memkv

import (
	"bytes"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/tidwall/btree"
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
	p, found := t.tree.Get(kv.Pair{Key: key})
	if !found {
		return nil, fault.ErrNotFound
	}
	return p.Value, nil
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

func ascend(tree *btree.BTreeG[kv.Pair], r kv.Range, yield func(kv.Pair, error) bool) {
	tree.Ascend(kv.Pair{Key: r.Lo}, func(p kv.Pair) bool {
		return (len(r.Hi) == 0 || bytes.Compare(p.Key, r.Hi) < 0) && yield(p, nil)
	})
}

func descend(tree *btree.BTreeG[kv.Pair], r kv.Range, yield func(kv.Pair, error) bool) {
	visit := func(p kv.Pair) bool {
		if len(r.Hi) > 0 && bytes.Compare(p.Key, r.Hi) >= 0 {
			return true // the bound itself
		}
		return bytes.Compare(p.Key, r.Lo) >= 0 && yield(p, nil)
	}
	if len(r.Hi) == 0 {
		tree.Reverse(visit)
	} else {
		tree.Descend(kv.Pair{Key: r.Hi}, visit)
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
