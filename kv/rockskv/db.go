//go:build rocksdb && cgo

package rockskv

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gendir"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// DB is a [kv.Driver] on RocksDB. After a commit or a sync has failed, commits and Sync are fault.ErrPoisoned until it is opened
// again, and reads go on.
type DB struct {
	o     Options
	root  string // dir, for RocksDB
	fs    vfs.FS
	dir   *gendir.Dir
	cache *grocksdb.Cache
	room  room

	mu      sync.Mutex // never held while RocksDB or the disk is waited for
	live    *generation
	loads   map[*load]struct{} // not switched to and not discarded
	next    uint64             // number of the next generation
	txns    int                // open transactions
	writing bool               // a writable one, or a switch
	closed  bool

	calls sync.WaitGroup // under way, other than transactions; and removals
}

var (
	_ kv.Driver      = (*DB)(nil)
	_ kv.Engine      = (*DB)(nil)
	_ kv.Sizer       = (*DB)(nil)
	_ kv.Compacter   = (*DB)(nil)
	_ kv.Generations = (*DB)(nil)
	_ kv.Getter      = (*DB)(nil)
)

// Begin starts a transaction. A second writable one is fault.ErrConflict.
func (db *DB) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	g := db.live
	switch {
	case db.closed:
		return nil, errClosed("begin")
	case writable && db.writing:
		return nil, fmt.Errorf("rocksdb engine has a writer: %w", fault.ErrConflict)
	}
	if err := g.fate.poisoned(); writable && err != nil {
		return nil, fmt.Errorf("rocksdb engine: begin: %w", err)
	}
	db.txns++
	g.refs++
	if !writable {
		return &readTx{db: db, g: g, view: g.see()}, nil
	}
	db.writing = true
	return &writeTx{db: db, g: g, over: overlay{seed: maphash.MakeSeed()}}, nil
}

// end is the end of a transaction.
func (db *DB) end(g *generation, writable bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.txns--
	if writable {
		db.writing = false
	}
	db.unref(g)
}

func (db *DB) unref(g *generation) {
	g.refs--
	if g.retired && g.refs == 0 {
		db.bury(g)
	}
}

// hold keeps a generation, and a view of it if there is one, until the returned
// function is called. The caller's transaction is alive.
func (db *DB) hold(g *generation, v *view) func() {
	db.mu.Lock()
	defer db.mu.Unlock()
	g.refs++
	if v != nil {
		v.refs++
	}
	return func() {
		if v != nil {
			db.unsee(g, v)
		}
		db.mu.Lock()
		defer db.mu.Unlock()
		db.unref(g)
	}
}

// use returns the live generation, for a call that ends with drop.
func (db *DB) use() (*generation, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, fault.ErrClosed
	}
	db.calls.Add(1)
	db.live.refs++
	return db.live, nil
}

func (db *DB) drop(g *generation) {
	defer db.calls.Done()
	db.mu.Lock()
	defer db.mu.Unlock()
	db.unref(g)
}

// AppendGet appends the value of key as it is committed now.
func (db *DB) AppendGet(dst, key []byte) ([]byte, error) {
	g, err := db.use()
	if err != nil {
		return nil, errClosed("get")
	}
	defer db.drop(g)
	return g.get(g.read, dst, key)
}

// call is a call under way on the live generation.
func (db *DB) call(what string, do func(g *generation) error) error {
	g, err := db.use()
	if err != nil {
		return errClosed(what)
	}
	defer db.drop(g)
	if err := do(g); err != nil {
		return fmt.Errorf("rocksdb engine: %s: %w", what, err)
	}
	return nil
}

// Sync makes everything durable that was committed before the call, by one
// sync of the write-ahead log.
func (db *DB) Sync() error {
	return db.call("sync", func(g *generation) error {
		if g.fate.poisoned() == nil {
			if err := g.db.FlushWAL(true); err != nil {
				g.fate.fail(g.damaged(err))
			}
		}
		return g.outcome()
	})
}

// outcome is what a call on a live generation comes to. One that was replaced
// during the call has nothing left to sync or to compact: what took its place
// is durable.
func (g *generation) outcome() error {
	if err := g.fate.poisoned(); !errors.Is(err, errReplaced) {
		return err
	}
	return nil
}

// Compact merges everything into the last level, which gives back what was
// deleted and overwritten. It waits for ctx at most. RocksDB does not say
// whether it worked.
func (db *DB) Compact(ctx context.Context) error {
	return db.call("compact", func(g *generation) error {
		if g.fate.poisoned() != nil {
			return g.outcome()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.db.CompactRange(grocksdb.Range{})
		}()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			g.db.DisableManualCompaction()
			<-done
			g.db.EnableManualCompaction()
			return ctx.Err()
		}
	})
}

const engineName = "rocksdb"

// Engine is "rocksdb".
func (db *DB) Engine() string { return engineName }

// Size tells what the live content takes in memory and in tables on disk, and
// RocksDB's estimate of the number of pairs. Cache hits are not in it: RocksDB
// counts them only together with much else, and a get takes 8 % longer then.
func (db *DB) Size() (size kv.Size, err error) {
	err = db.call("size", func(g *generation) error {
		size.Pairs, size.Estimated = g.property("rocksdb.estimate-num-keys"), true
		size.Disk = g.property("rocksdb.total-sst-files-size")
		size.Memory = g.property("rocksdb.block-cache-usage") + g.property("rocksdb.size-all-mem-tables") + g.property("rocksdb.estimate-table-readers-mem")
		return nil
	})
	return size, err
}

func (g *generation) property(name string) int64 {
	n, _ := g.db.GetIntProperty(name)
	return int64(n)
}

// Close ends the engine; imports that were not switched to are dropped. What is
// in the log becomes a table, so that the next Open has nothing to replay, but
// only Sync says what is durable. Close is fault.ErrInvalid, and does nothing,
// while transactions are open.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	if db.txns > 0 {
		defer db.mu.Unlock()
		return fmt.Errorf("rocksdb engine: close with %d open transactions: %w", db.txns, fault.ErrInvalid)
	}
	db.closed = true
	var drop []*load
	for l := range db.loads {
		drop = append(drop, l)
	}
	db.mu.Unlock()
	var errs []error
	for _, l := range drop {
		errs = append(errs, l.Discard())
	}
	db.calls.Wait()
	if err := errors.Join(append(errs, db.free())...); err != nil {
		return fmt.Errorf("rocksdb engine: close: %w", err)
	}
	return nil
}

// free gives back what open took.
func (db *DB) free() error {
	var errs []error
	if db.live != nil {
		errs = append(errs, db.live.close())
	}
	db.cache.Destroy()
	if db.dir != nil {
		errs = append(errs, db.dir.Close())
	}
	return errors.Join(append(errs, db.fs.Close())...)
}
