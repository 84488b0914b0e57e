package simdisk_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// durable makes a file of n times b that no crash takes away.
func durable(t *testing.T, fsys vfs.FS, name string, n int, b byte) {
	t.Helper()
	must(t, create(t, fsys, name, fill(n, b)).Sync())
	must(t, fsys.SyncDir("."))
}

// Each case is a script and all that a crash at its end may leave, torn sectors
// and garbage aside.
var outcomeCases = []struct {
	rule string
	run  func(t *testing.T, d *simdisk.Disk, fsys vfs.FS)
	want []string
}{
	{"sectors are loose one by one", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 1024, 'a')
		write(t, fsys, "f", 0, fill(1024, 'b'))
	}, []string{"f: a1024", "f: a512 b512", "f: b512 a512", "f: b1024"}},

	{"a sector may be as it was after any write", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 512, 'a')
		write(t, fsys, "f", 0, fill(512, 'b'))
		write(t, fsys, "f", 500, fill(12, 'c'))
	}, []string{"f: a512", "f: b512", "f: b500 c12"}},

	{"size without data, and data beyond the size is lost", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 10, 'a')
		write(t, fsys, "f", 10, fill(5, 'b'))
	}, []string{"f: a10", "f: a10 .5", "f: a10 b5"}},

	{"a file is cut, and its bytes, each on its own", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 514, 'a')
		must(t, open(t, fsys, "f").Truncate(3))
	}, []string{"f: a514", "f: a3", "f: a3 .511", "f: a3 .509 a2", "f: a512 .2"}},

	{"a create is lost", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, create(t, fsys, "f", fill(3, 'a')).Sync())
	}, []string{"", "f: a3"}},

	{"a create is there without what was written", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		create(t, fsys, "f", fill(3, 'a'))
		must(t, fsys.SyncDir("."))
	}, []string{"f:", "f: .3", "f: a3"}},

	{"an unlink is undone", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 3, 'a')
		must(t, fsys.Remove("f"))
	}, []string{"", "f: a3"}},

	{"a rename shows the old name or the new", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 3, 'a')
		durable(t, fsys, "g", 3, 'b')
		must(t, fsys.Rename("f", "g"))
	}, []string{"f: a3, g: b3", "g: a3"}},

	{"a rename is not about what was not synced", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "g", 3, 'b')
		create(t, fsys, "f", fill(3, 'a'))
		must(t, fsys.Rename("f", "g"))
		must(t, fsys.SyncDir("."))
	}, []string{"g:", "g: .3", "g: a3"}},

	{"a rename across directories is one change, settled from either", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("d"))
		must(t, fsys.Mkdir("e"))
		durable(t, fsys, "f", 1, 'a')
		durable(t, fsys, "g", 1, 'b')
		must(t, fsys.Rename("f", "d/f"))
		must(t, fsys.Rename("g", "e/g"))
		must(t, fsys.SyncDir("e"))
	}, []string{"d/{f: a1}, e/{g: b1}", "d/{}, e/{g: b1}, f: a1"}},

	{"a directory needs a sync of its parent", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("d"))
		must(t, create(t, fsys, "d/f", fill(3, 'a')).Sync())
		must(t, fsys.SyncDir("d"))
	}, []string{"", "d/{f: a3}"}},

	{"names are independent of each other", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "a", 0, 0)
		must(t, fsys.Remove("a"))
		create(t, fsys, "b", nil)
	}, []string{"", "a:", "a:, b:", "b:"}},

	{"a directory is never in two places", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("a"))
		must(t, fsys.SyncDir("."))
		must(t, fsys.Rename("a", "b"))
		must(t, fsys.Rename("b", "c"))
	}, []string{"a/{}", "b/{}", "c/{}"}},

	{"directories in each other's place make no circle", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("a"))
		must(t, fsys.Mkdir("b"))
		must(t, fsys.SyncDir("."))
		must(t, fsys.Rename("b", "a/b"))
		must(t, fsys.Rename("a/b", "b"))
		must(t, fsys.Rename("a", "c"))
		must(t, fsys.Rename("c", "b/a"))
	}, []string{"", "a/{b/{}}", "a/{}, b/{}", "b/{a/{}}", "b/{}, c/{}", "c/{b/{}}"}},

	{"a directory does not go back to where it was made", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("a"))
		must(t, fsys.Mkdir("b"))
		must(t, fsys.SyncDir("."))
		must(t, fsys.Mkdir("a/d"))
		must(t, fsys.Rename("a/d", "a/e"))
		must(t, fsys.Rename("a/e", "b/f"))
		must(t, fsys.SyncDir("b"))
	}, []string{"a/{}, b/{f/{}}"}},

	{"a sync settles the bytes and the size of its file alone", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 1, 'a')
		durable(t, fsys, "g", 1, 'a')
		write(t, fsys, "f", 0, fill(2, 'b'))
		write(t, fsys, "g", 0, fill(1, 'b'))
		must(t, open(t, fsys, "f").SyncData())
	}, []string{"f: b2, g: a1", "f: b2, g: b1"}},

	{"a sync of a directory settles its names alone", func(t *testing.T, _ *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("d"))
		must(t, fsys.SyncDir("."))
		create(t, fsys, "f", nil)
		create(t, fsys, "d/f", nil)
		must(t, fsys.SyncDir("d"))
	}, []string{"d/{f:}", "d/{f:}, f:"}},

	{"what a failed sync left, later syncs do not settle", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 2, 'a')
		write(t, fsys, "f", 0, fill(2, 'b'))
		failNext(d, "sync", syscall.EIO)
		fails(t, open(t, fsys, "f").Sync(), syscall.EIO)
		if got := dump(t, fsys, "."); got != "f: b2" {
			t.Errorf("after the failed sync: read %q", got)
		}
		must(t, open(t, fsys, "f").Sync())
	}, []string{"f: a2", "f: b2"}},

	{"what is written again after a failed sync, and synced, is durable", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 2, 'a')
		write(t, fsys, "f", 0, fill(3, 'b'))
		failNext(d, "sync", syscall.EIO)
		fails(t, open(t, fsys, "f").Sync(), syscall.EIO)
		write(t, fsys, "f", 0, fill(3, 'b'))
		must(t, open(t, fsys, "f").Sync())
	}, []string{"f: b3"}},

	{"what is written after a failed sync, and synced, lies within the size", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 0, 0)
		write(t, fsys, "f", 0, fill(1024, 'a'))
		failNext(d, "sync", syscall.EIO)
		fails(t, open(t, fsys, "f").Sync(), syscall.EIO)
		write(t, fsys, "f", 0, fill(512, 'b'))
		must(t, open(t, fsys, "f").Sync())
	}, []string{"f: b512", "f: b512 .512", "f: b512 a512"}},

	{"what is cut again after a failed sync, and synced, is gone", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "f", 600, 'a')
		f := open(t, fsys, "f")
		must(t, f.Truncate(0))
		failNext(d, "sync", syscall.EIO)
		fails(t, f.Sync(), syscall.EIO)
		must(t, f.Truncate(0))
		must(t, f.Sync())
		write(t, fsys, "f", 512, fill(2, 'b'))
		must(t, f.Sync())
	}, []string{"f: .512 b2"}},

	{"what a failed sync of a directory left, the next one settles", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		create(t, fsys, "f", nil)
		failNext(d, "syncdir", syscall.EIO)
		fails(t, fsys.SyncDir("."), syscall.EIO)
		create(t, fsys, "g", nil)
		must(t, fsys.SyncDir("."))
	}, []string{"f:, g:"}},
}

// loseNames are cases for Options.LoseNames.
var loseNamesCases = []struct {
	rule string
	run  func(t *testing.T, d *simdisk.Disk, fsys vfs.FS)
	want []string
}{
	{"what a failed sync of a directory lost, later syncs do not settle", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		create(t, fsys, "f", nil)
		failNext(d, "syncdir", syscall.EIO)
		fails(t, fsys.SyncDir("."), syscall.EIO)
		create(t, fsys, "g", nil)
		must(t, fsys.SyncDir("."))
	}, []string{"f:, g:", "g:"}},

	{"a name made again after a failed sync, and synced, is durable", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		create(t, fsys, "f", nil)
		failNext(d, "syncdir", syscall.EIO)
		fails(t, fsys.SyncDir("."), syscall.EIO)
		must(t, fsys.Remove("f"))
		must(t, create(t, fsys, "f", fill(1, 'b')).Sync())
		must(t, fsys.SyncDir("."))
	}, []string{"f: b1"}},

	{"a lost rename does not take away what has the old name now", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		durable(t, fsys, "x", 1, 'a')
		must(t, fsys.Rename("x", "y"))
		failNext(d, "syncdir", syscall.EIO)
		fails(t, fsys.SyncDir("."), syscall.EIO)
		durable(t, fsys, "x", 1, 'b')
	}, []string{"x: b1", "x: b1, y: a1"}},

	{"an old place of a directory does not come back", func(t *testing.T, d *simdisk.Disk, fsys vfs.FS) {
		must(t, fsys.Mkdir("a"))
		must(t, fsys.SyncDir("."))
		must(t, fsys.Rename("a", "b"))
		failNext(d, "syncdir", syscall.EIO)
		fails(t, fsys.SyncDir("."), syscall.EIO)
		must(t, fsys.Rename("b", "c"))
		must(t, fsys.SyncDir("."))
	}, []string{"c/{}"}},
}

func TestOutcomes(t *testing.T) {
	for _, c := range outcomeCases {
		t.Run(c.rule, func(t *testing.T) {
			d := simdisk.New(nil)
			c.run(t, d, d.FS())
			sameOutcomes(t, d, c.want)
		})
	}
	for _, c := range loseNamesCases {
		t.Run(c.rule, func(t *testing.T) {
			d := simdisk.New(&simdisk.Options{LoseNames: true})
			c.run(t, d, d.FS())
			sameOutcomes(t, d, c.want)
		})
	}
}

// sameOutcomes also wants All and None among the outcomes, and a kill that
// leaves loose what was loose.
func sameOutcomes(t *testing.T, d *simdisk.Disk, want []string) {
	t.Helper()
	slices.Sort(want)
	if got := outcomes(t, d); !slices.Equal(got, want) {
		t.Errorf("a crash leaves one of:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got, now := show(t, after(d, simdisk.Choice{})), dump(t, d.FS(), "."); got != now {
		t.Errorf("if all survives: %s, want what was seen: %s", got, now)
	}
	if got := show(t, after(d, simdisk.Choice{Mode: simdisk.None})); !slices.Contains(want, got) {
		t.Errorf("if nothing loose survives: %s", got)
	}
	killed := d.Point(d.Ops()).Kill(nil)
	if got, now := dump(t, killed.FS(), "."), dump(t, d.FS(), "."); got != now {
		t.Errorf("after a kill: %s, want what was seen: %s", got, now)
	}
	if got := outcomes(t, killed); !slices.Equal(got, want) {
		t.Errorf("a crash after a kill leaves one of:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
