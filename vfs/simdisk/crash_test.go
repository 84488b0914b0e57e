package simdisk_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Each choice on one history: a durable file of 700 "a", then three loose
// operations.
func TestChoices(t *testing.T) {
	d := simdisk.New(nil)
	fsys := d.FS()
	durable(t, fsys, "f", 700, 'a')
	ops := uint64(d.Ops())
	must(t, fsys.Rename("f", "g"))
	create(t, fsys, "n", nil)
	write(t, fsys, "g", 500, fill(600, 'b'))
	for choice, want := range map[simdisk.Choice]string{
		{Mode: simdisk.All}:                "g: a500 b600, n:",
		{Mode: simdisk.None}:               "f: a700",
		{Mode: simdisk.Omit, Arg: ops}:     "f: a500 b600, n:",
		{Mode: simdisk.Omit, Arg: ops + 1}: "g: a500 b600",
		{Mode: simdisk.Omit, Arg: ops + 2}: "g: a700, n:",
		{Mode: simdisk.Only, Arg: ops}:     "g: a700",
		{Mode: simdisk.Only, Arg: ops + 1}: "f: a700, n:",
		{Mode: simdisk.Only, Arg: ops + 2}: "f: a500 b600",
		{Mode: simdisk.Both}:               "f: a500 b600, g: a500 b600, n:",
		{Mode: simdisk.Sizes}:              "g: a700 .400, n:",
		{Mode: simdisk.Cut, Arg: 0}:        "g: a700 .400, n:",
		{Mode: simdisk.Cut, Arg: 12}:       "g: a500 b12 a188 .400, n:",
		{Mode: simdisk.Cut, Arg: 13}:       "g: a500 b13 a187 .400, n:",
		{Mode: simdisk.Cut, Arg: 599}:      "g: a500 b599 .1, n:",
		{Mode: simdisk.Cut, Arg: 600}:      "g: a500 b600, n:",
		{Mode: simdisk.Short, Arg: 0}:      "g: a700, n:",
		{Mode: simdisk.Short, Arg: 13}:     "g: a500 b13 a187, n:",
		{Mode: simdisk.Short, Arg: 210}:    "g: a500 b210, n:",
		{Mode: simdisk.Short, Arg: 600}:    "g: a500 b600, n:",
	} {
		if got := show(t, after(d, choice)); got != want {
			t.Errorf("%v: %s, want %s", choice, got, want)
		}
		again, err := simdisk.ParseChoice(choice.String())
		if err != nil || again != choice {
			t.Errorf("%v is parsed as %v, %v", choice, again, err)
		}
	}
	for _, bad := range []string{"", "most", "nth:", "nth:x", "cut:-1"} {
		c, err := simdisk.ParseChoice(bad)
		if bad == "nth:" {
			continue
		}
		if err == nil {
			t.Errorf("%q is parsed as %v", bad, c)
		}
	}
}

// Short ends no file that the write did not make longer.
func TestShortOverwrite(t *testing.T) {
	d := simdisk.New(nil)
	durable(t, d.FS(), "f", 700, 'a')
	write(t, d.FS(), "f", 0, fill(600, 'b'))
	if got := show(t, after(d, simdisk.Choice{Mode: simdisk.Short, Arg: 9})); got != "f: b9 a691" {
		t.Error(got)
	}
}

// Combinations counts what Nth makes, each another image where all that is
// loose differs.
func TestCombinations(t *testing.T) {
	d := simdisk.New(nil)
	fsys := d.FS()
	durable(t, fsys, "f", 1024, 'a')
	write(t, fsys, "f", 0, fill(1024, 'b'))
	write(t, fsys, "f", 600, fill(10, 'c'))
	create(t, fsys, "g", nil)
	must(t, fsys.SyncDir("."))
	must(t, open(t, fsys, "g").Truncate(5))
	create(t, fsys, "h", nil)
	pt := d.Point(d.Ops())
	want := uint64(2 * 3 * 2 * 2)
	if got := pt.Combinations(1000); got != want {
		t.Fatalf("%d combinations, want %d", got, want)
	}
	digests := map[uint64]bool{}
	for i := range want {
		digests[pt.Crash(simdisk.Choice{Mode: simdisk.Nth, Arg: i}).Digest()] = true
	}
	if len(digests) != int(want) {
		t.Errorf("%d images, want %d", len(digests), want)
	}
	if got := pt.Combinations(5); got != 5 {
		t.Errorf("%d combinations, with a limit of 5", got)
	}
}

// The count of much that is loose does not overflow.
func TestManyCombinations(t *testing.T) {
	d := simdisk.New(nil)
	create(t, d.FS(), "f", fill(200*simdisk.SectorSize, 'a'))
	if got := d.Point(d.Ops()).Combinations(1<<64 - 1); got != 1<<64-1 {
		t.Errorf("%d combinations", got)
	}
}

// A sector is torn: the first bytes new, the rest old. Garbage is only where
// bytes were being written, from the first that changed on, and in sectors by
// which a file grew.
func TestSamples(t *testing.T) {
	d := simdisk.New(nil)
	durable(t, d.FS(), "f", 1000, 'a')
	write(t, d.FS(), "f", 100, append(fill(100, 'a'), fill(100, 'b')...)) // of which the first 100 do not change
	write(t, d.FS(), "f", 1500, fill(700, 'c'))
	pt := d.Point(d.Ops())
	var torn, noise, grown int
	for seed := range uint64(3000) {
		b, err := pt.Crash(simdisk.Choice{Mode: simdisk.Sample, Arg: seed}).Bytes("f")
		must(t, err)
		if len(b) != 1000 && len(b) != 2200 {
			t.Fatalf("sample %d: size %d", seed, len(b))
		}
		if head := runs(b[:200]); head != "a200" {
			t.Fatalf("sample %d: %s, which did not change", seed, head)
		}
		if n := len(strings.TrimLeft(string(b[200:300]), "b")); n > 0 && n < 100 && string(b[300-n:300]) == strings.Repeat("a", n) {
			torn++
		}
		if strings.Trim(string(b[200:300]), "ab") != "" {
			noise++
		}
		if rest := strings.Trim(string(b[300:1000]), "a"); rest != "" {
			t.Fatalf("sample %d: %q where nothing was written", seed, rest)
		}
		if len(b) == 1000 {
			continue
		}
		// In the sector in which the file ended only the written range is noise.
		if rest := strings.Trim(string(b[1000:1024]), "\x00"); rest != "" {
			t.Fatalf("sample %d: %q beyond the old end", seed, rest)
		}
		if strings.Trim(string(b[1536:2048]), "c\x00") != "" {
			grown++
		}
	}
	if torn == 0 || noise == 0 || grown == 0 {
		t.Errorf("torn %d, garbage %d, in grown sectors %d times", torn, noise, grown)
	}
}

// With Sizes and an argument garbage is where the bytes of a grown file should
// be, and nowhere else.
func TestSizesWithGarbage(t *testing.T) {
	d := simdisk.New(nil)
	durable(t, d.FS(), "f", 512, 'a')
	write(t, d.FS(), "f", 500, fill(600, 'b'))
	b, err := after(d, simdisk.Choice{Mode: simdisk.Sizes, Arg: 1}).Bytes("f")
	must(t, err)
	if len(b) != 1100 || runs(b[:512]) != "a512" || strings.Trim(string(b[512:]), "b\x00") == "" {
		t.Errorf("%d bytes: %s", len(b), runs(b))
	}
}

// What no name leads to any more is not among what may happen.
func TestRemovedFilesAreForgotten(t *testing.T) {
	d := simdisk.New(nil)
	fsys := d.FS()
	must(t, fsys.Mkdir("d"))
	f := create(t, fsys, "d/f", fill(5000, 'a'))
	must(t, fsys.Rename("d/f", "g"))
	must(t, fsys.Remove("g"))
	must(t, fsys.Remove("d"))
	must(t, fsys.SyncDir("."))
	_, err := f.WriteAt(fill(10, 'b'), 0)
	must(t, err)
	pt := d.Point(d.Ops())
	if n, loose := pt.Combinations(100), pt.Loose(); n != 1 || len(loose) != 0 {
		t.Errorf("%d combinations, loose: %v", n, loose)
	}
}

// Nor is a name of which newer operations were synced.
func TestOverruledNamesAreForgotten(t *testing.T) {
	d := simdisk.New(&simdisk.Options{LoseNames: true})
	fsys := d.FS()
	create(t, fsys, "f", nil)
	failNext(d, "syncdir", syscall.EIO)
	fails(t, fsys.SyncDir("."), syscall.EIO)
	must(t, fsys.Remove("f"))
	must(t, fsys.SyncDir("."))
	pt := d.Point(d.Ops())
	if n, loose := pt.Combinations(100), pt.Loose(); n != 1 || len(loose) != 0 {
		t.Errorf("%d combinations, loose: %v", n, loose)
	}
}

func TestLoose(t *testing.T) {
	d := simdisk.New(nil)
	create(t, d.FS(), "f", fill(3, 'a'))
	must(t, d.FS().SyncDir("."))
	pt := d.Point(d.Ops())
	if got := pt.Loose(); len(got) != 1 || d.Op(got[0]) != "write f [0, 3)" {
		t.Errorf("loose: %v", got)
	}
}
