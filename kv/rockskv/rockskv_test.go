//go:build rocksdb && cgo

package rockskv_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/rockskv"
)

var (
	seed  = flag.Uint64("seed", 1, "first seed of the random test")
	seeds = flag.Int("seeds", 3, "how many seeds the random test runs")
	steps = flag.Int("steps", 400, "how many steps each seed makes")
)

// small options let tests reach what a large store does.
func small() *rockskv.Options {
	return &rockskv.Options{CacheSize: 1 << 20, WriteBufferSize: 256 << 10, MaxWriteBuffers: 2}
}

func place(t testing.TB) kvtest.Place {
	dir := t.TempDir()
	return func() (kv.Driver, error) { return rockskv.Open(dir, small()) }
}

func TestContract(t *testing.T) { kvtest.Run(t, place) }

func TestRandom(t *testing.T) {
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		t.Logf("seed %d", s)
		if err := kvtest.Random(t.Context(), place(t), s, *steps); err != nil {
			t.Errorf("%v\nreplay: -tags rocksdb -run TestRandom -seed %d -seeds 1 -steps %d", err, s, *steps)
		}
	}
}

// Every style keeps every row, over many tables.
func TestCompactionStyles(t *testing.T) {
	for _, style := range []string{"level", "universal", "fifo"} {
		o := small()
		o.CompactionStyle = style
		dir := t.TempDir()
		db, err := rockskv.Open(dir, o)
		ok(t, err)
		const rows = 300
		for i := range rows {
			put(t, db, fmt.Sprintf("key%04d", i), strings.Repeat("v", 10_000))
		}
		ok(t, db.Sync())
		if style != "fifo" {
			ok(t, db.Compact(t.Context()))
		}
		ok(t, db.Close())
		db, err = rockskv.Open(dir, o)
		ok(t, err)
		if n := count(t, db); n != rows {
			t.Errorf("%s: %d rows, want %d", style, n, rows)
		}
		size, err := db.Size()
		ok(t, err)
		if size.Disk == 0 || size.Memory == 0 || size.Pairs == 0 {
			t.Errorf("%s: Size = %+v", style, size)
		}
		ok(t, db.Close())
	}
}

// What the options say is what RocksDB writes down that it was told.
func TestOptionsReachRocksDB(t *testing.T) {
	for style, name := range map[string]string{"level": "kCompactionStyleLevel", "universal": "kCompactionStyleUniversal", "fifo": "kCompactionStyleFIFO"} {
		dir := t.TempDir()
		db, err := rockskv.Open(dir, &rockskv.Options{CacheSize: 3 << 20, WriteBufferSize: 5 << 20, MaxWriteBuffers: 6, CompactionStyle: style})
		ok(t, err)
		ok(t, db.Close())
		files, err := filepath.Glob(filepath.Join(dir, "gen-00000001", "OPTIONS-*"))
		ok(t, err)
		if len(files) == 0 {
			t.Fatal("RocksDB has written no options")
		}
		b, err := os.ReadFile(files[len(files)-1])
		ok(t, err)
		for _, want := range []string{"write_buffer_size=5242880", "max_write_buffer_number=6", "compaction_style=" + name} {
			if !strings.Contains(string(b), "  "+want+"\n") {
				t.Errorf("no %s in\n%s", want, b)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, o := range map[string]rockskv.Options{
		"cache":            {CacheSize: -1},
		"write buffer":     {WriteBufferSize: 1},
		"write buffers":    {MaxWriteBuffers: 1},
		"compaction style": {CompactionStyle: "lazy"},
	} {
		if _, err := rockskv.Open(t.TempDir(), &o); !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("Open with a bad %s = %v, want invalid", name, err)
		}
	}
	dir := t.TempDir()
	db, err := rockskv.Open(dir, nil)
	ok(t, err)
	if _, err := rockskv.Open(dir, nil); !errors.Is(err, fault.ErrLocked) || !strings.Contains(err.Error(), "open elsewhere") {
		t.Errorf("second Open = %v, want locked", err)
	}
	ok(t, errors.Join(db.Close(), db.Close()))

	var damage *fault.Corruption
	_, err = rockskv.Open(filepath.Join(dir, "gen-00000001"), nil)
	if !errors.As(err, &damage) || damage.Class != fault.Foreign {
		t.Errorf("Open of a bare RocksDB = %v, want foreign", err)
	}
	pointer := filepath.Join(dir, "GENERATION")
	b, err := os.ReadFile(pointer)
	ok(t, err)
	for i := range b {
		broken := bytes.Clone(b)
		broken[i] ^= 4
		ok(t, os.WriteFile(pointer, broken, 0o600))
		if _, err := rockskv.Open(dir, nil); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Open with byte %d of the pointer changed = %v, want corrupt", i, err)
		}
	}
	ok(t, os.WriteFile(pointer, []byte("trimaran-kv 1 pebble live 00000001 4ad35e0f\n"), 0o600))
	if _, err := rockskv.Open(dir, nil); err == nil {
		t.Error("Open of a Pebble store = nil, want an error")
	}
	ok(t, os.Remove(pointer))
	if _, err := rockskv.Open(dir, nil); !errors.As(err, &damage) || damage.Class != fault.Missing {
		t.Errorf("Open without a pointer = %v, want missing", err)
	}
	ok(t, os.WriteFile(pointer, b, 0o600))
	db, err = rockskv.Open(dir, nil)
	ok(t, err)
	ok(t, db.Close())
}

// Damage is found, by Open or by whoever reads it.
func TestDamagedFiles(t *testing.T) {
	for name, harm := range map[string]func(table string) error{
		"removed": os.Remove,
		"cut":     func(table string) error { return os.Truncate(table, 100) },
		"flipped": func(table string) error {
			b, err := os.ReadFile(table)
			if err == nil {
				b[20] ^= 0xff
				err = os.WriteFile(table, b, 0o600)
			}
			return err
		},
	} {
		for _, pattern := range []string{"*.sst", "MANIFEST-*", "CURRENT"} {
			dir := t.TempDir()
			db, err := rockskv.Open(dir, small())
			ok(t, err)
			put(t, db, "key", strings.Repeat("v", 100))
			ok(t, db.Close())
			files, err := filepath.Glob(filepath.Join(dir, "gen-00000001", pattern))
			ok(t, err)
			if name != "removed" && pattern == "CURRENT" || name == "cut" && pattern == "MANIFEST-*" {
				continue // RocksDB takes a manifest that was cut for an older one
			}
			for _, file := range files {
				ok(t, harm(file))
			}
			if err := readAll(t, dir); !errors.Is(err, fault.ErrCorrupt) {
				t.Errorf("%s %s: reading = %v, want corrupt", pattern, name, err)
			}
		}
	}
}

func readAll(t *testing.T, dir string) error {
	db, err := rockskv.Open(dir, small())
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	defer tx.Rollback()
	for _, err := range tx.Scan(kv.Range{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestLargeValue(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs half a gigabyte")
	}
	db, err := rockskv.Open(t.TempDir(), small())
	ok(t, err)
	value := bytes.Repeat([]byte("large value "), 64<<20/12)
	put(t, db, "large", string(value))
	ok(t, db.Sync())
	gen, err := db.Fresh(t.Context())
	ok(t, err)
	for _, what := range []string{"committed", "loaded"} {
		tx, err := db.Begin(t.Context(), false)
		ok(t, err)
		if v, err := tx.Get([]byte("large")); err != nil || !bytes.Equal(v, value) {
			t.Errorf("%s: Get = %d bytes, %v, want %d", what, len(v), err, len(value))
		}
		ok(t, tx.Rollback())
		if what == "committed" {
			ok(t, errors.Join(gen.Put([]byte("before"), nil), gen.Put([]byte("large"), value), gen.Put([]byte("x"), nil), gen.Switch()))
		}
	}
	ok(t, db.Close())
}

func put(t *testing.T, db *rockskv.DB, key, value string) {
	t.Helper()
	tx, err := db.Begin(t.Context(), true)
	ok(t, err)
	ok(t, errors.Join(tx.Put([]byte(key), []byte(value)), tx.Commit()))
}

func count(t *testing.T, db *rockskv.DB) (n int) {
	t.Helper()
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	defer tx.Rollback()
	for _, err := range tx.Scan(kv.Range{}) {
		ok(t, err)
		n++
	}
	return n
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
