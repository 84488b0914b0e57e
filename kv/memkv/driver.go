package memkv

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/tidwall/btree"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// pairCost is what a pair takes beside its bytes: two slice headers and its
// share of nodes that are half full.
const pairCost = 96

// content is one state. Once it is published nothing in it changes, so readers
// need no lock.
type content struct {
	tree  *btree.BTreeG[kv.Pair]
	bytes int64 // of keys and values
}

// DB is a [kv.Driver] in memory.
type DB struct {
	max int64

	mu      sync.Mutex // never held while a tree is walked
	live    content
	writing bool
	closed  bool
}

var (
	_ kv.Driver      = (*DB)(nil)
	_ kv.Engine      = (*DB)(nil)
	_ kv.Volatile    = (*DB)(nil)
	_ kv.Sizer       = (*DB)(nil)
	_ kv.Generations = (*DB)(nil)
)

// New returns an empty engine. It fails with fault.ErrInvalid if the options
// make no sense.
func New(o *Options) (*DB, error) {
	db := &DB{live: content{tree: newTree()}}
	if o != nil {
		db.max = o.MaxSize
	}
	if db.max < 0 {
		return nil, fmt.Errorf("open memory engine: size of %d bytes: %w", db.max, fault.ErrInvalid)
	}
	return db, nil
}

func newTree() *btree.BTreeG[kv.Pair] {
	less := func(a, b kv.Pair) bool { return bytes.Compare(a.Key, b.Key) < 0 }
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// Begin starts a transaction. A second writable one is fault.ErrConflict.
func (db *DB) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, fmt.Errorf("memory engine: %w", fault.ErrClosed)
	}
	t := &tx{db: db, content: db.live, writable: writable}
	if writable {
		if db.writing {
			return nil, fmt.Errorf("memory engine has a writer: %w", fault.ErrConflict)
		}
		db.writing = true
		t.tree = t.tree.IsoCopy()
	}
	return t, nil
}

// commit publishes what a writable transaction made of the content.
func (db *DB) commit(c content) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.writing = false
	if db.closed {
		return fmt.Errorf("memory engine: %w", fault.ErrClosed)
	}
	db.live = c
	return nil
}

func (db *DB) rollback() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.writing = false
}

// Sync does nothing: there is nothing durable here.
func (db *DB) Sync() error { return nil }

// Close forgets everything. Open transactions go on reading.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	db.live = content{tree: newTree()}
	return nil
}

// Engine is "memory".
func (db *DB) Engine() string { return "memory" }

// Volatile is true.
func (db *DB) Volatile() bool { return true }

// Size describes the live content.
func (db *DB) Size() (kv.Size, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return kv.Size{Pairs: int64(db.live.tree.Len()), Bytes: db.live.bytes, Memory: db.live.cost()}, nil
}

// cost is what MaxSize bounds.
func (c *content) cost() int64 { return c.bytes + int64(c.tree.Len())*pairCost }

// put sets a pair in a copy of its own, unless the content would be over limit
// afterwards and has grown.
func (c *content) put(key, value []byte, limit int64) error {
	if limit > 0 {
		grow := int64(len(key)+len(value)) + pairCost
		if old, found := c.tree.Get(kv.Pair{Key: key}); found {
			grow = int64(len(value) - len(old.Value))
		}
		if grow > 0 && c.cost()+grow > limit {
			return fmt.Errorf("memory engine holds %d of %d bytes, %d more do not fit: %w", c.cost(), limit, grow, fault.ErrFull)
		}
	}
	both := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	p := kv.Pair{Key: both[:len(key):len(key)], Value: both[len(key):]}
	old, replaced := c.tree.Set(p)
	c.bytes += int64(len(value))
	if replaced {
		c.bytes -= int64(len(old.Value))
	} else {
		c.bytes += int64(len(key))
	}
	return nil
}

func (c *content) delete(key []byte) {
	if old, found := c.tree.Delete(kv.Pair{Key: key}); found {
		c.bytes -= int64(len(old.Key) + len(old.Value))
	}
}
