//go:build rocksdb && cgo

package rockskv

import "github.com/linxGnu/grocksdb"

// view is a RocksDB snapshot that readable transactions share until something
// is committed.
type view struct {
	snap *grocksdb.Snapshot
	read *grocksdb.ReadOptions // with the snapshot in it
	refs int                   // under DB.mu: transactions
}

func (v *view) free(db *grocksdb.DB) {
	v.read.Destroy()
	db.ReleaseSnapshot(v.snap)
}

// see takes a reference to the view of what is committed now. The caller holds
// DB.mu.
func (g *generation) see() *view {
	if g.view == nil {
		g.view = &view{snap: g.db.NewSnapshot(), read: grocksdb.NewDefaultReadOptions()}
		g.view.read.SetSnapshot(g.view.snap)
	}
	g.view.refs++
	return g.view
}

// unsee gives the reference back.
func (db *DB) unsee(g *generation, v *view) {
	db.mu.Lock()
	v.refs--
	last := v.refs == 0 && g.view != v
	db.mu.Unlock()
	if last {
		v.free(g.db)
	}
}

// renew lets the next reader see what was committed, and keeps nothing of what
// nobody reads any more.
func (db *DB) renew(g *generation) {
	db.mu.Lock()
	v := g.view
	g.view = nil
	idle := v != nil && v.refs == 0
	db.mu.Unlock()
	if idle {
		v.free(g.db)
	}
}
