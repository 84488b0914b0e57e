package pebblekv_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
)

const pointer = "kv/GENERATION"

func TestOpenRefusesOptions(t *testing.T) {
	for name, o := range map[string]pebblekv.Options{
		"cache":            {CacheSize: -1},
		"write buffer":     {WriteBufferSize: 1},
		"write buffers":    {MaxWriteBuffers: 1},
		"compaction style": {CompactionStyle: "universal"},
	} {
		disk := vfs.NewMem()
		o.FS = disk
		_, err := pebblekv.Open("kv", &o)
		if !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("Open with a bad %s = %v, want invalid", name, err)
		}
		if got := entries(t, disk, "."); len(got) > 0 {
			t.Errorf("Open with a bad %s left %q", name, got)
		}
	}
}

func TestOpenIsExclusive(t *testing.T) {
	for name, place := range map[string]func() (kv.Driver, error){"disk": onDisk(t), "memory": inMemory(t)} {
		db, err := place()
		ok(t, err)
		_, err = place()
		if !errors.Is(err, fault.ErrLocked) || !strings.Contains(err.Error(), "open elsewhere") {
			t.Errorf("%s: second Open = %v, want locked", name, err)
		}
		ok(t, db.Close())
		ok(t, db.Close())
		db, err = place()
		ok(t, err)
		ok(t, db.Close())
	}
}

func TestOpenRefusesForeignDirectories(t *testing.T) {
	bare := t.TempDir()
	db, err := pebble.Open(bare, &pebble.Options{Logger: quiet{}})
	ok(t, err)
	ok(t, db.Close())
	fsys, err := vfs.Disk(bare)
	ok(t, err)
	defer fsys.Close()
	foreign(t, bare, nil, fsys, ".")

	mem := vfs.NewMem()
	ok(t, vfs.MkdirAll(mem, "kv"))
	ok(t, vfs.WriteFile(mem, "kv/notes.txt", []byte("mine")))
	foreign(t, "kv", mem, mem, "kv")
	ok(t, mem.Remove("kv/notes.txt"))
	ok(t, vfs.WriteFile(mem, pointer, []byte("MANIFEST-000001\n")))
	foreign(t, "kv", mem, mem, "kv")
}

// foreign fails unless dir is refused and left as it is.
func foreign(t *testing.T, dir string, at, fsys vfs.FS, sub string) {
	t.Helper()
	before := entries(t, fsys, sub)
	_, err := pebblekv.Open(dir, &pebblekv.Options{FS: at})
	var damage *fault.Corruption
	if !errors.As(err, &damage) || damage.Class != fault.Foreign {
		t.Errorf("Open of a foreign directory = %v, want foreign", err)
	}
	after := slices.DeleteFunc(entries(t, fsys, sub), func(name string) bool { return name == "LOCK" && slices.Contains(before, "GENERATION") })
	if !slices.Equal(after, before) {
		t.Errorf("entries after the refusal = %q, want %q", after, before)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// filled is a disk with a closed store that holds one round.
func filled(t *testing.T) vfs.FS {
	t.Helper()
	disk := vfs.NewMem()
	db, err := pebblekv.Open("kv", options(disk))
	ok(t, err)
	ok(t, round(t, db, 1))
	ok(t, db.Close())
	return disk
}

func TestEveryBitOfThePointer(t *testing.T) {
	disk := filled(t)
	b, err := vfs.ReadFile(disk, pointer, 1<<10)
	ok(t, err)
	for bit := range len(b) * 8 {
		broken := slices.Clone(b)
		broken[bit/8] ^= 1 << (bit % 8)
		refusesPointer(t, disk, fmt.Sprintf("bit %d", bit), broken, fault.ErrCorrupt)
	}
	for n := range len(b) {
		refusesPointer(t, disk, fmt.Sprintf("cut to %d", n), b[:n], fault.ErrCorrupt)
	}
	refusesPointer(t, disk, "longer", append(slices.Clone(b), '\n'), fault.ErrCorrupt)
	refusesPointer(t, disk, "very long", make([]byte, 1<<20), nil)
	ok(t, vfs.WriteFile(disk, pointer, b))
	db, err := pebblekv.Open("kv", options(disk))
	ok(t, err)
	if got := state(t, db); got != 1 {
		t.Errorf("round %d, want 1", got)
	}
	ok(t, db.Close())
}

// signed is a pointer with a checksum that is right.
func signed(line string) []byte {
	return fmt.Appendf(nil, "%s %08x\n", line, crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli)))
}

func TestOpenRefusesOtherPointers(t *testing.T) {
	disk := filled(t)
	for line, want := range map[string]error{
		"trimaran-kv 2 pebble live 00000001":  fault.ErrUnsupported,
		"trimaran-kv 2 something else":        fault.ErrUnsupported,
		"trimaran-kv 1 rocksdb live 00000001": fault.ErrInvalid,
		"trimaran-kv 1 pebble live 00000002":  fault.ErrCorrupt, // it is not there
		"trimaran-kv 1 pebble live 00000000":  fault.ErrCorrupt,
		"trimaran-kv 1 pebble live 1":         fault.ErrCorrupt,
		"trimaran-kv 1 pebble dead 00000001":  fault.ErrCorrupt,
		"trimaran-kv 1 pebble":                fault.ErrCorrupt,
	} {
		// A pointer that is right but for its content must not sweep what is there.
		if strings.HasSuffix(line, "00000002") {
			copied := filled(t)
			refusesPointer(t, copied, line, signed(line), want)
			continue
		}
		refusesPointer(t, disk, line, signed(line), want)
	}
	ok(t, disk.Remove(pointer))
	_, err := pebblekv.Open("kv", options(disk))
	var damage *fault.Corruption
	if !errors.As(err, &damage) || damage.Class != fault.Missing {
		t.Errorf("Open without a pointer = %v, want missing", err)
	}
	if got := entries(t, disk, "kv"); !slices.Contains(got, "gen-00000001") {
		t.Errorf("the refused store holds %q", got)
	}
}

func refusesPointer(t *testing.T, disk vfs.FS, what string, b []byte, want error) {
	t.Helper()
	ok(t, vfs.WriteFile(disk, pointer, b))
	db, err := pebblekv.Open("kv", options(disk))
	if err == nil {
		_ = db.Close()
	}
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: Open = %v, want %v", what, err, want)
	}
	if got := entries(t, disk, "kv"); !slices.Contains(got, "gen-00000001") {
		t.Fatalf("%s: the refused store holds %q", what, got)
	}
}

// A table that is damaged or gone is found, by Open or by whoever reads it.
func TestDamagedTables(t *testing.T) {
	for name, harm := range map[string]func(disk vfs.FS, table string) error{
		"removed": func(disk vfs.FS, table string) error { return disk.Remove(table) },
		"cut": func(disk vfs.FS, table string) error {
			f, err := disk.OpenWrite(table)
			if err != nil {
				return err
			}
			return errors.Join(f.Truncate(100), f.Close())
		},
		"flipped": func(disk vfs.FS, table string) error {
			f, err := disk.OpenWrite(table)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{0xff, 0, 0xff, 0}, 200)
			return errors.Join(err, f.Close())
		},
	} {
		disk := compacted(t)
		for _, file := range entries(t, disk, "kv/gen-00000001") {
			if path.Ext(file) == ".sst" {
				ok(t, harm(disk, path.Join("kv/gen-00000001", file)))
			}
		}
		if err := readAll(t, disk); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: reading = %v, want corrupt", name, err)
		}
	}
}

// After a crash, damage in the log is found, also in the first log of a new
// store, unless it is at the very end.
func TestDamagedLog(t *testing.T) {
	const n = 40
	for _, off := range []int64{100, 1 << 15, 1 << 16} {
		disk, log := crashed(t, n)
		f, err := disk.OpenWrite(log)
		ok(t, err)
		b := make([]byte, 1)
		_, err = f.ReadAt(b, off)
		ok(t, err)
		_, err = f.WriteAt([]byte{b[0] ^ 4}, off)
		ok(t, errors.Join(err, f.Close()))
		if err := readAll(t, disk); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("bit flipped at %d: reading = %v, want corrupt", off, err)
		}
	}
	disk, _ := crashed(t, n)
	db, err := pebblekv.Open("kv", options(disk))
	ok(t, err)
	tx, err := db.Begin(t.Context(), false)
	ok(t, err)
	if got := keys(t, tx); len(got) != n {
		t.Errorf("%d keys after a crash, want %d", len(got), n)
	}
	ok(t, errors.Join(tx.Rollback(), db.Close()))
}

// crashed is a disk with a store that died after n synced commits of 3 KB, and
// its log.
func crashed(t *testing.T, n int) (vfs.FS, string) {
	t.Helper()
	var dead atomic.Bool
	disk := vfs.NewMem()
	db, err := pebblekv.Open("kv", options(vfs.Hook(disk, func(op vfs.Op) error {
		if dead.Load() && changes(op) {
			return syscall.EIO
		}
		return nil
	})))
	ok(t, err)
	for i := range n {
		tx, err := db.Begin(t.Context(), true)
		ok(t, err)
		ok(t, errors.Join(tx.Put(fmt.Appendf(nil, "key%d", i), make([]byte, 3000)), tx.Commit(), db.Sync()))
	}
	dead.Store(true)
	_ = db.Close()
	for _, file := range entries(t, disk, "kv/gen-00000001") {
		file = path.Join("kv/gen-00000001", file)
		if info, err := disk.Stat(file); path.Ext(file) == ".log" && err == nil && info.Size > 3000*int64(n) {
			return disk, file
		}
	}
	t.Fatal("no log holds it all")
	return nil, ""
}

// Every file that is gone is missed, but for the log, of which Pebble keeps no
// record, and its own notes.
func TestMissingFiles(t *testing.T) {
	for _, file := range entries(t, compacted(t), "kv/gen-00000001") {
		if path.Ext(file) == ".log" || strings.HasPrefix(file, "OPTIONS") {
			continue
		}
		disk := compacted(t)
		ok(t, disk.Remove(path.Join("kv/gen-00000001", file)))
		if err := readAll(t, disk); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s removed: reading = %v, want corrupt", file, err)
		}
	}
}

func TestOpenRefusesNewerPebble(t *testing.T) {
	disk := filled(t)
	ok(t, vfs.WriteFile(disk, "kv/gen-00000001/marker.format-version.000999.999", nil))
	if _, err := pebblekv.Open("kv", options(disk)); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Open = %v, want unsupported", err)
	}
}

// compacted is a disk with a closed store that holds one round in a table.
func compacted(t *testing.T) vfs.FS {
	t.Helper()
	disk := vfs.NewMem()
	db, err := pebblekv.Open("kv", options(disk))
	ok(t, err)
	ok(t, round(t, db, 1))
	ok(t, errors.Join(db.Compact(t.Context()), db.Close()))
	return disk
}

func readAll(t *testing.T, disk vfs.FS) error {
	db, err := pebblekv.Open("kv", options(disk))
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
	_, err = tx.Get([]byte("n"))
	return err
}

func entries(t *testing.T, fsys vfs.FS, dir string) []string {
	t.Helper()
	infos, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ok(t, err)
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}
