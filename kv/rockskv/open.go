//go:build rocksdb && cgo

package rockskv

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/internal/gendir"
	"github.com/trimarandb/trimaran/vfs"
)

// Open opens the engine in dir, or makes it there; dir and what is missing
// above it are made as well. What it relies on is durable when it returns, and
// whatever an import or a crash left behind is gone. Errors to test for:
// fault.ErrLocked if another process or DB has it open, fault.ErrInvalid for
// options that make no sense and for the store of another engine,
// *fault.Corruption for damage and for a directory that is not ours (class
// Foreign), fault.ErrUnsupported for one that a newer build made,
// fault.ErrFull.
func Open(dir string, o *Options) (*DB, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open rocksdb engine: %w", err)
	}
	fsys, err := vfs.At(nil, dir)
	if err != nil {
		return nil, fmt.Errorf("open rocksdb engine: %w", err)
	}
	abs, err := filepath.Abs(dir) // RocksDB goes by the path at any time
	if err != nil {
		return nil, fmt.Errorf("open rocksdb engine: %w", errors.Join(err, fsys.Close()))
	}
	return openIn(abs, fsys, opts)
}

// openIn reaches what is not RocksDB's through fsys, which is dir.
func openIn(dir string, fsys vfs.FS, o Options) (*DB, error) {
	db := &DB{o: o, root: dir, fs: fsys, cache: grocksdb.NewLRUCache(uint64(o.CacheSize)), loads: map[*load]struct{}{}}
	db.room = newRoom(fsys, &o)
	if err := db.open(); err != nil {
		return nil, fmt.Errorf("open rocksdb engine in %s: %w", dir, errors.Join(full(err), db.free()))
	}
	return db, nil
}

func (db *DB) open() (err error) {
	if db.dir, err = gendir.Open(db.fs, engineName, db.o.Logger); err != nil {
		return err
	}
	gen, fresh := db.dir.Found()
	db.next = gen + 1
	if db.live, err = openGeneration(db.root, gendir.Name(gen), fresh, db.cache, &db.o); err != nil || !fresh {
		return err
	}
	if err := db.fs.SyncDir("."); err != nil { // RocksDB may not have
		return err
	}
	_, err = db.dir.Switch(gen)
	return err
}
