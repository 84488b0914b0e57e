package memkv_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

var seed = flag.Uint64("seed", 1, "first seed of the random test")

func place(testing.TB) kvtest.Place {
	return func() (kv.Driver, error) { return memkv.New(nil) }
}

func TestContract(t *testing.T) { kvtest.Run(t, place) }

func TestRandom(t *testing.T) {
	for s := *seed; s < *seed+5; s++ {
		t.Logf("seed %d", s)
		if err := kvtest.Random(t.Context(), place(t), s, 500); err != nil {
			t.Errorf("%v\nreplay: -run TestRandom -seed %d", err, s)
		}
	}
}

// Each script makes the same bytes in this engine as in a plain list, and after
// a crash nothing is there.
func TestCrash(t *testing.T) {
	o := *crash
	o.Stride = 1 // it makes no operation
	kvtest.Crash(t, func(vfs.FS) (kv.Driver, error) { return memkv.New(nil) }, &o)
}

func TestNewRefusesANegativeSize(t *testing.T) {
	if _, err := memkv.New(&memkv.Options{MaxSize: -1}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("New = %v, want invalid", err)
	}
}

// A full engine refuses a transaction as a whole, and has room again when
// rows go.
func TestFull(t *testing.T) {
	ctx := t.Context()
	db, err := memkv.New(&memkv.Options{MaxSize: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateIndex(ctx, kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 4}}); err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte("v"), 1000)
	n := 0
	for ; err == nil; n++ {
		var before, after bytes.Buffer
		if _, err := s.Export(ctx, &before); err != nil {
			t.Fatal(err)
		}
		err = s.Update(ctx, func(tx *kv.WriteTx) error {
			return errors.Join(tx.Put(fmt.Appendf(nil, "small%d", n), []byte("tiny")), tx.Put(fmt.Appendf(nil, "key%d", n), value))
		})
		if err == nil {
			continue
		}
		if _, err := s.Export(ctx, &after); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, fault.ErrFull) || !bytes.Equal(before.Bytes(), after.Bytes()) {
			t.Errorf("Update of a full engine = %v, state unchanged %v, want full, true", err, bytes.Equal(before.Bytes(), after.Bytes()))
		}
	}
	if n < 10 || n > 20 {
		t.Errorf("%d rows of 1000 bytes fit into 20000", n-1)
	}
	size, err := db.Size()
	if err != nil || size.Memory > 20_000 || size.Bytes > size.Memory || size.Pairs < int64(n) {
		t.Errorf("Size = %+v, %v", size, err)
	}
	if err := s.Put(ctx, []byte("key0"), value[1:]); err != nil {
		t.Errorf("Put that shrinks a row of a full engine = %v, want nil", err)
	}
	if err := s.DeleteRange(ctx, kv.Prefix([]byte("key1"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, []byte("new"), value); err != nil {
		t.Errorf("Put after a delete = %v, want nil", err)
	}
	st, err := s.Stats()
	if err != nil || st.Poisoned != nil || st.Engine != "memory" || !st.Volatile {
		t.Errorf("Stats = %+v, %v", st, err)
	}
}

// A state that does not fit is refused while it is loaded.
func TestFullImport(t *testing.T) {
	ctx := t.Context()
	big, small := openStore(t, nil), openStore(t, &memkv.Options{MaxSize: 5000})
	for i := range 10 {
		if err := big.Put(ctx, fmt.Appendf(nil, "key%d", i), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := small.Put(ctx, []byte("live"), nil); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if _, err := big.Export(ctx, &stream); err != nil {
		t.Fatal(err)
	}
	if _, err := small.Import(ctx, &stream, nil); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Import = %v, want full", err)
	}
	if has, err := small.Has(ctx, []byte("live")); !has || err != nil {
		t.Errorf("Has(live) = %v, %v, want true", has, err)
	}
}

func openStore(t *testing.T, o *memkv.Options) *kv.Store {
	t.Helper()
	db, err := memkv.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func BenchmarkStore(b *testing.B) {
	for _, direct := range []bool{true, false} {
		name := map[bool]string{true: "engine", false: "store"}[direct]
		db, err := memkv.New(nil)
		if err != nil {
			b.Fatal(err)
		}
		s, err := kv.New(db, nil)
		if err != nil {
			b.Fatal(err)
		}
		const rows = 100_000
		if err := s.Update(b.Context(), func(tx *kv.WriteTx) error {
			for i := range rows {
				if err := tx.Put(fmt.Appendf(nil, "key%012d", i), make([]byte, 200)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		b.Run("get/"+name, func(b *testing.B) { benchGet(b, db, s, direct, rows) })
		b.Run("scan/"+name, func(b *testing.B) { benchScan(b, db, s, direct) })
		b.Run("batch/"+name, func(b *testing.B) { benchBatch(b, db, s, direct) })
	}
}

func benchGet(b *testing.B, db *memkv.DB, s *kv.Store, direct bool, rows int) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := fmt.Appendf(nil, "\x01key%012d", i*7919%rows)
		if !direct {
			if _, err := s.Get(b.Context(), key[1:]); err != nil {
				b.Fatal(err)
			}
			continue
		}
		tx, err := db.Begin(b.Context(), false)
		if err != nil {
			b.Fatal(err)
		}
		v, err := tx.Get(key)
		if err != nil || len(bytes.Clone(v)) == 0 {
			b.Fatal(err)
		}
		_ = tx.Rollback()
	}
}

func benchScan(b *testing.B, db *memkv.DB, s *kv.Store, direct bool) {
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		seq := s.Scan(b.Context(), kv.Range{Lo: []byte("key")})
		if direct {
			tx, err := db.Begin(b.Context(), false)
			if err != nil {
				b.Fatal(err)
			}
			seq = tx.Scan(kv.Range{Lo: []byte("\x01key")})
		}
		for _, err := range seq {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 1000 {
				break
			}
		}
	}
}

func benchBatch(b *testing.B, db *memkv.DB, s *kv.Store, direct bool) {
	b.ReportAllocs()
	value := make([]byte, 200)
	for i := 0; b.Loop(); i++ {
		if direct {
			tx, err := db.Begin(b.Context(), true)
			if err != nil {
				b.Fatal(err)
			}
			for j := range 1000 {
				_ = tx.Put(fmt.Appendf(nil, "\x01key%012d", (i*1000+j*7919)%100_000), value)
			}
			_ = tx.Commit()
			continue
		}
		if err := s.Update(b.Context(), func(tx *kv.WriteTx) error {
			for j := range 1000 {
				_ = tx.Put(fmt.Appendf(nil, "key%012d", (i*1000+j*7919)%100_000), value)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}
