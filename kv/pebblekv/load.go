package pebblekv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gendir"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// loadBytes is how much a load keeps in memory before it writes tables; one
// value may exceed it.
const loadBytes = 32 << 20

// loadPrefix begins the name of a table that is being loaded.
const loadPrefix = "load-"

// load is a [kv.Ingester]: a generation that nobody sees. It sorts what it is
// given in memory and hands Pebble finished tables, so that nothing is written
// twice. Keys that begin with different bytes are of different name spaces and
// go to different tables: those of rows, which come in order, then never
// overlap, and are not merged again.
type load struct {
	db     *DB
	number uint64
	g      *generation
	runs   map[byte]*run
	bytes  int
	tables int
	err    error // the first failure; the generation is good for nothing
	named  bool  // a switch failed, and the pointer may name the generation
	done   bool
}

// run is what is in memory of one name space.
type run struct {
	pairs  []kv.Pair
	sorted bool
}

// Fresh starts a generation in a directory of its own.
func (db *DB) Fresh(ctx context.Context) (kv.Ingester, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &load{db: db, runs: map[byte]*run{}}
	err := db.call("fresh generation", func(live *generation) error {
		if err := live.fate.poisoned(); err != nil {
			return err
		}
		db.mu.Lock()
		l.number = db.next
		db.next++
		db.mu.Unlock()
		g, err := openGeneration(db.fs, gendir.Name(l.number), true, db.cache, &db.o)
		if err != nil {
			return errors.Join(full(err), vfs.RemoveAll(db.fs, gendir.Name(l.number)))
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
		return fmt.Errorf("pebble engine: generation: %w", l.err)
	}
	return nil
}

// Put copies the pair.
func (l *load) Put(key, value []byte) error {
	if err := l.check(); err != nil {
		return err
	}
	if len(key) == 0 {
		return fmt.Errorf("pebble engine: generation: empty key: %w", fault.ErrInvalid)
	}
	if l.bytes > 0 && l.bytes+len(key)+len(value) > loadBytes {
		if err := l.flush(); err != nil {
			return err
		}
	}
	r := l.runs[key[0]]
	if r == nil {
		r = &run{sorted: true}
		l.runs[key[0]] = r
	}
	r.add(key, value)
	l.bytes += len(key) + len(value)
	return nil
}

func (r *run) add(key, value []byte) {
	if n := len(r.pairs); n > 0 && bytes.Compare(r.pairs[n-1].Key, key) >= 0 {
		r.sorted = false
	}
	both := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	r.pairs = append(r.pairs, kv.Pair{Key: both[:len(key):len(key)], Value: both[len(key):]})
}

// flush writes a table for each name space and makes them the generation's,
// durably.
func (l *load) flush() error {
	if l.bytes == 0 {
		return nil
	}
	paths := make([]string, 0, len(l.runs))
	for _, r := range l.runs {
		name := path.Join(l.g.dir, fmt.Sprintf("%s%08d.sst", loadPrefix, l.tables))
		l.tables++
		if l.err = l.table(name, r); l.err != nil {
			return l.failed("write a table")
		}
		paths = append(paths, name)
	}
	if l.err = l.g.aside(func() error { return l.g.db.Ingest(context.Background(), paths) }); l.err == nil {
		l.err = l.g.fate.err()
	}
	if l.err != nil {
		return l.failed("add tables")
	}
	clear(l.runs)
	l.bytes = 0
	return nil
}

func (l *load) failed(what string) error {
	l.err = full(l.err)
	return fmt.Errorf("pebble engine: generation: %s: %w", what, l.err)
}

// table writes and syncs one table. Its name is durable with the tables that
// Pebble makes of it.
func (l *load) table(name string, r *run) error {
	if !r.sorted {
		slices.SortFunc(r.pairs, func(a, b kv.Pair) int { return bytes.Compare(a.Key, b.Key) })
	}
	f, err := l.g.opts.FS.Create(name, "load")
	if err != nil {
		return err
	}
	const lastLevel = 6
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), l.g.opts.MakeWriterOptions(lastLevel, l.g.db.TableFormat()))
	for i, p := range r.pairs {
		if i > 0 && bytes.Equal(r.pairs[i-1].Key, p.Key) {
			err = fmt.Errorf("a key came twice: %w", fault.ErrInvalid)
		} else {
			err = w.Set(p.Key, p.Value)
		}
		if err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// Sync makes everything put so far durable.
func (l *load) Sync() error {
	if err := l.check(); err != nil {
		return err
	}
	return l.flush()
}
