package vfs_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
)

// finders are the calls that need the name to be there, makers the calls that
// make it; each answers with its error.
func finders(fsys vfs.FS, name string) map[string]error {
	errs := map[string]error{
		"Remove":      fsys.Remove(name),
		"Rename from": fsys.Rename(name, "to"),
		"Link from":   vfs.Link(fsys, name, "to"),
		"SyncDir":     fsys.SyncDir(name),
	}
	_, errs["Open"] = fsys.Open(name)
	_, errs["OpenWrite"] = fsys.OpenWrite(name)
	_, errs["List"] = fsys.List(name)
	_, errs["Stat"] = fsys.Stat(name)
	_, errs["Sub"] = fsys.Sub(name)
	return errs
}

func makers(fsys vfs.FS, name string) map[string]error {
	errs := map[string]error{
		"Mkdir":     fsys.Mkdir(name),
		"Rename to": fsys.Rename("from", name),
		"Link to":   vfs.Link(fsys, "from", name),
	}
	_, errs["Create"] = fsys.Create(name)
	_, errs["Lock"] = fsys.Lock(name)
	return errs
}

func badNames(t *testing.T, fsys vfs.FS) {
	for _, name := range []string{"", "/", "/x", "..", "../x", "a/../b", "a/..", "./x", "a/./b", "a//b", "a/", "nul\x00"} {
		errs := finders(fsys, name)
		maps.Copy(errs, makers(fsys, name))
		for call, err := range errs {
			if !errors.Is(err, vfs.ErrName) {
				t.Errorf("%s(%q) = %v, want ErrName", call, name, err)
			}
		}
	}
	same(t, "entries afterwards", names(t, fsys, "."), nil)
}

func rootIsNoEntry(t *testing.T, fsys vfs.FS) {
	errs := finders(fsys, ".")
	for _, call := range []string{"Stat", "List", "SyncDir", "Sub"} {
		if errs[call] != nil {
			t.Errorf("%s(.) = %v, want nil", call, errs[call])
		}
		delete(errs, call)
	}
	maps.Copy(errs, makers(fsys, "."))
	for call, err := range errs {
		if !errors.Is(err, vfs.ErrName) {
			t.Errorf("%s(.) = %v, want ErrName", call, err)
		}
	}
}

func missing(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "from", "")
	errs := finders(fsys, "no")
	maps.Copy(errs, makers(fsys, "no/such"))
	for call, err := range errs {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s = %v, want fs.ErrNotExist", call, err)
		}
	}
	same(t, "entries afterwards", names(t, fsys, "."), []string{"from"})
}

func createTaken(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "file", "first")
	ok(t, fsys.Mkdir("dir"))
	for _, name := range []string{"file", "dir"} {
		_, err := fsys.Create(name)
		is(t, err, fs.ErrExist)
		is(t, fsys.Mkdir(name), fs.ErrExist)
	}
	same(t, "content", read(t, fsys, "file"), "first")
}

func wrongKind(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "from", "")
	write(t, fsys, "file", "")
	ok(t, fsys.Mkdir("dir"))
	errs := finders(fsys, "file/x")
	maps.Copy(errs, makers(fsys, "file/x"))
	_, errs["List a file"] = fsys.List("file")
	_, errs["Sub a file"] = fsys.Sub("file")
	errs["SyncDir a file"] = fsys.SyncDir("file")
	_, errs["Open a directory"] = fsys.Open("dir")
	_, errs["OpenWrite a directory"] = fsys.OpenWrite("dir")
	_, errs["Lock a directory"] = fsys.Lock("dir")
	for call, err := range errs {
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s = %v, want an error of another kind", call, err)
		}
	}
	same(t, "entries afterwards", names(t, fsys, "."), []string{"dir", "file", "from"})
}

func rename(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "a", "new")
	write(t, fsys, "b", "old")
	ok(t, fsys.Rename("a", "b"))
	same(t, "entries", names(t, fsys, "."), []string{"b"})
	same(t, "content", read(t, fsys, "b"), "new")
	ok(t, fsys.Rename("b", "b"))

	ok(t, fsys.Mkdir("dir"))
	ok(t, fsys.Mkdir("empty"))
	is(t, fsys.Rename("dir", "empty"), fs.ErrExist)
	is(t, fsys.Rename("b", "empty"), fs.ErrExist)
	is(t, fsys.Rename("dir", "dir"), fs.ErrExist)
	fails(t, fsys.Rename("dir", "b"))
	fails(t, fsys.Rename("dir", "dir/inside"))
	is(t, fsys.Rename("dir", "dir/no/inside"), fs.ErrNotExist)
	same(t, "entries", names(t, fsys, "."), []string{"b", "dir", "empty"})
	same(t, "content", read(t, fsys, "b"), "new")
}

func renameDir(t *testing.T, fsys vfs.FS) {
	ok(t, fsys.Mkdir("a"))
	ok(t, fsys.Mkdir("a/deep"))
	ok(t, fsys.Mkdir("ab"))
	ok(t, fsys.Mkdir("b"))
	write(t, fsys, "a/deep/file", "content")
	ok(t, fsys.Rename("a", "b/c"))
	same(t, "entries", names(t, fsys, "."), []string{"ab", "b"})
	same(t, "content", read(t, fsys, "b/c/deep/file"), "content")
}

func link(t *testing.T, fsys vfs.FS) {
	write(t, fsys, "a", "old")
	write(t, fsys, "taken", "taken")
	ok(t, fsys.Mkdir("dir"))
	is(t, vfs.Link(fsys, "a", "taken"), fs.ErrExist)
	is(t, vfs.Link(fsys, "a", "dir"), fs.ErrExist)
	is(t, vfs.Link(fsys, "a", "a"), fs.ErrExist)
	is(t, vfs.Link(fsys, "dir", "dir2"), fs.ErrPermission)
	ok(t, vfs.Link(fsys, "a", "dir/b"))
	ok(t, fsys.Rename("a", "dir/b")) // both stay
	same(t, "entries", names(t, fsys, "."), []string{"a", "dir", "taken"})
	f, err := fsys.OpenWrite("a")
	ok(t, err)
	_, err = f.WriteAt([]byte("new"), 0)
	ok(t, errors.Join(err, f.Close()))
	same(t, "content under the second name", read(t, fsys, "dir/b"), "new")
	ok(t, fsys.Remove("a"))
	same(t, "content after removing the first name", read(t, fsys, "dir/b"), "new")
	same(t, "entries", names(t, fsys, "."), []string{"dir", "taken"})
}

func remove(t *testing.T, fsys vfs.FS) {
	ok(t, fsys.Mkdir("dir"))
	write(t, fsys, "dir/file", "")
	fails(t, fsys.Remove("dir"))
	ok(t, fsys.Remove("dir/file"))
	ok(t, fsys.Remove("dir"))
	same(t, "entries", names(t, fsys, "."), nil)
}

func list(t *testing.T, fsys vfs.FS) {
	for _, name := range []string{"b", "a.tmp", "a", "B", "10", "9"} {
		write(t, fsys, name, name)
	}
	ok(t, fsys.Mkdir("dir"))
	write(t, fsys, "dir/not listed", "")
	got, err := fsys.List(".")
	ok(t, err)
	same(t, "List", got, []vfs.Info{
		{Name: "10", Size: 2}, {Name: "9", Size: 1}, {Name: "B", Size: 1}, {Name: "a", Size: 1},
		{Name: "a.tmp", Size: 5}, {Name: "b", Size: 1}, {Name: "dir", Dir: true},
	})
	for _, want := range got {
		info, err := fsys.Stat(want.Name)
		ok(t, err)
		same(t, "Stat", info, want)
	}
	info, err := fsys.Stat("dir/not listed")
	ok(t, err)
	same(t, "Stat", info, vfs.Info{Name: "not listed"})
}

func sub(t *testing.T, fsys vfs.FS) {
	ok(t, fsys.Mkdir("a"))
	ok(t, fsys.Mkdir("a/b"))
	s, err := fsys.Sub("a/b")
	ok(t, err)
	write(t, s, "file", "below")
	same(t, "content", read(t, fsys, "a/b/file"), "below")
	same(t, "entries", names(t, s, "."), []string{"file"})
	ok(t, s.Close())
	same(t, "content", read(t, fsys, "a/b/file"), "below")
}

func subFollows(t *testing.T, fsys vfs.FS) {
	ok(t, fsys.Mkdir("a"))
	s, err := fsys.Sub("a")
	ok(t, err)
	ok(t, fsys.Rename("a", "b"))
	write(t, s, "file", "here")
	same(t, "content", read(t, fsys, "b/file"), "here")
	ok(t, s.Remove("file"))
	ok(t, fsys.Remove("b"))
	_, err = s.Create("file")
	is(t, err, fs.ErrNotExist)
	ok(t, s.Close())
}

func closedRoot(t *testing.T, fsys vfs.FS) {
	s, err := fsys.Sub(".")
	ok(t, err)
	f := create(t, s, "file")
	ok(t, s.Close())
	ok(t, s.Close())
	errs := finders(s, "file")
	maps.Copy(errs, makers(s, "new"))
	_, errs["Space"] = s.Space()
	for call, err := range errs {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s = %v, want fs.ErrClosed", call, err)
		}
	}
	_, err = f.WriteAt([]byte("x"), 0)
	ok(t, errors.Join(err, f.Sync(), f.Close()))
	same(t, "content", read(t, fsys, "file"), "x")
}

func lock(t *testing.T, fsys vfs.FS) {
	first, err := fsys.Lock("LOCK")
	ok(t, err)
	_, err = fsys.Lock("LOCK")
	is(t, err, vfs.ErrLocked)
	pid, held, err := vfs.LockHolder(fsys, "LOCK")
	ok(t, err)
	same(t, "held", held, true)
	same(t, "holder", pid, os.Getpid())
	other, err := fsys.Lock("OTHER")
	ok(t, err)
	ok(t, first.Close())
	second, err := fsys.Lock("LOCK")
	ok(t, err)
	ok(t, first.Close())
	_, err = fsys.Lock("LOCK")
	is(t, err, vfs.ErrLocked) // the first holder's second Close freed nothing
	ok(t, errors.Join(second.Close(), other.Close()))
	for _, name := range []string{"LOCK", "never"} {
		_, held, err = vfs.LockHolder(fsys, name)
		ok(t, err)
		same(t, name+" held", held, false)
	}
	_, err = fsys.Stat("never")
	is(t, err, fs.ErrNotExist) // asking makes no file
}

func space(t *testing.T, fsys vfs.FS) {
	sp, err := fsys.Space()
	ok(t, err)
	if sp.Free <= 0 || sp.Free > sp.Total {
		t.Errorf("Space = %+v, want 0 < Free <= Total", sp)
	}
}
