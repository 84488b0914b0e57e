package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
)

// asNobody runs fn without root's privileges over files. Only the calling
// thread changes, and it is not used again: it ends with its goroutine.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		const nobody = 65534
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}

func TestPermission(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.Chmod(dir, 0o755))
	ok(t, os.Chmod(filepath.Dir(dir), 0o755))
	ok(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0))
	ok(t, os.Mkdir(filepath.Join(dir, "dir"), 0))
	ok(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { ok(t, os.Chmod(dir, 0o700)) })
	fsys, err := vfs.Disk(dir)
	ok(t, err)
	asNobody(t, func() {
		errs := map[string]error{
			"Mkdir": fsys.Mkdir("new"), "Rename": fsys.Rename("file", "new"), "Remove": fsys.Remove("file"),
			"SyncDir": fsys.SyncDir("dir"), "WriteFile": vfs.WriteFile(fsys, "new", nil),
		}
		_, errs["Create"] = fsys.Create("new")
		_, errs["Open"] = fsys.Open("file")
		_, errs["OpenWrite"] = fsys.OpenWrite("file")
		_, errs["Lock"] = fsys.Lock("file")
		_, errs["List"] = fsys.List("dir")
		_, errs["Sub"] = fsys.Sub("dir")
		_, errs["At below"] = vfs.At(nil, filepath.Join(dir, "dir", "x"))
		_, errs["At beside"] = vfs.At(nil, filepath.Join(dir, "x"))
		for call, err := range errs {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s = %v, want fs.ErrPermission", call, err)
			}
		}
	})
	ok(t, fsys.Close())
}

// A service may own its directory while the one above can only be passed.
func TestAtBelowADirectoryThatMayNotBeRead(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "own")
	ok(t, os.Mkdir(own, 0o755))
	ok(t, os.Chmod(filepath.Dir(dir), 0o755))
	ok(t, os.Chmod(dir, 0o711))
	if os.Geteuid() != 0 {
		ok(t, os.Chmod(dir, 0o100))
		t.Cleanup(func() { ok(t, os.Chmod(dir, 0o700)) })
	}
	asNobody(t, func() {
		fsys, err := vfs.At(nil, own)
		if err != nil {
			t.Error(err)
			return
		}
		if err := fsys.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The limit on file sizes stands in for a full disk: the pid cannot be written.
func TestLockOnAFullDisk(t *testing.T) {
	fsys := openDisk(t)
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	var old syscall.Rlimit
	ok(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	ok(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: old.Max}))
	l, err := fsys.Lock("LOCK")
	_, errTwice := fsys.Lock("LOCK")
	ok(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old))
	ok(t, err)
	is(t, errTwice, vfs.ErrLocked)
	same(t, "content", read(t, fsys, "LOCK"), "")
	ok(t, l.Close())
}
