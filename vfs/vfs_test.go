package vfs_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// systems are all the file systems that the cases run over.
var systems = []struct {
	name string
	open func(t *testing.T) vfs.FS
}{
	{"disk", openDisk},
	{"mem", func(*testing.T) vfs.FS { return vfs.NewMem() }},
	{"hook", func(t *testing.T) vfs.FS { return vfs.Hook(openDisk(t), nothing) }},
	{"overlay", func(t *testing.T) vfs.FS { return openOverlay(t, openDisk(t)) }},
	{"overlay sub", func(t *testing.T) vfs.FS { return openSub(t, openOverlay(t, openDisk(t))) }},
	{"overlay of sub", func(t *testing.T) vfs.FS { return openOverlay(t, openSub(t, openDisk(t))) }},
	{"simdisk", func(*testing.T) vfs.FS { return simdisk.New(nil).FS() }},
	{"simdisk sub", func(t *testing.T) vfs.FS { return openSub(t, simdisk.New(nil).FS()) }},
	{"disk sub", func(t *testing.T) vfs.FS { return openSub(t, openDisk(t)) }},
	{"mem sub", func(t *testing.T) vfs.FS { return openSub(t, vfs.NewMem()) }},
	{"hook sub", func(t *testing.T) vfs.FS { return openSub(t, vfs.Hook(openDisk(t), nothing)) }},
}

func nothing(vfs.Op) error { return nil }

func openDisk(t *testing.T) vfs.FS {
	t.Helper()
	fsys, err := vfs.Disk(t.TempDir())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	ok(t, err)
	t.Cleanup(func() { ok(t, fsys.Close()) })
	return fsys
}

func openOverlay(t *testing.T, base vfs.FS) vfs.FS {
	t.Helper()
	fsys, err := vfs.Overlay(base, openDisk(t))
	ok(t, err)
	return fsys
}

func openSub(t *testing.T, fsys vfs.FS) vfs.FS {
	t.Helper()
	ok(t, fsys.Mkdir("up"))
	ok(t, fsys.Mkdir("up/sub"))
	sub, err := fsys.Sub("up/sub")
	ok(t, err)
	t.Cleanup(func() { ok(t, sub.Close()) })
	return sub
}

// Every case starts with an empty tree.
var cases = []struct {
	rule string
	run  func(*testing.T, vfs.FS)
}{
	{"names that leave the root, or are no names, are refused", badNames},
	{"the root itself is no entry", rootIsNoEntry},
	{"create refuses a name that is taken", createTaken},
	{"what is missing is fs.ErrNotExist", missing},
	{"a file is no directory and a directory no file", wrongKind},
	{"read returns io.EOF exactly where the file ends", readAtEnd},
	{"what was never written reads as zeros", holes},
	{"truncate cuts for good", truncate},
	{"offsets that cannot be are refused", badOffsets},
	{"a file opened for reading cannot be changed", readOnly},
	{"after close every call is fs.ErrClosed", closedFile},
	{"an open file outlives its name", removedWhileOpen},
	{"rename replaces a file, never a directory", rename},
	{"rename takes a directory with all that is in it", renameDir},
	{"a link is a second name for the same bytes", link},
	{"hints change nothing", hints},
	{"only what is empty can be removed", remove},
	{"list is ordered and complete", list},
	{"sub sees one directory and nothing above", sub},
	{"sub follows its directory when that is renamed", subFollows},
	{"a closed root opens nothing, its files stay", closedRoot},
	{"a lock is held once, until closed", lock},
	{"space is sane", space},
	{"readers see whole writes beside one writer", readersAndWriter},
}

func TestFS(t *testing.T) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.rule, func(t *testing.T) { c.run(t, s.open(t)) })
			}
		})
	}
}

// What the cases say with few words.

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

func fails(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("error = nil, want one")
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func create(t *testing.T, fsys vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fsys.Create(name)
	ok(t, err)
	return f
}

func write(t *testing.T, fsys vfs.FS, name, content string) {
	t.Helper()
	f := create(t, fsys, name)
	_, err := f.WriteAt([]byte(content), 0)
	ok(t, errors.Join(err, f.Close()))
}

func read(t *testing.T, fsys vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1<<20)
	ok(t, err)
	return string(b)
}

func names(t *testing.T, fsys vfs.FS, dir string) []string {
	t.Helper()
	infos, err := fsys.List(dir)
	ok(t, err)
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}
