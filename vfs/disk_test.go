//go:build linux || darwin

package vfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/vfs"
)

func TestSymbolicLinksCannotLeaveTheRoot(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	ok(t, os.MkdirAll(filepath.Join(root, "inside"), 0o700))
	ok(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600))
	for name, target := range map[string]string{
		"up": "..", "file": "../secret", "abs": dir, "absfile": filepath.Join(dir, "secret"), "in": "inside", "nowhere": "../new",
	} {
		ok(t, os.Symlink(target, filepath.Join(root, name)))
	}
	fsys, err := vfs.Disk(root)
	ok(t, err)
	for _, name := range []string{"file", "absfile", "up/secret", "abs/secret"} {
		_, errOpen := fsys.Open(name)
		_, errWrite := fsys.OpenWrite(name)
		_, errLock := fsys.Lock(name)
		for _, err := range []error{errOpen, errWrite, errLock} {
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
		}
	}
	for _, name := range []string{"up", "abs"} {
		_, errSub := fsys.Sub(name)
		_, errList := fsys.List(name)
		_, errCreate := fsys.Create(name + "/new")
		for _, err := range []error{
			errSub, errList, errCreate, fsys.SyncDir(name), fsys.Mkdir(name + "/new"), fsys.Remove(name + "/secret"),
			fsys.Rename("in", name+"/new"), fsys.Rename(name+"/secret", "mine"), vfs.MkdirAll(fsys, name+"/new"),
		} {
			fails(t, err)
		}
	}
	_, err = fsys.Create("nowhere")
	is(t, err, fs.ErrExist)
	write(t, fsys, "in/file", "x") // a link that stays inside is an ordinary directory
	same(t, "content", read(t, fsys, "inside/file"), "x")

	ok(t, vfs.RemoveAll(fsys, "up")) // the link, not what it leads to
	entries, err := os.ReadDir(dir)
	ok(t, err)
	same(t, "entries outside", len(entries), 2)
	ok(t, fsys.Close())
}

// Not parallel to anything: the umask belongs to the process.
func TestModesDoNotDependOnTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		func() {
			old := syscall.Umask(mask)
			defer syscall.Umask(old)
			dir := t.TempDir()
			fsys, err := vfs.At(nil, filepath.Join(dir, "made"))
			ok(t, err)
			write(t, fsys, "file", "")
			ok(t, fsys.Mkdir("dir"))
			l, err := fsys.Lock("LOCK")
			ok(t, err)
			for name, want := range map[string]fs.FileMode{
				"": fs.ModeDir | 0o700, "file": 0o600, "dir": fs.ModeDir | 0o700, "LOCK": 0o600,
			} {
				st, err := os.Stat(filepath.Join(dir, "made", name))
				ok(t, err)
				same(t, fmt.Sprintf("mode of %q under umask %03o", name, mask), st.Mode(), want)
			}
			ok(t, errors.Join(l.Close(), fsys.Close()))
		}()
	}
}

// lockChild, when set in the environment, makes the test binary lock that
// directory, say so and wait for the end of its input.
const lockChild = "TRIMARAN_TEST_LOCK_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockChild); dir != "" {
		fsys, err := vfs.Disk(dir)
		if err == nil {
			_, err = fsys.Lock("LOCK")
		}
		fmt.Println("locked:", err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

func startLockChild(t *testing.T, dir string) (child *exec.Cmd, said string) {
	t.Helper()
	child = exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), lockChild+"="+dir)
	stdin, err := child.StdinPipe()
	ok(t, err)
	stdout, err := child.StdoutPipe()
	ok(t, err)
	ok(t, child.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = child.Wait() })
	said, err = bufio.NewReader(stdout).ReadString('\n')
	ok(t, err)
	return child, strings.TrimSpace(said)
}

func TestLockAcrossProcesses(t *testing.T) {
	dir := t.TempDir()
	fsys, err := vfs.Disk(dir)
	ok(t, err)
	child, said := startLockChild(t, dir)
	same(t, "the child", said, "locked: <nil>")

	_, err = fsys.Lock("LOCK")
	is(t, err, vfs.ErrLocked)
	want := "lock LOCK: already locked by process " + strconv.Itoa(child.Process.Pid)
	same(t, "message", err.Error(), want)

	ok(t, child.Process.Kill())
	_ = child.Wait()
	l, err := fsys.Lock("LOCK")
	ok(t, err)
	_, said = startLockChild(t, dir)
	same(t, "a second child", said, "locked: "+"lock LOCK: already locked by process "+strconv.Itoa(os.Getpid()))
	ok(t, errors.Join(l.Close(), fsys.Close()))
}

// Whoever looks at a lock must not keep a node from starting.
func TestLockBesideALook(t *testing.T) {
	dir := t.TempDir()
	fsys, err := vfs.Disk(dir)
	ok(t, err)
	f, err := os.Create(filepath.Join(dir, "LOCK"))
	ok(t, err)
	ok(t, syscall.Flock(int(f.Fd()), syscall.LOCK_SH)) // as in the middle of a look
	time.AfterFunc(5*time.Millisecond, func() { _ = f.Close() })
	l, err := fsys.Lock("LOCK")
	ok(t, err)
	_, held, err := vfs.LockHolder(fsys, "LOCK")
	ok(t, err)
	same(t, "held", held, true)
	ok(t, errors.Join(l.Close(), fsys.Close()))
}

func TestLockSaysNothingItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	fsys, err := vfs.Disk(dir)
	ok(t, err)
	l, err := fsys.Lock("LOCK")
	ok(t, err)
	for _, content := range []string{"", strings.Repeat("9", 100)} {
		ok(t, os.WriteFile(filepath.Join(dir, "LOCK"), []byte(content), 0o600))
		_, err = fsys.Lock("LOCK")
		is(t, err, vfs.ErrLocked)
		same(t, "message", err.Error(), "lock LOCK: already locked")
	}
	ok(t, l.Close())
	l, err = fsys.Lock("LOCK") // over a longer old content
	ok(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "LOCK"))
	ok(t, err)
	same(t, "content", string(b), strconv.Itoa(os.Getpid())+"\n")
	ok(t, errors.Join(l.Close(), fsys.Close()))
}
