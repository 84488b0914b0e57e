package seglog_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/raftlog/seglog"
)

// A directory that belongs to somebody else is refused with its name. Root may
// do everything, so the test gives up its rights on one thread, which ends
// with it.
func TestSomebodyElsesDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	used := filepath.Join(dir, "used")
	s, err := seglog.Open(used, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Error(err)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread goes with the goroutine
		if os.Geteuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				t.Error(err)
				return
			}
		} else if err := os.Chmod(used, 0); err != nil {
			t.Error(err)
			return
		}
		for _, d := range []string{used, filepath.Join(dir, "new")} {
			if _, err := seglog.Open(d, nil); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), d) {
				t.Errorf("Open(%s) = %v, want fs.ErrPermission and the name", d, err)
			}
		}
	}()
	<-done
	if err := os.Chmod(used, 0o700); err != nil {
		t.Fatal(err)
	}
}
