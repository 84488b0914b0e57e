package pebblekv

import "github.com/cockroachdb/pebble/v2"

// view is a Pebble snapshot that readable transactions share until something
// is committed: to make and close one costs a tenth of a read.
type view struct {
	snap *pebble.Snapshot
	refs int // under DB.mu: transactions
}

// see takes a reference to the view of what is committed now. The caller holds
// DB.mu.
func (g *generation) see() *view {
	if g.view == nil {
		g.view = &view{snap: g.db.NewSnapshot()}
	}
	g.view.refs++
	return g.view
}

// unsee gives the reference back.
func (db *DB) unsee(g *generation, v *view) error {
	db.mu.Lock()
	v.refs--
	last := v.refs == 0 && g.view != v
	db.mu.Unlock()
	if last {
		return v.snap.Close() // it may wait for the disk
	}
	return nil
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
		_ = v.snap.Close() // it has no failures
	}
}
