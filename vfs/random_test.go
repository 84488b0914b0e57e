package vfs_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

var seed = flag.Uint64("seed", 0, "replay the random test with this seed")

// walker makes the same random calls on one file system as another walker
// with the same seed does on another; each call answers with one line.
type walker struct {
	rnd  *rand.Rand
	fsys vfs.FS
	open []vfs.File
}

func TestMemIsLikeDisk(t *testing.T) {
	likeDisk(t, func() vfs.FS { return vfs.NewMem() })
}

func TestSimdiskIsLikeDisk(t *testing.T) {
	likeDisk(t, func() vfs.FS { return simdisk.New(nil).FS() })
}

// An overlay of a tree in which much has happened behaves as that tree would,
// and the tree stays what it was.
func TestOverlayIsLikeDisk(t *testing.T) {
	likeDisk(t, func() vfs.FS { return openOverlay(t, openDisk(t)) })
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	for s := first; s < first+10; s++ {
		rnd := rand.New(rand.NewPCG(s, 1))
		base := &walker{rnd: rnd, fsys: openDisk(t)}
		twin := &walker{rnd: rand.New(rand.NewPCG(s, 1)), fsys: openDisk(t)}
		for range 200 {
			base.step()
			twin.step()
		}
		for _, f := range append(base.open, twin.open...) {
			ok(t, f.Close())
		}
		before := base.tree(".")
		over := &walker{rnd: rand.New(rand.NewPCG(s, 2)), fsys: openOverlay(t, base.fsys)}
		twin.rnd, twin.open = rand.New(rand.NewPCG(s, 2)), nil
		for i := range 400 {
			if got, want := over.step(), twin.step(); got != want {
				t.Fatalf("step %d: got: %s, disk: %s; replay with -seed %d", i, got, want, s)
			}
		}
		if got, want := over.tree("."), twin.tree("."); got != want {
			t.Fatalf("trees differ: got:\n%s\ndisk:\n%s\nreplay with -seed %d", got, want, s)
		}
		if after := base.tree("."); after != before {
			t.Fatalf("the base is now:\n%s\nand was:\n%s\nreplay with -seed %d", after, before, s)
		}
		for _, f := range append(over.open, twin.open...) {
			ok(t, f.Close())
		}
	}
}

// Of some directories an overlay has all, and of the others nothing.
func TestOverlayOfDirectories(t *testing.T) {
	base := openDisk(t)
	for _, dir := range []string{"a/b/c", "a/x", "d"} {
		ok(t, vfs.MkdirAll(base, dir))
		ok(t, vfs.WriteFile(base, dir+"/file", []byte(dir)))
	}
	over, err := vfs.Overlay(base, openDisk(t), "a/b", "d", "none/at/all", "a/none")
	ok(t, err)
	want := "ok\na/: ok\na/b/: ok\na/b/c/: ok\na/b/c/file: 612f622f63 ok\nd/: ok\nd/file: 64 ok"
	same(t, "tree", (&walker{fsys: over}).tree("."), want)
	ok(t, over.Mkdir("a/none"))
}

func likeDisk(t *testing.T, open func() vfs.FS) {
	t.Helper()
	const runs, steps = 20, 400
	first, n := *seed, 1
	if first == 0 {
		first, n = uint64(time.Now().UnixNano()), runs
	}
	for s := first; s < first+uint64(n); s++ {
		disk := &walker{rnd: rand.New(rand.NewPCG(s, 0)), fsys: openDisk(t)}
		other := &walker{rnd: rand.New(rand.NewPCG(s, 0)), fsys: open()}
		for i := range steps {
			want, got := disk.step(), other.step()
			if got != want {
				t.Fatalf("step %d: got: %s, disk: %s; replay with -seed %d", i, got, want, s)
			}
		}
		if got, want := other.tree("."), disk.tree("."); got != want {
			t.Fatalf("trees differ: got:\n%s\ndisk:\n%s\nreplay with -seed %d", got, want, s)
		}
		for _, f := range append(disk.open, other.open...) {
			ok(t, f.Close())
		}
	}
}

// name has few letters, so that names meet; it may go through a file.
func (w *walker) name() string {
	name := string("abc"[w.rnd.IntN(3)])
	for range w.rnd.IntN(3) {
		name = path.Join(name, string("abc"[w.rnd.IntN(3)]))
	}
	return name
}

func (w *walker) step() string {
	if len(w.open) > 0 && w.rnd.IntN(2) == 0 {
		return w.fileStep(w.rnd.IntN(len(w.open)))
	}
	name := w.name()
	switch k := w.rnd.IntN(9); k {
	case 0, 1:
		return "mkdir " + name + ": " + kind(w.fsys.Mkdir(name))
	case 2:
		to := w.name()
		return "rename " + name + " " + to + ": " + kind(w.fsys.Rename(name, to))
	case 3:
		return "remove " + name + ": " + kind(w.fsys.Remove(name))
	case 4:
		infos, err := w.fsys.List(name)
		return fmt.Sprintf("list %s: %v %s", name, infos, kind(err))
	case 5:
		info, err := w.fsys.Stat(name)
		return fmt.Sprintf("stat %s: %v %s", name, info, kind(err))
	case 6:
		return "create " + name + ": " + w.keep(w.fsys.Create(name))
	case 7:
		return "open " + name + ": " + w.keep(w.fsys.Open(name))
	default:
		return "openwrite " + name + ": " + w.keep(w.fsys.OpenWrite(name))
	}
}

func (w *walker) keep(f vfs.File, err error) string {
	if err == nil {
		w.open = append(w.open, f)
	}
	return kind(err)
}

func (w *walker) fileStep(i int) string {
	f, off := w.open[i], w.rnd.Int64N(10_000)
	b := make([]byte, 1+w.rnd.IntN(5_000))
	switch w.rnd.IntN(5) {
	case 0, 1:
		for i := range b {
			b[i] = byte(w.rnd.Uint32())
		}
		n, err := f.WriteAt(b, off)
		return fmt.Sprintf("file %d: write %d at %d: %d %s", i, len(b), off, n, kind(err))
	case 2:
		n, err := f.ReadAt(b, off)
		return fmt.Sprintf("file %d: read %d at %d: %x %s", i, len(b), off, b[:n], kind(err))
	case 3:
		return fmt.Sprintf("file %d: truncate %d: %s", i, off, kind(f.Truncate(off)))
	default:
		w.open = append(w.open[:i:i], w.open[i+1:]...)
		return fmt.Sprintf("file %d: close: %s", i, kind(f.Close()))
	}
}

// tree is everything below dir, contents included.
func (w *walker) tree(dir string) (all string) {
	infos, err := w.fsys.List(dir)
	all = kind(err)
	for _, info := range infos {
		name := path.Join(dir, info.Name)
		if info.Dir {
			all += "\n" + name + "/: " + w.tree(name)
			continue
		}
		b, err := vfs.ReadFile(w.fsys, name, 1<<20)
		all += fmt.Sprintf("\n%s: %x %s", name, b, kind(err))
	}
	return all
}

// kind is what a caller can tell apart; the rest is one kind.
func kind(err error) string {
	if err == nil {
		return "ok"
	}
	for _, known := range []error{io.EOF, fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, vfs.ErrName} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "other"
}
