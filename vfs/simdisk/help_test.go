package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails wants an error that is one of these.
func fails(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func fill(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }

// open opens a file for writing until the test ends.
func open(t testing.TB, fsys vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fsys.OpenWrite(name)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

// create makes a file with these bytes, nothing of it durable.
func create(t testing.TB, fsys vfs.FS, name string, b []byte) vfs.File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	if len(b) > 0 {
		_, err = f.WriteAt(b, 0)
		must(t, err)
	}
	return f
}

// write overwrites bytes of a file that is there.
func write(t testing.TB, fsys vfs.FS, name string, off int64, b []byte) {
	t.Helper()
	_, err := open(t, fsys, name).WriteAt(b, off)
	must(t, err)
}

// dump is everything on a disk in one line: runs of equal bytes as the byte
// and how often it comes, with "." for zero.
func dump(t testing.TB, fsys vfs.FS, dir string) string {
	t.Helper()
	infos, err := fsys.List(dir)
	must(t, err)
	var parts []string
	for _, info := range infos {
		name := path.Join(dir, info.Name)
		if info.Dir {
			parts = append(parts, info.Name+"/{"+dump(t, fsys, name)+"}")
			continue
		}
		b, err := vfs.ReadFile(fsys, name, 1<<30)
		must(t, err)
		parts = append(parts, strings.TrimSpace(info.Name+": "+runs(b)))
	}
	return strings.Join(parts, ", ")
}

func runs(b []byte) string {
	var s []string
	for len(b) > 0 {
		n := 1
		for n < len(b) && b[n] == b[0] {
			n++
		}
		c := string(rune(b[0]))
		if b[0] == 0 {
			c = "."
		}
		s, b = append(s, fmt.Sprintf("%s%d", c, n)), b[n:]
	}
	return strings.Join(s, " ")
}

func show(t testing.TB, m *simdisk.Image) string {
	t.Helper()
	return dump(t, m.Disk(nil).FS(), ".")
}

// outcomes is what all combinations at the end of the history leave, each
// once, in order.
func outcomes(t testing.TB, d *simdisk.Disk) []string {
	t.Helper()
	pt := d.Point(d.Ops())
	seen := map[string]bool{}
	for i := range pt.Combinations(1 << 16) {
		seen[show(t, pt.Crash(simdisk.Choice{Mode: simdisk.Nth, Arg: i}))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// after is a new system on what a crash leaves at the end.
func after(d *simdisk.Disk, c simdisk.Choice) *simdisk.Image { return d.Point(d.Ops()).Crash(c) }

// failNext lets the next call of a kind fail.
func failNext(d *simdisk.Disk, kind string, err error) {
	d.Fail(func(op vfs.Op) error {
		if op.Kind != kind {
			return nil
		}
		d.Fail(nil)
		return err
	})
}
