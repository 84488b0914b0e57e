package simdisk_test

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/vfs/simdisk"
)

func TestDamage(t *testing.T) {
	d := simdisk.New(nil)
	fsys := d.FS()
	must(t, fsys.Mkdir("d"))
	create(t, fsys, "d/f", fill(600, 'a'))
	older := after(d, simdisk.Choice{})
	write(t, fsys, "d/f", 0, fill(1000, 'b'))
	create(t, fsys, "g", fill(4, 'c'))
	m := after(d, simdisk.Choice{})
	for _, c := range []struct {
		name string
		run  func() (*simdisk.Image, error)
		want string
	}{
		{"flip", func() (*simdisk.Image, error) { return m.Flip("g", 2, 1) }, "d/{f: b1000}, g: c2 a1 c1"},
		{"zero", func() (*simdisk.Image, error) { return m.Zero("d/f", 510, 100) }, "d/{f: b510 .100 b390}, g: c4"},
		{"zero nothing", func() (*simdisk.Image, error) { return m.Zero("g", 4, 0) }, "d/{f: b1000}, g: c4"},
		{"stale", func() (*simdisk.Image, error) { return m.Stale(older, "d/f", 500, 200) }, "d/{f: b500 a100 .100 b300}, g: c4"},
		{"stale where it was not", func() (*simdisk.Image, error) { return m.Stale(older, "g", 1, 2) }, "d/{f: b1000}, g: c1 .2 c1"},
		{"misdirect", func() (*simdisk.Image, error) { return m.Misdirect("d/f", 511, "g", 1, 3) }, "d/{f: b511 c3 b486}, g: c4"},
		{"cut", func() (*simdisk.Image, error) { return m.Resize("d/f", 5) }, "d/{f: b5}, g: c4"},
		{"extend", func() (*simdisk.Image, error) { return m.Resize("g", 6) }, "d/{f: b1000}, g: c4 .2"},
		{"lose", func() (*simdisk.Image, error) { return m.Lose("d/f") }, "d/{}, g: c4"},
		{"swap", func() (*simdisk.Image, error) { return m.Swap("g", "d/f") }, "d/{f: c4}, g: b1000"},
		{"duplicate", func() (*simdisk.Image, error) { return m.Duplicate("g", "h") }, "d/{f: b1000}, g: c4, h: c4"},
		{"duplicate over another", func() (*simdisk.Image, error) {
			m, err := m.Duplicate("g", "h")
			must(t, err)
			m, err = m.Zero("g", 0, 4)
			must(t, err)
			return m.Duplicate("g", "h")
		}, "d/{f: b1000}, g: .4, h: .4"},
	} {
		got, err := c.run()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s := show(t, got); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
		if same := show(t, m) == c.want; (got.Digest() == m.Digest()) != same {
			t.Errorf("%s: digests %016x and %016x", c.name, got.Digest(), m.Digest())
		}
	}
	if got := show(t, m); got != "d/{f: b1000}, g: c4" {
		t.Errorf("the image itself became %s", got)
	}
	if got := m.Files(); !slices.Equal(got, []string{"d/f", "g"}) {
		t.Errorf("files: %v", got)
	}
}

// A duplicate is a file of its own.
func TestDuplicateIsNoLink(t *testing.T) {
	d := simdisk.New(nil)
	create(t, d.FS(), "f", fill(4, 'a'))
	m, err := after(d, simdisk.Choice{}).Duplicate("f", "g")
	must(t, err)
	d = m.Disk(nil)
	write(t, d.FS(), "g", 0, fill(4, 'b'))
	if got := dump(t, d.FS(), "."); got != "f: a4, g: b4" {
		t.Error(got)
	}
}

func TestDamageNeedsAFile(t *testing.T) {
	d := simdisk.New(nil)
	must(t, d.FS().Mkdir("d"))
	create(t, d.FS(), "f", fill(4, 'a'))
	m := after(d, simdisk.Choice{})
	for name, want := range map[string]error{"none": fs.ErrNotExist, "f/x": fs.ErrNotExist, "d": syscall.EISDIR} {
		_, err1 := m.Flip(name, 0, 0)
		_, err2 := m.Zero(name, 0, 0)
		_, err3 := m.Stale(m, name, 0, 0)
		_, err4 := m.Misdirect("f", 0, name, 0, 0)
		_, err5 := m.Resize(name, 0)
		_, err6 := m.Lose(name)
		_, err7 := m.Swap("f", name)
		_, err8 := m.Duplicate(name, "g")
		_, err9 := m.Bytes(name)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9} {
			if !errors.Is(err, want) {
				t.Errorf("%s, method %d: %v, want %v", name, i+1, err, want)
			}
		}
	}
	_, err1 := m.Flip("f", 4, 0)
	_, err2 := m.Zero("f", -1, 2)
	_, err3 := m.Zero("f", 1, 4)
	_, err4 := m.Zero("f", math.MaxInt64, 1)
	_, err5 := m.Misdirect("f", 0, "f", 3, 2)
	_, err6 := m.Resize("f", -1)
	_, err7 := m.Duplicate("f", "d/g")
	_, err8 := m.Duplicate("f", "..")
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8} {
		if !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("call %d: %v, want %v", i+1, err, fs.ErrInvalid)
		}
	}
}
