package snaptest_test

import (
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

func onTree(fsys vfs.FS) (snapshot.Bucket, error) {
	return dirbucket.Open("snapshots", &dirbucket.Options{FS: fsys})
}

// traced plays a script and keeps what it did to the disk.
type traced struct {
	crashtest.Script
	trace *[]string
}

func (s traced) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	err := s.Script.Run(vfs.Hook(fsys, func(op vfs.Op) error {
		*s.trace = append(*s.trace, fmt.Sprintf("%+v", op))
		return nil
	}), r)
	return errors.Join(err, s.list(fsys, "."))
}

// list adds names and bytes below dir.
func (s traced) list(fsys vfs.FS, dir string) error {
	infos, err := fsys.List(dir)
	for _, info := range infos {
		name := path.Join(dir, info.Name)
		if info.Dir {
			err = errors.Join(err, s.list(fsys, name))
			continue
		}
		b, rerr := vfs.ReadFile(fsys, name, 1<<20)
		err = errors.Join(err, rerr)
		*s.trace = append(*s.trace, fmt.Sprintf("%s %x", name, crc64.Checksum(b, crc64.MakeTable(crc64.ECMA))))
	}
	return err
}

// TestCrashRepeats plays each script twice with one seed: the operations and
// the bytes are the same, and other ones with another seed.
func TestCrashRepeats(t *testing.T) {
	for _, w := range snaptest.CrashWorkloads(onTree) {
		t.Run(w.Name, func(t *testing.T) {
			var traces [3][]string
			for i, seed := range []uint64{7, 7, 8} {
				traced := crashtest.Workload{Name: w.Name, New: func(seed uint64) crashtest.Script {
					return traced{w.New(seed), &traces[i]}
				}}
				if _, err := crashtest.Run(t.Context(), &crashtest.Options{Seed: seed, States: 1, Workers: 1}, traced); err != nil {
					t.Fatal(err)
				}
			}
			for i, op := range traces[0] {
				if i >= len(traces[1]) || op != traces[1][i] {
					t.Fatalf("operation %d of seed 7 is %q once and then %q", i, op, traces[1][min(i, len(traces[1])-1)])
				}
			}
			if len(traces[0]) < 20 || len(traces[0]) != len(traces[1]) || slices.Equal(traces[0], traces[2]) {
				t.Errorf("traces of %d, %d and, with another seed, %d operations", len(traces[0]), len(traces[1]), len(traces[2]))
			}
		})
	}
}

// liar is a tree that lies about one kind of call.
type liar struct {
	vfs.FS
	lie string
}

func (l liar) Sub(dir string) (vfs.FS, error) {
	sub, err := l.FS.Sub(dir)
	return liar{sub, l.lie}, err
}

func (l liar) SyncDir(dir string) error {
	if l.lie == "syncdir" {
		return nil
	}
	err := l.FS.SyncDir(dir)
	if l.lie == "syncdir error" {
		return nil
	}
	return err
}

func (l liar) Create(name string) (vfs.File, error) {
	f, err := l.FS.Create(name)
	return liarFile{f, l.lie}, err
}

func (l liar) List(dir string) ([]vfs.Info, error) {
	infos, err := l.FS.List(dir)
	if l.lie == "sweep" && err == nil {
		infos = slices.DeleteFunc(infos, func(i vfs.Info) bool { return strings.HasPrefix(i.Name, ".pending-") })
	}
	return infos, err
}

type liarFile struct {
	vfs.File
	lie string
}

func (f liarFile) SyncData() error {
	if f.lie == "syncdata" {
		return nil
	}
	err := f.File.SyncData()
	if f.lie == "syncdata error" {
		return nil
	}
	return err
}

func (f liarFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if f.lie == "write error" && !errors.Is(err, fs.ErrClosed) {
		return len(p), nil
	}
	return n, err
}

// TestCrashFinds runs the campaign on buckets that each have one fault. It
// fails, and its failure is replayed: the same image, the same words.
func TestCrashFinds(t *testing.T) {
	for _, lie := range []string{"syncdir", "syncdir error", "syncdata", "syncdata error", "write error", "sweep"} {
		t.Run(lie, func(t *testing.T) {
			workloads := snaptest.CrashWorkloads(func(fsys vfs.FS) (snapshot.Bucket, error) { return onTree(liar{fsys, lie}) })
			o := &crashtest.Options{Faults: 40, Only: "publish|remove"}
			_, err := crashtest.Run(t.Context(), o, workloads...)
			var found, again *crashtest.Failure
			if !errors.As(err, &found) {
				t.Fatalf("the campaign = %v, want a failure", err)
			}
			err = crashtest.Replay(t.Context(), o, found.ID(), workloads...)
			if !errors.As(err, &again) || again.Digest != found.Digest || again.Stage != found.Stage || again.Err.Error() != found.Err.Error() {
				t.Errorf("replayed = %v, want %v", err, found)
			}
		})
	}
}
