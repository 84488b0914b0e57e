package memkv

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// pairCost is what a pair takes beside its bytes: what the allocator rounds up
// to, and its share of nodes that are half full.
const pairCost = 48

// content is one state. Once it is published nothing in it changes, so readers
// need no lock.
type content struct {
	tree  *tree
	bytes int64 // of keys and values
}

// DB is a [kv.Driver] in memory.
type DB struct {
	max int64

	live atomic.Pointer[content] // nil when closed

	mu      sync.Mutex // over changes of live; never held while a tree is walked
	writing bool
}

var (
	_ kv.Driver      = (*DB)(nil)
	_ kv.Engine      = (*DB)(nil)
	_ kv.Volatile    = (*DB)(nil)
	_ kv.Sizer       = (*DB)(nil)
	_ kv.Generations = (*DB)(nil)
	_ kv.Getter      = (*DB)(nil)
)

// New returns an empty engine. It fails with fault.ErrInvalid if the options
// make no sense.
func New(o *Options) (*DB, error) {
	db := &DB{}
	db.live.Store(&content{tree: newTree()})
	if o != nil {
		db.max = o.MaxSize
	}
	if db.max < 0 {
		return nil, fmt.Errorf("open memory engine: size of %d bytes: %w", db.max, fault.ErrInvalid)
	}
	return db, nil
}

// Begin starts a transaction. A second writable one is fault.ErrConflict.
func (db *DB) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if writable {
		return db.beginWrite()
	}
	live, err := db.content()
	if err != nil {
		return nil, err
	}
	return &tx{db: db, content: *live}, nil
}

func (db *DB) beginWrite() (kv.DriverTx, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	live, err := db.content()
	if err != nil {
		return nil, err
	}
	if db.writing {
		return nil, fmt.Errorf("memory engine has a writer: %w", fault.ErrConflict)
	}
	db.writing = true
	return &tx{db: db, content: content{tree: live.tree.IsoCopy(), bytes: live.bytes}, writable: true}, nil
}

// content is what is committed.
func (db *DB) content() (*content, error) {
	if c := db.live.Load(); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("memory engine: %w", fault.ErrClosed)
}

// AppendGet appends the value of key as it is committed now.
func (db *DB) AppendGet(dst, key []byte) ([]byte, error) {
	c, err := db.content()
	if err != nil {
		return nil, err
	}
	return c.appendGet(dst, key)
}

func (c *content) appendGet(dst, key []byte) ([]byte, error) {
	x, found := c.tree.Get(at(key))
	if !found {
		return nil, fault.ErrNotFound
	}
	if dst == nil {
		dst = make([]byte, 0, x.valueLen)
	}
	return append(dst, x.value()...), nil
}

// commit publishes what a writable transaction made of the content.
func (db *DB) commit(c content) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.writing = false
	if _, err := db.content(); err != nil {
		return err
	}
	db.live.Store(&c)
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
	db.live.Store(nil)
	return nil
}

// Engine is "memory".
func (db *DB) Engine() string { return "memory" }

// Volatile is true.
func (db *DB) Volatile() bool { return true }

// Size describes the live content.
func (db *DB) Size() (kv.Size, error) {
	c, err := db.content()
	if err != nil {
		return kv.Size{}, err
	}
	return kv.Size{Pairs: int64(c.tree.Len()), Bytes: c.bytes, Memory: c.cost()}, nil
}

// cost is what MaxSize bounds.
func (c *content) cost() int64 { return c.bytes + int64(c.tree.Len())*pairCost }

// put sets a pair in a copy of its own, unless the content would be over limit
// afterwards and has grown.
func (c *content) put(key, value []byte, limit int64) error {
	if int64(len(key))+int64(len(value)) > math.MaxUint32 {
		return fmt.Errorf("memory engine: a pair of %d and %d bytes: %w", len(key), len(value), fault.ErrInvalid)
	}
	if limit > 0 {
		grow := int64(len(key)+len(value)) + pairCost
		if old, found := c.tree.Get(at(key)); found {
			grow = int64(len(value)) - int64(old.valueLen)
		}
		if grow > 0 && c.cost()+grow > limit {
			return fmt.Errorf("memory engine holds %d of %d bytes, %d more do not fit: %w", c.cost(), limit, grow, fault.ErrFull)
		}
	}
	x := newItem(key, value)
	old, _ := c.tree.Set(x)
	c.bytes += x.size() - old.size()
	return nil
}

func (c *content) delete(key []byte) {
	old, _ := c.tree.Delete(at(key))
	c.bytes -= old.size()
}
