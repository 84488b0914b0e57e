package pebblekv

import (
	"fmt"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/vfs"
)

// tables makes tables that overlap, and so as many sublevels of level 0.
func tables(t *testing.T, db *DB, n int) {
	t.Helper()
	for i := range n {
		tx, err := db.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		for j := range 3 {
			if err := tx.Put(fmt.Appendf(nil, "k%d", j), fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		db.live.flush()
	}
}

// Compactions wait while somebody wants it, and go on afterwards.
func TestCompactionsWait(t *testing.T) {
	db, err := Open("kv", &Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const n = stopLevelZero - 3
	first, second := db.Quiet(), db.Quiet()
	tables(t, db, n)
	second()
	second()
	if m := db.live.db.Metrics(); m.Compact.Count != 0 || m.Levels[0].Sublevels != n {
		t.Errorf("%d compactions while quiet, %d sublevels, want 0 and %d", m.Compact.Count, m.Levels[0].Sublevels, n)
	}
	first()
	for db.live.db.Metrics().Levels[0].Sublevels == n {
		select { // it compacts without another table
		case <-db.live.changed:
		case <-time.After(retryPause): // Pebble may tell before it is so
		}
	}
}

// Compactions do not wait until commits have to.
func TestCompactionsDoNotWaitForEver(t *testing.T) {
	db, err := Open("kv", &Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer db.Quiet()()
	tables(t, db, 4*stopLevelZero)
	if m := db.live.db.Metrics(); m.Compact.Count == 0 {
		t.Error("no compaction although commits had to wait for one")
	}
}
