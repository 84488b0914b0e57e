//go:build rocksdb && cgo

package rockskv

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gendir"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// loadBytes is how much a load collects for one call into C; one value may
// exceed it.
const loadBytes = 1 << 20

// load is a [kv.Ingester]: a generation that nobody sees, written without a
// log.
type load struct {
	db     *DB
	number uint64
	g      *generation
	batch  batch
	err    error // the first failure; the generation is good for nothing
	named  bool  // a switch failed, and the pointer may name the generation
	done   bool
}

// Fresh starts a generation in a directory of its own.
func (db *DB) Fresh(ctx context.Context) (kv.Ingester, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &load{db: db, batch: newBatch(loadBytes)}
	err := db.call("fresh generation", func(live *generation) error {
		if err := live.fate.poisoned(); err != nil {
			return err
		}
		db.mu.Lock()
		l.number = db.next
		db.next++
		db.mu.Unlock()
		dir := gendir.Name(l.number)
		g, err := openGeneration(db.root, dir, true, db.cache, &db.o)
		if err == nil {
			if err = db.fs.SyncDir("."); err != nil {
				err = errors.Join(err, g.close())
			}
		}
		if err != nil {
			return errors.Join(full(err), vfs.RemoveAll(db.fs, dir))
		}
		l.g = g
		db.mu.Lock()
		defer db.mu.Unlock()
		db.loads[l] = struct{}{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *load) check() error {
	switch {
	case l.done:
		return errClosed("generation")
	case l.err != nil:
		return fmt.Errorf("rocksdb engine: generation: %w", l.err)
	}
	return nil
}

// Put copies the pair.
func (l *load) Put(key, value []byte) error {
	if err := l.check(); err != nil {
		return err
	}
	if len(key) == 0 {
		return fmt.Errorf("rocksdb engine: generation: empty key: %w", fault.ErrInvalid)
	}
	if len(l.batch)+len(key)+len(value) > loadBytes {
		if err := l.flush(); err != nil {
			return err
		}
	}
	l.batch = l.batch.add(recordPut, key, value)
	return nil
}

func (l *load) flush() error {
	if l.batch.count() == 0 {
		return nil
	}
	if err := l.g.apply(l.batch, l.g.load); err != nil {
		return l.fail("write", err)
	}
	if cap(l.batch) > 2*loadBytes {
		l.batch = newBatch(loadBytes) // do not keep what one large value took
	}
	l.batch = l.batch[:batchHeader]
	clear(l.batch)
	return nil
}

func (l *load) fail(what string, err error) error {
	l.err = full(err)
	return fmt.Errorf("rocksdb engine: generation: %s: %w", what, l.err)
}

// Sync makes everything put so far durable, in tables.
func (l *load) Sync() error {
	if err := l.check(); err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	if err := l.g.flush(); err != nil {
		return l.fail("sync", err)
	}
	return nil
}
