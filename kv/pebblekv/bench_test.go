package pebblekv

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/kv"
)

const benchRows = 100_000

func benchKey(i int) []byte { return fmt.Appendf(nil, "key%012d", i*7919%benchRows) }

// BenchmarkEngine compares transactions with bare Pebble under the same
// options, on the same files.
func BenchmarkEngine(b *testing.B) {
	ctx, value := context.Background(), make([]byte, 200)
	db, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	fill(b, db, value)
	p := db.live.db
	b.Run("get/bare", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			_, closer, err := p.Get(benchKey(i))
			if err != nil {
				b.Fatal(err)
			}
			_ = closer.Close()
		}
	})
	b.Run("get/engine", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			tx, _ := db.Begin(ctx, false)
			if _, err := tx.Get(benchKey(i)); err != nil {
				b.Fatal(err)
			}
			_ = tx.Rollback()
		}
	})
	b.Run("scan1000/bare", func(b *testing.B) {
		for b.Loop() {
			it, _ := p.NewIter(nil)
			for n := 0; n < 1000 && (n == 0 && it.First() || n > 0 && it.Next()); n++ {
				_ = it.Key()
			}
			_ = it.Close()
		}
	})
	b.Run("scan1000/engine", func(b *testing.B) {
		for b.Loop() {
			tx, _ := db.Begin(ctx, false)
			n := 0
			for _, err := range tx.Scan(kv.Range{}) {
				if n++; n == 1000 || err != nil {
					break
				}
			}
			_ = tx.Rollback()
		}
	})
	b.Run("batch100/bare", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			w := p.NewBatch()
			for j := range 100 {
				_ = w.Set(benchKey(i*100+j), value, nil)
			}
			if err := w.Commit(pebble.NoSync); err != nil {
				b.Fatal(err)
			}
			_ = w.Close()
		}
	})
	b.Run("batch100/engine", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			tx, _ := db.Begin(ctx, true)
			for j := range 100 {
				_ = tx.Put(benchKey(i*100+j), value)
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func fill(b *testing.B, db *DB, value []byte) {
	gen, err := db.Fresh(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchRows {
		if err := gen.Put(fmt.Appendf(nil, "key%012d", i), value); err != nil {
			b.Fatal(err)
		}
	}
	if err := gen.Switch(); err != nil {
		b.Fatal(err)
	}
}
