package pebblekv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gendir"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// DB is a [kv.Driver] on Pebble. After a write or a sync has failed, on whose
// behalf whatever, commits and Sync are fault.ErrPoisoned until it is opened
// again, and reads go on.
type DB struct {
	o     Options
	fs    vfs.FS
	dir   *gendir.Dir
	cache *pebble.Cache
	room  room

	mu      sync.Mutex // never held while Pebble or the disk is waited for
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
	_ kv.Quieter     = (*DB)(nil)
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
		return nil, fmt.Errorf("pebble engine has a writer: %w", fault.ErrConflict)
	case writable && g.fate.err() != nil:
		return nil, fmt.Errorf("pebble engine: begin: %w", g.fate.poisoned())
	}
	db.txns++
	g.refs++
	if !writable {
		return &readTx{db: db, g: g, view: g.see()}, nil
	}
	db.writing = true
	return &writeTx{db: db, g: g, batch: g.db.NewBatch()}, nil
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

// hold keeps a generation from being closed until the returned function is
// called.
func (db *DB) hold(g *generation) func() {
	db.mu.Lock()
	defer db.mu.Unlock()
	g.refs++
	return func() {
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
	return g.get(g.db, dst, key)
}

// call is a call under way on the live generation.
func (db *DB) call(what string, do func(g *generation) error) error {
	g, err := db.use()
	if err != nil {
		return errClosed(what)
	}
	defer db.drop(g)
	if err := do(g); err != nil {
		return fmt.Errorf("pebble engine: %s: %w", what, err)
	}
	return nil
}

// Sync makes everything durable that was committed before the call, by one
// sync of the write-ahead log.
func (db *DB) Sync() error {
	return db.call("sync", func(g *generation) error {
		if g.fate.err() != nil {
			return g.outcome(nil)
		}
		return g.outcome(g.aside(func() error { return g.db.LogData(nil, pebble.Sync) }))
	})
}

// Compact merges everything into the last level, which gives back what was
// deleted and overwritten. It waits for ctx at most, and is fault.ErrFull when
// there is no room for a table.
func (db *DB) Compact(ctx context.Context) error {
	return db.call("compact", func(g *generation) error {
		if g.fate.err() != nil {
			return g.outcome(nil)
		}
		lo, hi, err := g.bounds()
		if err != nil || hi == nil {
			return err
		}
		return g.outcome(g.compact(ctx, lo, hi))
	})
}

// compact ends when a table finds no room: Pebble would try until there is
// some, and Close would wait for it.
func (g *generation) compact(ctx context.Context, lo, hi []byte) error {
	g.fate.lookAnew() // there may be room again
	noRoom := g.fate.noRoom()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-noRoom:
			cancel(fmt.Errorf("no room for a table: %w", fault.ErrFull))
		case <-ctx.Done():
		}
	}()
	err := g.aside(func() error { return g.db.Compact(ctx, lo, hi, true) })
	if errors.Is(err, context.Canceled) {
		return context.Cause(ctx)
	}
	return err
}

// outcome is what a call on a live generation comes to. One that was replaced
// during the call has nothing left to sync or to compact: what took its place
// is durable.
func (g *generation) outcome(err error) error {
	failed := g.fate.poisoned()
	switch {
	case errors.Is(failed, errReplaced):
		return nil
	case failed != nil:
		return failed
	default:
		return full(g.damaged(err))
	}
}

// bounds returns the first key and a key above the last; hi is nil if there
// are none.
func (g *generation) bounds() (lo, hi []byte, err error) {
	it, err := g.db.NewIter(nil)
	if err != nil {
		return nil, nil, g.damaged(err)
	}
	if it.First() {
		lo = append(lo, it.Key()...)
		if it.Last() {
			hi = append(append(hi, it.Key()...), 0)
		}
	}
	return lo, hi, g.damaged(errors.Join(it.Error(), it.Close()))
}

const engineName = "pebble"

// Engine is "pebble".
func (db *DB) Engine() string { return engineName }

// Size tells what the live content takes in memory and on disk, log files kept
// for use again included, and how the cache does. Pairs are those in tables: an
// estimate, without what is in memory still.
func (db *DB) Size() (size kv.Size, err error) {
	err = db.call("size", func(g *generation) error {
		m := g.db.Metrics()
		size.Disk = int64(m.DiskSpaceUsage())
		size.Memory = m.BlockCache.Size + m.FileCache.Size + int64(m.MemTable.Size+m.MemTable.ZombieSize)
		size.CacheHits, size.CacheMisses = m.BlockCache.Hits, m.BlockCache.Misses
		levels, err := g.db.SSTables()
		if err != nil {
			return g.damaged(err)
		}
		size.Estimated = true
		for _, t := range slices.Concat(levels...) {
			// A deletion is an entry, and takes another one away.
			size.Pairs += int64(t.TableStats.NumEntries) - 2*int64(t.TableStats.NumDeletions)
		}
		size.Pairs = max(0, size.Pairs)
		return nil
	})
	return size, err
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
		return fmt.Errorf("pebble engine: close with %d open transactions: %w", db.txns, fault.ErrInvalid)
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
		return fmt.Errorf("pebble engine: close: %w", err)
	}
	return nil
}

// free gives back what open took.
func (db *DB) free() error {
	var errs []error
	if db.live != nil {
		errs = append(errs, db.live.close())
	}
	db.cache.Unref()
	if db.dir != nil {
		errs = append(errs, db.dir.Close())
	}
	return errors.Join(append(errs, db.fs.Close())...)
}
