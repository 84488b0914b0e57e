//go:build rocksdb && cgo

package rockskv

import (
	"errors"
	"math"
	"path/filepath"

	"github.com/linxGnu/grocksdb"
)

const (
	bloomBits      = 10
	maxOpenFiles   = 1000
	backgroundJobs = 2
	keepInfoLogs   = 3
	maxInfoLog     = 1 << 20
)

// generation is one RocksDB store in a directory of its own.
type generation struct {
	dir  string
	db   *grocksdb.DB
	fate fate

	opts   *grocksdb.Options
	tables *grocksdb.BlockBasedTableOptions
	fifo   *grocksdb.FIFOCompactionOptions
	read   *grocksdb.ReadOptions // of what is committed now
	write  *grocksdb.WriteOptions
	load   *grocksdb.WriteOptions // without the log

	// Under DB.mu: refs are the transactions and calls that use it, retired
	// means that another generation is live, view is nil or what is committed.
	refs    int
	retired bool
	view    *view
}

// openGeneration opens the store in dir below root, or makes it if it is fresh.
// To make one in the place of one that must be there would hide a loss.
func openGeneration(root, dir string, fresh bool, cache *grocksdb.Cache, o *Options) (*generation, error) {
	g := &generation{
		dir: dir, opts: grocksdb.NewDefaultOptions(), tables: grocksdb.NewDefaultBlockBasedTableOptions(),
		fifo: grocksdb.NewDefaultFIFOCompactionOptions(), read: grocksdb.NewDefaultReadOptions(),
		write: grocksdb.NewDefaultWriteOptions(), load: grocksdb.NewDefaultWriteOptions(),
	}
	g.configure(fresh, cache, o)
	db, err := grocksdb.OpenDb(g.opts, filepath.Join(root, dir))
	if err != nil {
		g.free()
		return nil, g.unopenable(err)
	}
	g.db = db
	return g, nil
}

func (g *generation) configure(fresh bool, cache *grocksdb.Cache, o *Options) {
	g.load.DisableWAL(true)
	g.tables.SetBlockCache(cache)
	g.tables.SetFilterPolicy(grocksdb.NewBloomFilter(bloomBits))
	g.opts.SetBlockBasedTableFactory(g.tables)
	g.opts.SetCreateIfMissing(fresh)
	g.opts.SetErrorIfExists(fresh)
	g.opts.SetWriteBufferSize(uint64(o.WriteBufferSize))
	g.opts.SetMaxWriteBufferNumber(o.MaxWriteBuffers)
	g.opts.SetMaxBackgroundJobs(backgroundJobs)
	g.opts.SetMaxOpenFiles(maxOpenFiles)
	g.opts.SetCompression(grocksdb.SnappyCompression)
	g.opts.SetKeepLogFileNum(keepInfoLogs)
	g.opts.SetMaxLogFileSize(maxInfoLog)
	g.opts.SetStatsDumpPeriodSec(0)
	g.opts.SetStatsPersistPeriodSec(0)
	switch o.CompactionStyle {
	case styleUniversal:
		g.opts.SetCompactionStyle(grocksdb.UniversalCompactionStyle)
	case styleFIFO:
		g.fifo.SetMaxTableFilesSize(math.MaxInt64) // or the oldest rows go
		g.opts.SetFIFOCompactionOptions(g.fifo)
		g.opts.SetMaxOpenFiles(-1) // it insists
		g.opts.SetCompactionStyle(grocksdb.FIFOCompactionStyle)
	default:
		g.opts.SetCompactionStyle(grocksdb.LevelCompactionStyle)
	}
}

// apply writes a batch with one call. A failure decides the fate.
func (g *generation) apply(b batch, o *grocksdb.WriteOptions) error {
	w := grocksdb.WriteBatchFrom(b)
	defer w.Destroy()
	err := g.damaged(g.db.Write(o, w))
	if err != nil {
		g.fate.fail(err)
	}
	return err
}

// flush makes a table of what is in memory.
func (g *generation) flush() error {
	o := grocksdb.NewDefaultFlushOptions()
	defer o.Destroy()
	return g.damaged(g.db.Flush(o))
}

// close ends the store, which nobody uses any more. It leaves nothing in the
// log, where RocksDB takes damage for an end.
func (g *generation) close() error {
	var err error
	failed := g.fate.poisoned()
	if failed == nil {
		err = g.flush()
	}
	if g.view != nil {
		g.view.free(g.db)
	}
	g.db.CancelAllBackgroundWork(true)
	g.db.Close()
	g.free()
	if errors.Is(failed, errReplaced) {
		return nil
	}
	return errors.Join(failed, err)
}

// free gives back what C holds of the options. The cache is the DB's.
func (g *generation) free() {
	g.read.Destroy()
	g.write.Destroy()
	g.load.Destroy()
	g.fifo.Destroy()
	g.tables.Destroy()
	g.opts.Destroy()
}
