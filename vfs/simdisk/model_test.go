package simdisk_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

var seed = flag.Uint64("seed", 0, "replay the random tests with this seed")

// seeds are those of a random test: new ones each time, or the one to replay.
func seeds(n uint64) (first, end uint64) {
	if *seed != 0 {
		return *seed, *seed + 1
	}
	first = uint64(time.Now().UnixNano())
	return first, first + n
}

// model is the rules once more, as short as can be and without a thought for
// speed: a list of operations, from which everything is worked out again for
// each question. It has files, one directory "d", and no failures.
type model struct{ ops []op }

type op struct {
	kind     string
	name, to string
	file     int // the operation that created it
	off, len int
	b        byte
}

// names are after those operations on names that happened, in order.
func (m *model) names(happened func(i int) bool) map[string]int {
	names := map[string]int{}
	for i, o := range m.ops {
		if o.isName() && happened(i) {
			switch o.kind {
			case "create":
				names[o.name] = i
			case "rename":
				delete(names, o.name)
				names[o.to] = o.file
			case "remove":
				delete(names, o.name)
			}
		}
	}
	return names
}

func (o op) isName() bool { return o.kind == "create" || o.kind == "rename" || o.kind == "remove" }

// looseNames are operations after which no directory that they touch was synced.
func (m *model) looseNames() (loose []int) {
	for i, o := range m.ops {
		if !o.isName() {
			continue
		}
		synced := slices.ContainsFunc(m.ops[i:], func(s op) bool {
			return s.kind == "syncdir" && (s.name == path.Dir(o.name) || o.to != "" && s.name == path.Dir(o.to))
		})
		if !synced {
			loose = append(loose, i)
		}
	}
	return loose
}

const modelSize = 3 * simdisk.SectorSize

// versions are the contents that a file had since it was synced last: all its
// bytes, zeros beyond the size.
func (m *model) versions(file int) (all [][]byte, sizes []int) {
	b, size := make([]byte, modelSize), 0
	all, sizes = [][]byte{bytes.Clone(b)}, []int{0}
	for _, o := range m.ops {
		if o.file != file {
			continue
		}
		switch o.kind {
		case "write":
			copy(b[o.off:], fill(o.len, o.b))
			size = max(size, o.off+o.len)
		case "truncate":
			size = o.off
			clear(b[size:])
		case "sync":
			all, sizes = nil, nil
		default:
			continue
		}
		all, sizes = append(all, bytes.Clone(b)), append(sizes, size)
	}
	return all, sizes
}

// contents are all that may be left of a file.
func (m *model) contents(file int) []string {
	all, sizes := m.versions(file)
	left := map[string]bool{"": true}
	for at := 0; at < modelSize; at += simdisk.SectorSize {
		more := map[string]bool{}
		for head := range left {
			for _, v := range all {
				more[head+string(v[at:at+simdisk.SectorSize])] = true
			}
		}
		left = more
	}
	cut := map[string]bool{}
	for b := range left {
		for _, size := range sizes {
			cut[b[:size]] = true
		}
	}
	return slices.Collect(maps.Keys(cut))
}

// outcomes is every tree that a crash may leave, unless there are too many.
func (m *model) outcomes(limit int) map[string]bool {
	loose, trees := m.looseNames(), map[string]bool{}
	for bits := range 1 << len(loose) {
		names := m.names(func(i int) bool {
			k := slices.Index(loose, i)
			return k < 0 || bits>>k&1 == 1
		})
		some := []map[int]string{{}}
		for _, file := range slices.Compact(slices.Sorted(maps.Values(names))) {
			var more []map[int]string
			for _, b := range m.contents(file) {
				for _, one := range some {
					one = maps.Clone(one)
					one[file] = b
					more = append(more, one)
				}
			}
			if some = more; len(some) > limit {
				return nil
			}
		}
		for _, contents := range some {
			trees[layout(names, contents)] = true
		}
	}
	return trees
}

// layout is dump of names and contents.
func layout(names map[string]int, contents map[int]string) string {
	var top, sub []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := strings.TrimSpace(path.Base(name) + ": " + runs([]byte(contents[names[name]])))
		if strings.HasPrefix(name, "d/") {
			sub = append(sub, s)
		} else {
			top = append(top, s)
		}
	}
	// "d" comes after all other names.
	return strings.Join(append(top, "d/{"+strings.Join(sub, ", ")+"}"), ", ")
}

// do makes one random call on disk and model.
func (m *model) do(t *testing.T, fsys vfs.FS, rng *rand.Rand) {
	t.Helper()
	names := m.names(func(int) bool { return true })
	some := func() string { return []string{"a", "b", "d/a", "d/b"}[rng.IntN(4)] }
	name := some()
	file, taken := names[name]
	o := op{name: name, file: file}
	switch k := rng.IntN(12); {
	case !taken:
		o.kind, o.file = "create", -1
		create(t, fsys, name, nil)
	case k < 5:
		o.kind, o.off, o.len, o.b = "write", rng.IntN(modelSize-700), 1+rng.IntN(700), byte('A'+len(m.ops))
		write(t, fsys, name, int64(o.off), fill(o.len, o.b))
	case k < 6:
		o.kind, o.off = "truncate", rng.IntN(modelSize)
		must(t, open(t, fsys, name).Truncate(int64(o.off)))
	case k < 8:
		o.kind = "sync"
		must(t, open(t, fsys, name).Sync())
	case k < 10:
		o.kind, o.name, o.file = "syncdir", path.Dir(name), -1
		must(t, fsys.SyncDir(o.name))
	case k < 11:
		o.kind = "remove"
		must(t, fsys.Remove(name))
	default:
		o.kind, o.to = "rename", some()
		must(t, fsys.Rename(name, o.to))
		if o.to == name {
			return
		}
	}
	m.ops = append(m.ops, o)
}

// Whatever is called, what a crash may leave is what the model says.
func TestOutcomesAreThoseOfTheModel(t *testing.T) {
	first, end := seeds(20)
	compared := 0
	for s := first; s < end; s++ {
		rng := rand.New(rand.NewPCG(s, 0))
		d, m := newWithDir(t, nil), &model{}
		for step := range 14 {
			m.do(t, d.FS(), rng)
			want := m.outcomes(60)
			pt := d.Point(d.Ops())
			if want == nil || pt.Combinations(500) == 500 {
				continue
			}
			compared++
			if got, want := outcomes(t, d), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
				t.Fatalf("step %d, %+v: a crash leaves one of:\n%s\nwant:\n%s\nreplay with -seed %d",
					step, m.ops, strings.Join(got, "\n"), strings.Join(want, "\n"), s)
			}
		}
	}
	if *seed == 0 && compared < 60 {
		t.Errorf("only %d points were compared", compared)
	}
}

func newWithDir(t *testing.T, o *simdisk.Options) *simdisk.Disk {
	t.Helper()
	d := simdisk.New(o)
	must(t, d.FS().Mkdir("d"))
	must(t, d.FS().SyncDir("."))
	return d
}

// randomDisk is one with a long random history, and with failing syncs.
func randomDisk(t *testing.T, s uint64) *simdisk.Disk {
	t.Helper()
	rng := rand.New(rand.NewPCG(s, 1))
	d, m := newWithDir(t, &simdisk.Options{LoseNames: true}), &model{}
	for range 60 {
		if rng.IntN(10) == 0 {
			failNext(d, "syncdir", fmt.Errorf("seed %d", s))
			if err := d.FS().SyncDir([]string{".", "d"}[rng.IntN(2)]); err == nil {
				t.Fatal("the sync did not fail")
			}
		}
		m.do(t, d.FS(), rng)
	}
	return d
}

var choices = []simdisk.Choice{
	{Mode: simdisk.All}, {Mode: simdisk.None}, {Mode: simdisk.Sizes}, {Mode: simdisk.Sizes, Arg: 1}, {Mode: simdisk.Both},
	{Mode: simdisk.Omit, Arg: 40}, {Mode: simdisk.Only, Arg: 40}, {Mode: simdisk.Cut, Arg: 100}, {Mode: simdisk.Short, Arg: 100},
	{Mode: simdisk.Nth, Arg: 1}, {Mode: simdisk.Nth, Arg: 7}, {Mode: simdisk.Sample, Arg: 1}, {Mode: simdisk.Sample, Arg: 2},
}

// all images of a disk, one for each point and choice.
func images(d *simdisk.Disk) (all []*simdisk.Image) {
	for pt := d.Point(0); ; {
		for _, c := range choices {
			all = append(all, pt.Crash(c))
		}
		if !pt.Next() {
			return all
		}
	}
}

// Digests are equal exactly where trees are; a saved history makes the same
// images; a point that was walked to is one that was asked for; and nobody who
// works on an image changes it or another.
func TestImages(t *testing.T) {
	byDigest, byTree := map[uint64]string{}, map[string]uint64{}
	first, end := seeds(6)
	for s := first; s < end; s++ {
		d := randomDisk(t, s)
		all := images(d)
		trees := make([]string, len(all))
		for i, m := range all {
			trees[i] = show(t, m)
			if old, ok := byDigest[m.Digest()]; ok && old != trees[i] {
				t.Fatalf("digest %016x is of\n%s\nand\n%s\nreplay with -seed %d", m.Digest(), old, trees[i], s)
			}
			if old, ok := byTree[trees[i]]; ok && old != m.Digest() {
				t.Fatalf("digests %016x and %016x are of\n%s\nreplay with -seed %d", m.Digest(), old, trees[i], s)
			}
			byDigest[m.Digest()], byTree[trees[i]] = trees[i], m.Digest()
		}
		for i, m := range images(reload(t, d)) {
			if m.Digest() != all[i].Digest() {
				t.Fatalf("image %d of a loaded history: %s, was %s; replay with -seed %d", i, show(t, m), trees[i], s)
			}
		}
		n := len(all) / 2
		if at := d.Point(n / len(choices)).Crash(choices[n%len(choices)]); at.Digest() != all[n].Digest() {
			t.Errorf("image %d of a point that was asked for: %s, was %s; replay with -seed %d", n, show(t, at), trees[n], s)
		}
		for _, m := range all {
			spoil(t, m.Disk(nil))
		}
		for i, m := range all {
			if got := show(t, m); got != trees[i] {
				t.Fatalf("image %d became %s, was %s; replay with -seed %d", i, got, trees[i], s)
			}
		}
	}
}

func reload(t *testing.T, d *simdisk.Disk) *simdisk.Disk {
	t.Helper()
	var b bytes.Buffer
	must(t, d.Save(&b, d.Ops()))
	d, err := simdisk.Load(&b)
	must(t, err)
	return d
}

// spoil changes all files and names, and makes that durable.
func spoil(t *testing.T, d *simdisk.Disk) {
	t.Helper()
	fsys := d.FS()
	for _, dir := range []string{"d", "."} {
		infos, err := fsys.List(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		must(t, err)
		for _, info := range infos {
			if info.Dir {
				continue
			}
			name := path.Join(dir, info.Name)
			f, err := fsys.OpenWrite(name)
			must(t, err)
			_, err = f.WriteAt(fill(2000, '!'), 100)
			must(t, err)
			must(t, f.Sync())
			must(t, f.Close())
			must(t, fsys.Rename(name, "d/"+info.Name+".spoilt"))
		}
	}
	must(t, fsys.SyncDir("d"))
	d.Point(d.Ops()).Crash(simdisk.Choice{Mode: simdisk.None})
}
