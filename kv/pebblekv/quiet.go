package pebblekv

import "sync"

// Quiet puts compactions off, beginning with the next table that is flushed,
// until loud is called or until level 0 is nearly so high that commits would
// wait. [DB.Compact] and compactions that run go on.
func (db *DB) Quiet() (loud func()) {
	g, err := db.use()
	if err != nil {
		return func() {}
	}
	defer db.drop(g)
	g.quiet.Add(1)
	return sync.OnceFunc(func() {
		if g.quiet.Add(-1) == 0 {
			db.resume()
		}
	})
}

// compactions is how many Pebble runs at once: one, or with a backlog the most.
// Without the one, ten sublevels of level 0 are the first backlog that counts.
func (g *generation) compactions() (least, most int) {
	if g.quiet.Load() > 0 {
		return 0, compactions
	}
	return 1, compactions
}

// resume has Pebble look again what to compact, which it does after a flush.
func (db *DB) resume() {
	g, err := db.use()
	if err != nil {
		return
	}
	go func() {
		defer db.drop(g)
		g.flush()
	}()
}
