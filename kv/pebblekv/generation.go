package pebblekv

import (
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

const (
	// engineFormat is pinned: a higher one is a format change, since older
	// builds do not open it. This one finds damage in the middle of the log and
	// in the footer of a table.
	engineFormat = pebble.FormatTableFormatV6

	bloomBits     = 10
	stopLevelZero = 12 // sublevels of level 0 at which commits wait
	compactions   = 2  // at once, when one is not enough

	// closeGrace is how long close waits for calls that a failure left behind:
	// they return at once or never.
	closeGrace = 100 * time.Millisecond
	// flushGrace is how long a flush may take that is not needed.
	flushGrace = 10 * time.Second
)

// generation is one Pebble store in a directory of its own.
type generation struct {
	dir  string
	db   *pebble.DB
	opts *pebble.Options
	fate *fate

	// Under DB.mu: refs are the transactions and calls that use it, retired
	// means that another generation is live, view is nil or what is committed.
	refs    int
	retired bool
	view    *view

	quiet  atomic.Int32 // how many want compactions to wait
	wedged atomic.Bool  // a call panicked, Pebble's locks may be held for ever
	mu     sync.Mutex
	left   []<-chan struct{} // calls that were given up, each closed when it returns after all

	changed chan struct{} // holds an element when something has happened since crowded looked
	crowd   bool          // what it saw; the writer's
}

// openGeneration opens the store in dir, or makes it if it is fresh. To make
// one in the place of one that must be there would hide a loss. The caller
// holds the lock of the directory above.
func openGeneration(fsys vfs.FS, dir string, fresh bool, cache *pebble.Cache, o *Options) (*generation, error) {
	g := &generation{dir: dir, fate: newFate(o.Logger), changed: make(chan struct{}, 1)}
	g.opts = &pebble.Options{
		FS:                          &engineFS{fs: fsys, fate: g.fate},
		Cache:                       cache,
		MemTableSize:                uint64(o.WriteBufferSize),
		MemTableStopWritesThreshold: o.MaxWriteBuffers + 1,
		L0StopWritesThreshold:       stopLevelZero + o.MaxWriteBuffers + 1,
		FormatMajorVersion:          engineFormat,
		ErrorIfExists:               fresh,
		ErrorIfNotExists:            !fresh,
		CompactionConcurrencyRange:  g.compactions,
		Logger:                      logger{g.fate},
		EventListener:               g.events(),
	}
	for i := range g.opts.Levels {
		g.opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	g.opts.EnsureDefaults()
	if err := g.open(); err != nil {
		return nil, g.unopenable(err)
	}
	g.change()
	g.fate.opened.Store(true)
	if fresh {
		// Pebble begins its first log before it knows of engineFormat, in a format
		// in which no damage shows. This begins another.
		g.flush()
	}
	return g, nil
}

// open opens the store, and gives up when its fate is decided: with a disk
// that fails Pebble may try for ever to flush what its log holds.
func (g *generation) open() error {
	type result struct {
		db  *pebble.DB
		err error
	}
	opened := make(chan result, 1)
	// Pebble would close a cache of its own when Open fails, and goroutines that
	// it leaves behind then look into it. This one stays.
	files := pebble.NewFileCache(g.opts.Experimental.FileCacheShards, g.opts.MaxOpenFiles)
	g.opts.FileCache = files
	go func() {
		var r result
		r.err = g.guard(func() (err error) {
			r.db, err = pebble.Open(g.dir, g.opts)
			return err
		})
		if r.err == nil {
			files.Unref() // the open store has it
		}
		opened <- r
	}()
	select {
	case r := <-opened:
		g.db = r.db
		if r.err == nil && g.fate.err() != nil {
			_ = g.close() // says what the next line does
			r.err = g.fate.err()
		}
		return r.err
	case <-g.fate.failed:
		g.fate.unused.Store(true)
		go func() {
			if r := <-opened; r.db != nil {
				g.db = r.db
				_ = g.close() // its failure is being returned
			}
		}()
		return g.fate.err()
	}
}

// guard runs a call into Pebble. A panic in it decides the fate; Pebble cannot
// be called again then, not even to close it.
func (g *generation) guard(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			g.wedged.Store(true)
			err = fmt.Errorf("pebble panicked: %v", r)
			g.fate.fail(err)
		}
	}()
	return call()
}

// aside is guard for a call that might wait for background work, and would
// wait for ever when that has failed: the call is then left behind.
func (g *generation) aside(call func() error) error {
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = g.guard(call)
	}()
	select {
	case <-done:
		return err
	case <-g.fate.failed:
	}
	select {
	case <-done:
		return err
	default:
	}
	g.mu.Lock()
	g.left = append(g.left, done)
	g.mu.Unlock()
	return g.fate.err()
}

// write runs a call that changes the content.
func (g *generation) write(call func() error) error {
	err := g.fate.err()
	if err == nil {
		err = g.guard(call)
	}
	if failed := g.fate.poisoned(); failed != nil {
		return failed
	}
	return g.damaged(err)
}

// await waits until there is a buffer for a write. In here the wait can end:
// Pebble's own limits are so much higher that no write waits inside. It is
// fault.ErrFull when tables found no room again and again. The writer calls it.
func (g *generation) await() error {
	if !g.crowded() {
		return nil
	}
	g.fate.log.Warn("pebble: writes wait for tables")
	for g.crowded() {
		select {
		case <-time.After(retryPause): // Pebble may tell before it is so
			g.change()
		case <-g.changed:
			g.change() // for crowded
		case <-g.fate.failed:
			return g.fate.poisoned()
		case <-g.fate.noHope():
			return fmt.Errorf("no room for a table, and %d write buffers are full: %w", g.buffers(), fault.ErrFull)
		}
	}
	return nil
}

// buffers is Options.MaxWriteBuffers.
func (g *generation) buffers() int { return g.opts.MemTableStopWritesThreshold - 1 }

// crowded reports whether as many buffers as there may be are full, beside the
// one being filled, or level 0 has too many tables above one another.
func (g *generation) crowded() bool {
	select {
	case <-g.changed:
		m := g.db.Metrics()
		g.crowd = m.MemTable.Size > uint64(g.buffers())*g.opts.MemTableSize || m.Levels[0].Sublevels >= stopLevelZero
	default:
	}
	return g.crowd
}

// change lets the writer look again.
func (g *generation) change() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// close ends the store, which nobody uses any more. It leaves nothing in the
// log, whose last block is the one place where Pebble takes damage for an end.
// What Pebble does not give back stays with the process, but can't reach the
// disk any more.
func (g *generation) close() error {
	g.flush()
	if g.wedged.Load() || !g.settled() {
		g.fate.unused.Store(true)
		return g.fate.err()
	}
	g.fate.leave()
	if g.view != nil {
		_ = g.view.snap.Close() // it has no failures
	}
	err := g.guard(g.db.Close)
	if failed := g.fate.err(); failed != nil {
		return failed
	}
	return err
}

// flush makes tables of what is in memory, if that works and soon.
func (g *generation) flush() {
	if g.fate.err() != nil || g.fate.full() {
		return
	}
	var flushed <-chan struct{}
	err := g.aside(func() (err error) {
		flushed, err = g.db.AsyncFlush()
		return err
	})
	if err != nil {
		return
	}
	t := time.NewTimer(flushGrace)
	defer t.Stop()
	select {
	case <-flushed:
	case <-g.fate.failed:
	case <-t.C:
	}
}

// settled waits for the calls that were left behind, but not long.
func (g *generation) settled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	for _, done := range g.left {
		select {
		case <-done:
		case <-t.C:
			return false
		}
	}
	g.left = nil
	return true
}

// sweep removes tables that were being loaded when the process ended.
func (g *generation) sweep(fsys vfs.FS) error {
	infos, err := fsys.List(g.dir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name, loadPrefix) {
			if err := fsys.Remove(path.Join(g.dir, info.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}
