package dirbucket_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
	"github.com/trimarandb/trimaran/vfs"
)

var seed = flag.Uint64("seed", 0, "replay the random run with this seed")

func onDisk(t testing.TB) snaptest.Open {
	dir := t.TempDir()
	return func() (snapshot.Bucket, error) { return dirbucket.Open(dir, nil) }
}

func inMemory(testing.TB) snaptest.Open {
	o := &dirbucket.Options{FS: vfs.NewMem()}
	return func() (snapshot.Bucket, error) { return dirbucket.Open("a/b", o) }
}

func TestContractOnDisk(t *testing.T) { snaptest.Run(t, onDisk) }
func TestContract(t *testing.T)       { snaptest.Run(t, inMemory) }
func TestRandomOnDisk(t *testing.T)   { snaptest.RunRandom(t, onDisk, *seed, 1, 100) }
func TestRandom(t *testing.T)         { snaptest.RunRandom(t, inMemory, *seed, 5, 300) }

func open(t *testing.T, fsys vfs.FS) *dirbucket.Bucket {
	t.Helper()
	b, err := dirbucket.Open("dir", &dirbucket.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func put(ctx context.Context, b *dirbucket.Bucket, name, content string) error {
	p, err := b.Create(ctx, name)
	if err != nil {
		return err
	}
	half := len(content) / 2
	for _, part := range []string{content[:half], content[half:]} {
		if _, err := p.Write([]byte(part)); err != nil {
			return errors.Join(err, p.Abort())
		}
	}
	if err := p.Commit(ctx); err != nil {
		return errors.Join(err, p.Abort())
	}
	return nil
}

// contents reads all objects.
func contents(ctx context.Context, b *dirbucket.Bucket) (map[string]string, error) {
	all := map[string]string{}
	for o, err := range b.List(ctx) {
		if err != nil {
			return nil, err
		}
		r, err := b.Open(ctx, o.Name, 0)
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		all[o.Name] = string(content)
	}
	return all, nil
}

// files are the names in a directory, with a slash behind directories.
func files(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	infos, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if info.Dir {
			info.Name += "/"
		}
		names = append(names, info.Name)
	}
	return names
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	b, err := dirbucket.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := dirbucket.Open(dir, nil); second != nil || !errors.Is(err, fault.ErrLocked) {
		t.Errorf("second Open = %v, %v, want ErrLocked", second, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = dirbucket.Open(dir, nil); err != nil {
		t.Fatalf("Open after Close = %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSweepsItsOwnOnly(t *testing.T) {
	mem := vfs.NewMem()
	b := open(t, mem)
	if err := put(t.Context(), b, "object", "content"); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".pending-1", ".pending-77", ".hidden", "with space"} {
		if err := vfs.WriteFile(mem, "dir/"+name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"subdirectory", ".pending-directory"} {
		if err := mem.Mkdir("dir/" + name); err != nil {
			t.Fatal(err)
		}
	}
	b = open(t, mem)
	want := []string{".hidden", ".lock", ".pending-directory/", "object", "subdirectory/", "with space"}
	if got := files(t, mem, "dir"); !slices.Equal(got, want) {
		t.Errorf("after Open the directory holds %q, want %q", got, want)
	}
	all, err := contents(t.Context(), b)
	if err != nil || len(all) != 1 || all["object"] != "content" {
		t.Errorf("objects = %q, %v, want one", all, err)
	}
	// A directory is no object, even if it is empty and its name could be one.
	if err := b.Remove(t.Context(), "subdirectory"); err != nil {
		t.Errorf("Remove of a directory = %v, want nothing done", err)
	}
	if _, err := b.Stat(t.Context(), "subdirectory"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Stat of a directory = %v, want ErrNotFound", err)
	}
	if got := files(t, mem, "dir"); !slices.Equal(got, want) {
		t.Errorf("after Remove the directory holds %q, want %q", got, want)
	}
}

func TestNamesStayInside(t *testing.T) {
	b := open(t, vfs.NewMem())
	for _, name := range []string{"", ".", "..", "../outside", "/etc/passwd", "a/b", ".lock", ".staging", ".pending-1", "a\x00b", "ä", strings.Repeat("n", 129)} {
		p, create := b.Create(t.Context(), name)
		r, read := b.Open(t.Context(), name, 0)
		_, stat := b.Stat(t.Context(), name)
		for call, err := range map[string]error{"Create": create, "Open": read, "Stat": stat, "Remove": b.Remove(t.Context(), name)} {
			if !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("%s(%.20q) = %v, want ErrInvalid", call, name, err)
			}
		}
		if p != nil || r != nil {
			t.Errorf("%.20q was created or opened", name)
		}
	}
}

func TestStat(t *testing.T) {
	b := open(t, vfs.NewMem())
	if err := put(t.Context(), b, "object", "content"); err != nil {
		t.Fatal(err)
	}
	if o, err := b.Stat(t.Context(), "object"); err != nil || o != (snapshot.Object{Name: "object", Size: 7}) {
		t.Errorf("Stat = %v, %v, want 7 bytes", o, err)
	}
	if _, err := b.Stat(t.Context(), "nothing"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Stat = %v, want ErrNotFound", err)
	}
}

// A file that somebody else cuts does not pass for a shorter object.
func TestCutFile(t *testing.T) {
	mem := vfs.NewMem()
	b := open(t, mem)
	if err := put(t.Context(), b, "object", "0123456789"); err != nil {
		t.Fatal(err)
	}
	r, err := b.Open(t.Context(), "object", 2)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenWrite("dir/object")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(6), f.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if string(got) != "2345" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadAll = %q, %v, want 2345 and ErrUnexpectedEOF", got, err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
}

func TestReadAfterClose(t *testing.T) {
	b := open(t, vfs.NewMem())
	if err := put(t.Context(), b, "object", "content"); err != nil {
		t.Fatal(err)
	}
	r, err := b.Open(t.Context(), "object", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Read after Close = %d, %v, want ErrClosed", n, err)
	}
}

// The bucket's files are for its owner only.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	b, err := dirbucket.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := put(t.Context(), b, "object", "content"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{".": 0o700 | fs.ModeDir, "object": 0o600, ".lock": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode() != want {
			t.Errorf("mode of %s = %v, %v, want %v", name, st.Mode(), err, want)
		}
	}
}
