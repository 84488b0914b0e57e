package pebblekv

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
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
		return nil, fmt.Errorf("open pebble engine: %w", err)
	}
	fsys, err := vfs.At(opts.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("open pebble engine: %w", err)
	}
	db := &DB{o: opts, fs: fsys, cache: pebble.NewCache(opts.CacheSize), loads: map[*load]struct{}{}}
	db.room = newRoom(fsys, &opts)
	if err := db.open(); err != nil {
		return nil, fmt.Errorf("open pebble engine in %s: %w", dir, errors.Join(full(err), db.free()))
	}
	return db, nil
}

func (db *DB) open() (err error) {
	if db.dir, err = gendir.Open(db.fs, engineName, db.o.Logger); err != nil {
		return err
	}
	gen, fresh := db.dir.Found()
	db.next = gen + 1
	if db.live, err = openGeneration(db.fs, gendir.Name(gen), fresh, db.cache, &db.o); err != nil {
		return err
	}
	if !fresh {
		return db.live.sweep(db.fs)
	}
	_, err = db.dir.Switch(gen)
	return err
}

// full marks an error that says that the disk is full.
func full(err error) error {
	if err != nil && vfs.IsFull(err) && !errors.Is(err, fault.ErrFull) {
		return fmt.Errorf("%w: %w", fault.ErrFull, err)
	}
	return err
}
