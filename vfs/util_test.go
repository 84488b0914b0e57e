package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
)

// recorder is a Hook function that keeps what it saw.
type recorder struct {
	mu  sync.Mutex
	ops []string
}

func (r *recorder) before(op vfs.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op.Kind+" "+op.Name)
	return nil
}

func (r *recorder) without(kinds ...string) []string {
	return slices.DeleteFunc(slices.Clone(r.ops), func(op string) bool {
		return slices.ContainsFunc(kinds, func(k string) bool { return len(op) > len(k) && op[:len(k)+1] == k+" " })
	})
}

func TestAtSyncsEachParentBeforeTheNextDirectory(t *testing.T) {
	for name, fsys := range map[string]vfs.FS{"disk": openDisk(t), "mem": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			sub, err := vfs.At(vfs.Hook(fsys, r.before), "a/b/c/")
			ok(t, err)
			same(t, "operations", r.without("stat"), []string{"mkdir a", "syncdir .", "mkdir a/b", "syncdir a", "mkdir a/b/c", "syncdir a/b"})
			write(t, sub, "file", "x")
			ok(t, sub.Close())
			same(t, "content", read(t, fsys, "a/b/c/file"), "x")
		})
	}
}

// A process killed between mkdir and sync leaves a name that the next power
// cut takes: the next one to open it has to sync it.
func TestAtSyncsTheNameOfADirectoryThatIsThere(t *testing.T) {
	fsys := vfs.NewMem()
	ok(t, fsys.Mkdir("a"))
	ok(t, fsys.Mkdir("a/b"))
	var r recorder
	_, err := vfs.At(vfs.Hook(fsys, r.before), "a/b")
	ok(t, err)
	same(t, "operations", r.without("stat"), []string{"syncdir a"})

	broken := errors.New("broken")
	_, err = vfs.At(vfs.Hook(fsys, failing("syncdir", broken)), "a/b")
	is(t, err, broken)
}

func failing(kind string, err error) func(vfs.Op) error {
	return func(op vfs.Op) error {
		if op.Kind == kind {
			return err
		}
		return nil
	}
}

func TestAtOnDisk(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // made, then found
		fsys, err := vfs.At(nil, filepath.Join(dir, "a", "b"))
		ok(t, err)
		ok(t, vfs.WriteFile(fsys, "file", []byte("x")))
		ok(t, fsys.Close())
	}
	b, err := os.ReadFile(filepath.Join(dir, "a", "b", "file"))
	ok(t, err)
	same(t, "content", string(b), "x")

	t.Chdir(dir)
	fsys, err := vfs.At(nil, filepath.Join("a", "b"))
	ok(t, err)
	t.Chdir("/")
	same(t, "content after the working directory changed", read(t, fsys, "file"), "x")
	_, err = fsys.Space()
	ok(t, err)
	ok(t, fsys.Close())

	root, err := vfs.At(nil, "/")
	ok(t, err)
	ok(t, root.Close())
}

func TestAtRefuses(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, path := range []string{"", filepath.Join(dir, "file"), filepath.Join(dir, "file", "below")} {
		if fsys, err := vfs.At(nil, path); err == nil {
			t.Errorf("At(nil, %q) = %v, want an error", path, fsys)
		}
	}
	fsys := vfs.NewMem()
	write(t, fsys, "file", "")
	for _, path := range []string{"file", "file/below", "/abs", "../up"} {
		if _, err := vfs.At(fsys, path); err == nil {
			t.Errorf("At(mem, %q) = nil, want an error", path)
		}
	}
}

// Each operation of WriteFile fails in turn, over an old file and over none.
func TestWriteFileIsAllOrNothing(t *testing.T) {
	for _, s := range systems {
		for _, old := range []string{"", "old"} {
			t.Run(s.name+" over "+old, func(t *testing.T) {
				for n := 0; ; n++ {
					fsys := s.open(t)
					if old != "" {
						write(t, fsys, "file", old)
					}
					last := writeFileFailingAt(t, fsys, n, old)
					if last {
						break
					}
					ok(t, vfs.RemoveAll(fsys, "file")) // for systems that are one and the same
				}
			})
		}
	}
}

// writeFileFailingAt reports whether fewer than n operations were needed.
func writeFileFailingAt(t *testing.T, fsys vfs.FS, n int, old string) bool {
	count, failed := 0, ""
	hook := vfs.Hook(fsys, func(op vfs.Op) error {
		count++
		if count-1 == n {
			failed = op.Kind
			return syscall.EIO
		}
		return nil
	})
	err := vfs.WriteFile(hook, "file", []byte("new"))
	var content string
	if slices.Contains(names(t, fsys, "."), "file") {
		content = read(t, fsys, "file")
	}
	switch failed {
	case "":
		ok(t, err)
		same(t, "content", content, "new")
	case "syncdir":
		is(t, err, syscall.EIO)
		same(t, "content after a failed syncdir", content, "new")
	default:
		is(t, err, syscall.EIO)
		same(t, "content after a failed "+failed, content, old)
	}
	if slices.Contains(names(t, fsys, "."), "file"+vfs.TempSuffix) {
		t.Errorf("a failed %q leaves the temporary file", failed)
	}
	return failed == ""
}

func TestWriteFileSyncsBeforeItRenames(t *testing.T) {
	fsys := vfs.NewMem()
	ok(t, fsys.Mkdir("d"))
	write(t, fsys, "d/file.tmp", "left by a crash, and longer than the new content")
	var r recorder
	ok(t, vfs.WriteFile(vfs.Hook(fsys, r.before), "d/file", []byte("new")))
	same(t, "operations", r.ops, []string{
		"remove d/file.tmp", "create d/file.tmp", "write d/file.tmp", "sync d/file.tmp", "rename d/file.tmp", "syncdir d",
	})
	same(t, "content", read(t, fsys, "d/file"), "new")
}

func TestReadFile(t *testing.T) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			fsys := s.open(t)
			write(t, fsys, "empty", "")
			same(t, "content", read(t, fsys, "empty"), "")
			write(t, fsys, "ten", "0123456789")
			b, err := vfs.ReadFile(fsys, "ten", 10)
			ok(t, err)
			same(t, "content", string(b), "0123456789")
			_, err = vfs.ReadFile(fsys, "ten", 9)
			fails(t, err)
			_, err = vfs.ReadFile(fsys, "none", 9)
			is(t, err, fs.ErrNotExist)
			_, err = vfs.ReadFile(vfs.Hook(fsys, failing("read", syscall.EIO)), "ten", 10)
			is(t, err, syscall.EIO)
		})
	}
}

func TestReadFileThatShrinksMeanwhile(t *testing.T) {
	fsys := vfs.NewMem()
	write(t, fsys, "file", "0123456789")
	w, err := fsys.OpenWrite("file")
	ok(t, err)
	_, err = vfs.ReadFile(vfs.Hook(fsys, func(op vfs.Op) error {
		if op.Kind == "read" {
			return w.Truncate(3)
		}
		return nil
	}), "file", 10)
	is(t, err, io.ErrUnexpectedEOF)
}

func TestRemoveAll(t *testing.T) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			fsys := s.open(t)
			ok(t, vfs.MkdirAll(fsys, "a/b/c"))
			write(t, fsys, "a/file", "")
			write(t, fsys, "a/b/c/file", "")
			write(t, fsys, "ab", "stays")
			ok(t, vfs.RemoveAll(fsys, "a"))
			ok(t, vfs.RemoveAll(fsys, "a"))
			same(t, "entries", names(t, fsys, "."), []string{"ab"})
			is(t, vfs.RemoveAll(vfs.Hook(fsys, failing("remove", syscall.EIO)), "ab"), syscall.EIO)
		})
	}
}

func TestHookNamesEverythingFromItsRoot(t *testing.T) {
	fsys := vfs.NewMem()
	ok(t, vfs.MkdirAll(fsys, "d/e"))
	write(t, fsys, "from", "")
	var ops []vfs.Op
	hook := vfs.Hook(fsys, func(op vfs.Op) error { ops = append(ops, op); return nil })
	d, err := hook.Sub("d")
	ok(t, err)
	e, err := d.Sub("e")
	ok(t, err)

	f := create(t, e, "f")
	_, err = f.WriteAt([]byte("abc"), 5)
	ok(t, err)
	_, err = f.ReadAt(make([]byte, 2), 6)
	ok(t, err)
	ok(t, errors.Join(f.Truncate(4), f.SyncData(), f.Sync(), f.Close()))
	finders(d, "no")
	makers(d, "new")
	same(t, "operations", ops, []vfs.Op{
		{Kind: "create", Name: "d/e/f"}, {Kind: "write", Name: "d/e/f", Off: 5, Len: 3},
		{Kind: "read", Name: "d/e/f", Off: 6, Len: 2}, {Kind: "truncate", Name: "d/e/f", Off: 4},
		{Kind: "syncdata", Name: "d/e/f"}, {Kind: "sync", Name: "d/e/f"},

		{Kind: "remove", Name: "d/no"}, {Kind: "rename", Name: "d/no"}, {Kind: "link", Name: "d/no"}, {Kind: "syncdir", Name: "d/no"}, {Kind: "open", Name: "d/no"},
		{Kind: "openwrite", Name: "d/no"}, {Kind: "list", Name: "d/no"}, {Kind: "stat", Name: "d/no"},

		{Kind: "mkdir", Name: "d/new"}, {Kind: "rename", Name: "d/from"}, {Kind: "link", Name: "d/from"}, {Kind: "create", Name: "d/new"}, {Kind: "lock", Name: "d/new"},
	})
}

func TestHookRefuses(t *testing.T) {
	fsys := vfs.NewMem()
	write(t, fsys, "file", "content")
	ok(t, fsys.Mkdir("dir"))
	hook := vfs.Hook(fsys, func(vfs.Op) error { return syscall.EIO })
	errs := finders(hook, "file")
	errs["Mkdir"] = hook.Mkdir("new")
	_, errs["Create"] = hook.Create("new")
	_, errs["Lock"] = hook.Lock("new")
	delete(errs, "Sub")
	for call, err := range errs {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s = %v, want EIO", call, err)
		}
	}
	same(t, "entries", names(t, fsys, "."), []string{"dir", "file"})
	same(t, "content", read(t, fsys, "file"), "content")
}

// plain is an FS without abilities.
type plain struct{ vfs.FS }

func TestLinkNeedsTheAbility(t *testing.T) {
	for name, fsys := range map[string]vfs.FS{"plain": plain{vfs.NewMem()}, "hook": vfs.Hook(plain{vfs.NewMem()}, nothing)} {
		t.Run(name, func(t *testing.T) {
			write(t, fsys, "a", "")
			err := vfs.Link(fsys, "a", "b")
			is(t, err, errors.ErrUnsupported)
			var link *os.LinkError
			if !errors.As(err, &link) || link.Old != "a" || link.New != "b" {
				t.Errorf("Link = %#v, want a LinkError from a to b", err)
			}
			same(t, "entries", names(t, fsys, "."), []string{"a"})
		})
	}
}
