package kv_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
)

// engine is an engine in memory that survives its stores, counts its syncs and
// fails on demand.
type engine struct {
	*memkv.DB
	mu        sync.Mutex
	syncs     int
	sync      func() error // in the place of a sync, if set
	commit    error        // what Commit returns, if set, having done nothing
	rangeDels int
}

func newEngine(t testing.TB) *engine {
	t.Helper()
	db, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &engine{DB: db}
}

func (e *engine) Volatile() bool { return false }
func (e *engine) Close() error   { return nil }

func (e *engine) Sync() error {
	e.mu.Lock()
	e.syncs++
	f := e.sync
	e.mu.Unlock()
	if f != nil {
		return f()
	}
	return nil
}

func (e *engine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.syncs
}

func (e *engine) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	t, err := e.DB.Begin(ctx, writable)
	if err != nil {
		return nil, err
	}
	return &engineTx{t, e}, nil
}

type engineTx struct {
	kv.DriverTx
	e *engine
}

func (t *engineTx) Commit() error {
	if t.e.commit != nil {
		return t.e.commit
	}
	return t.DriverTx.Commit()
}

func (t *engineTx) DeleteRange(lo, hi []byte) error {
	t.e.rangeDels++
	for p, err := range t.Scan(kv.Range{Lo: lo, Hi: hi}) {
		if err != nil {
			return err
		}
		if err := t.Delete(p.Key); err != nil {
			return err
		}
	}
	return nil
}

// bare hides every ability of a driver.
type bare struct{ kv.Driver }

func open(t testing.TB, d kv.Driver, o *kv.Options) *kv.Store {
	t.Helper()
	s, err := kv.New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openMemory(t testing.TB, o *kv.Options) *kv.Store { return open(t, newEngine(t), o) }

func put(t testing.TB, s *kv.Store, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if err := s.Put(t.Context(), []byte(pairs[i]), []byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
}

// raw changes the engine below a store: keys and values in turn, nil deletes.
func raw(t testing.TB, d kv.Driver, pairs ...[]byte) {
	t.Helper()
	tx, err := d.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			err = tx.Delete(pairs[i])
		} else {
			err = tx.Put(pairs[i], pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func keys(t testing.TB, seq iter.Seq2[kv.Pair, error]) string {
	t.Helper()
	out := ""
	for p, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out += string(p.Key) + " "
	}
	return out
}

func export(t testing.TB, s *kv.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func at(minutes int) time.Time {
	return time.Unix(1_700_000_000, 0).UTC().Add(time.Duration(minutes) * time.Minute)
}

func fill(t testing.TB, s *kv.Store, n, size int) {
	t.Helper()
	value := bytes.Repeat([]byte("v"), size)
	err := s.Update(t.Context(), func(tx *kv.WriteTx) error {
		for i := range n {
			if err := tx.Put(fmt.Appendf(nil, "key%06d", i), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
