//go:build rocksdb && cgo

package rockskv

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/fault"
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

func (db *DB) open() error {
	if err := db.refuseForeign(); err != nil {
		return err
	}
	lock, err := db.fs.Lock(lockName)
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("the store is open elsewhere: %w: %w", fault.ErrLocked, err)
	}
	if err != nil {
		return err
	}
	db.lock = lock
	p, err := db.current()
	if err != nil {
		return err
	}
	db.next = p.gen + 1
	if err := db.prepare(p); err != nil {
		return err
	}
	if db.live, err = openGeneration(db.root, dirName(p.gen), p.state == stateNew, db.cache, &db.o); err != nil {
		return err
	}
	if p.state == stateLive {
		return nil
	}
	if err := db.fs.SyncDir("."); err != nil { // RocksDB may not have
		return err
	}
	_, err = writePointer(db.fs, pointer{state: stateLive, gen: p.gen})
	return err
}

// refuseForeign looks before it leaves a lock file in somebody else's
// directory.
func (db *DB) refuseForeign() error {
	infos, err := db.fs.List(".")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(infos, func(i vfs.Info) bool { return i.Name == pointerName }) {
		return nil
	}
	for _, info := range infos {
		switch _, ours := parseDirName(info.Name); {
		case info.Name == lockName || info.Name == pointerName+vfs.TempSuffix:
		case ours && info.Dir:
			return &fault.Corruption{Path: pointerName, Offset: -1, Class: fault.Missing, Reason: "there is " + info.Name + ", and nothing says whether it is the content"}
		default:
			return &fault.Corruption{Path: info.Name, Offset: -1, Class: fault.Foreign, Reason: "the directory is not empty and not a store of this engine"}
		}
	}
	return nil
}

// current reads the pointer, or makes the first one. The pointer is durable
// before the directory that it names is made: so a directory without a pointer
// is always a loss.
func (db *DB) current() (pointer, error) {
	p, err := readPointer(db.fs)
	if errors.Is(err, fs.ErrNotExist) {
		p = pointer{state: stateNew, gen: 1}
		_, err = writePointer(db.fs, p)
	}
	return p, err
}

// prepare leaves one generation, or none if that was being made for the first
// time: it is made again.
func (db *DB) prepare(p pointer) error {
	if p.state == stateNew {
		return db.sweep("")
	}
	live := dirName(p.gen)
	if _, err := db.fs.Stat(live); errors.Is(err, fs.ErrNotExist) {
		return &fault.Corruption{Path: live, Offset: -1, Class: fault.Missing, Reason: pointerName + " names it"}
	} else if err != nil {
		return err
	}
	return db.sweep(live)
}

// sweep removes every generation but one.
func (db *DB) sweep(live string) error {
	infos, err := db.fs.List(".")
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(infos, func(info vfs.Info) bool {
		_, ours := parseDirName(info.Name)
		return info.Name != pointerName+vfs.TempSuffix && (!ours || !info.Dir || info.Name == live)
	})
	if len(left) == 0 {
		return nil
	}
	// A process whose sync of the pointer failed may have left one that is not
	// durable: a crash would then bring back the one before, which may name what
	// is removed here.
	if err := db.fs.SyncDir("."); err != nil {
		return err
	}
	for _, info := range left {
		db.o.Logger.Info("removing what an import or a crash left behind", "file", info.Name)
		if err := vfs.RemoveAll(db.fs, info.Name); err != nil {
			return err
		}
	}
	return db.fs.SyncDir(".")
}
