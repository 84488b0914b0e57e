package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/logtest"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// changing are operations that an inspection never does.
var changing = []string{"create", "openwrite", "mkdir", "rename", "link", "remove", "syncdir", "lock", "write", "truncate", "sync", "syncdata"}

// watched fails t where anything on fsys is about to be changed.
func watched(t testing.TB, fsys vfs.FS) vfs.FS {
	return vfs.Hook(fsys, func(op vfs.Op) error {
		if slices.Contains(changing, op.Kind) {
			t.Errorf("an inspection does %s %s", op.Kind, op.Name)
			return fault.ErrReadOnly
		}
		return nil
	})
}

// contents is everything that a log says, as text.
type contents map[raftlog.Group]string

type reader interface {
	Bounds(raftlog.Group) (raftlog.Bounds, error)
	Stable(raftlog.Group, string) ([]byte, error)
	Read([]raftlog.Entry, raftlog.Group, uint64, uint64, uint64) ([]raftlog.Entry, error)
}

func readGroup(r reader, g raftlog.Group, keys []string) (string, error) {
	b, err := r.Bounds(g)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%+v", b)
	for next := b.First(); next <= b.Last; {
		es, err := r.Read(nil, g, next, b.Last+1, 1<<20)
		if err != nil {
			return "", err
		}
		for _, e := range es {
			fmt.Fprintf(&text, "\n{entry %d %d %v %v %x %t %x %t}", e.Index, e.Term, e.Kind, e.Time, e.Data, e.Data == nil, e.Ext, e.Ext == nil)
		}
		next += uint64(len(es))
	}
	for _, key := range keys {
		v, err := r.Stable(g, key)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "\n%s=%q", key, v)
	}
	return text.String(), nil
}

// inspected reads all that an inspection finds on a disk that must not change.
func inspected(t testing.TB, fsys vfs.FS) (contents, seglog.Info, error) {
	t.Helper()
	i, err := seglog.Inspect("log", &seglog.Options{FS: watched(t, fsys)})
	if err != nil {
		return nil, seglog.Info{}, err
	}
	c := contents{}
	for _, g := range i.Groups() {
		if c[g.Group], err = readGroup(i, g.Group, g.Keys); err != nil {
			break
		}
	}
	return c, i.Info(), errors.Join(err, i.Close())
}

// agree fails unless an inspection of fsys, done before, had found what s is,
// which was opened there after it.
func agree(found contents, info seglog.Info, s *seglog.Store) error {
	groups, err := s.Groups()
	if err != nil {
		return err
	}
	if len(groups) != len(found) {
		return fmt.Errorf("the inspection found %d groups, the log has %d", len(found), len(groups))
	}
	for _, g := range groups {
		var keys []string
		for line := range strings.Lines(found[g]) {
			if key, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "{") {
				keys = append(keys, key)
			}
		}
		want, err := readGroup(s, g, keys)
		if err != nil {
			return err
		}
		if found[g] != want {
			return fmt.Errorf("of group %v the inspection found\n%s\nthe log says\n%s", g, found[g], want)
		}
	}
	if info.Recovery != s.Recovered() {
		return fmt.Errorf("the inspection says of the end %+v, the log %+v", info.Recovery, s.Recovered())
	}
	return nil
}

// inspectThenOpen opens a log and fails t where an inspection before had found
// anything else.
func inspectThenOpen(t testing.TB, fsys vfs.FS, o seglog.Options) (*seglog.Store, error) {
	t.Helper()
	found, info, failed := inspected(t, fsys)
	o.FS = fsys
	s, err := seglog.Open("log", &o)
	switch {
	case errors.Is(err, fault.ErrCorrupt):
		a, _ := errors.AsType[*fault.Corruption](failed)
		b, _ := errors.AsType[*fault.Corruption](err)
		if a == nil || a.Path != b.Path || a.Offset != b.Offset || a.Class != b.Class {
			t.Errorf("Inspect = %v, Open = %v", failed, err)
		}
	case err != nil: // the disk
	case failed != nil && !errors.Is(failed, fs.ErrNotExist):
		t.Errorf("Inspect = %v, Open = nil", failed)
	default:
		if err := agree(found, info, s); err != nil {
			t.Error(err)
		}
	}
	return s, err
}

func TestInspectFindsWhatOpenFinds(t *testing.T) {
	im, n := threeSegments(t)
	crashed := im.with("CLEAN", nil)
	whole := im[lastSegment]
	torn := bytes.Clone(whole)
	torn[framesEnd(torn)-1] ^= 1
	damaged := bytes.Clone(whole)
	damaged[150] ^= 1
	for name, im := range map[string]image{
		"closed":             im,
		"killed":             crashed,
		"killed in a write":  crashed.with(lastSegment, torn),
		"nothing there":      {},
		"mark unreadable":    im.with("CLEAN", []byte("nonsense")),
		"damage in the last": crashed.with(lastSegment, damaged),
		"damage in a closed": im.with(lastSegment, damaged),
		"last one lost":      crashed.with(lastSegment, nil),
		"identity lost":      im.with("IDENTITY", nil),
		"seal cut":           crashed.with("00000000000000000002.seg", im["00000000000000000002.seg"][:framesEnd(im["00000000000000000002.seg"])+8]),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := inspectThenOpen(t, im.fs(t), seglog.Options{})
			if err == nil {
				err = s.Close()
			}
			if err != nil && !errors.Is(err, fault.ErrCorrupt) {
				t.Error(err)
			}
		})
	}
	found, info, err := inspected(t, im.fs(t))
	if err != nil || len(found) != 1 || len(info.Segments) != 3 || info.Live {
		t.Fatalf("Inspect = %d groups, %+v, %v, want 1 in 3 segments", len(found), info, err)
	}
	if text := found[raftlog.Group{Shard: group1}]; strings.Count(text, "\n{entry ") != int(n-2) || !strings.Contains(text, "vote=") {
		t.Errorf("the inspection found\n%s\nwant entries 3 to %d and a vote", text, n)
	}
}

// Bits that flip anywhere: what Open refuses an inspection refuses, for the same
// reason, and nothing else.
func TestInspectRefusesWhatOpenRefuses(t *testing.T) {
	closed, _ := threeSegments(t)
	refused := 0
	for _, im := range []image{closed, closed.with("CLEAN", nil)} {
		for name, b := range im {
			for off := 0; off < len(b) && off < 1500; off += 13 {
				c := bytes.Clone(b)
				c[off] ^= 4
				fsys := im.with(name, c).fs(t)
				i, failed := seglog.Inspect("log", &seglog.Options{FS: watched(t, fsys)})
				s, err := seglog.Open("log", &seglog.Options{FS: fsys})
				if a, b := place(failed), place(err); a != b || (failed == nil) != (err == nil) {
					t.Errorf("byte %d of %s changed: Inspect = %v, Open = %v", off, name, failed, err)
				}
				if err != nil {
					refused++
					continue
				}
				x, failed := i.Bounds(raftlog.Group{Shard: group1})
				y, err := s.Bounds(raftlog.Group{Shard: group1})
				if x != y || failed != nil || err != nil || i.Info().Recovery != s.Recovered() {
					t.Errorf("byte %d of %s changed: %+v, %v and then %+v, %v", off, name, x, failed, y, err)
				}
				if err := errors.Join(i.Close(), s.Close()); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// place is what damage is and where.
func place(err error) string {
	c, ok := errors.AsType[*fault.Corruption](err)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s %d %v", c.Path, c.Offset, c.Class)
}

// Whatever a crash leaves: an inspection finds what the next open finds.
func TestInspectAfterEachCrash(t *testing.T) {
	o := *crash
	o.Only, o.Stride = "mixed", max(o.Stride, 8) // a sample: TestCrash plays all of it
	open := onDisk(seglog.Options{SegmentSize: 4000})
	looks := atomic.Int64{}
	checked := func(fsys vfs.FS) (raftlog.Driver, error) {
		found, info, failed := inspected(t, fsys)
		d, err := open(fsys)
		if err != nil {
			return nil, err
		}
		looks.Add(1)
		switch {
		case failed != nil && !errors.Is(failed, fs.ErrNotExist):
			err = fmt.Errorf("inspect: %w", failed)
		default:
			err = agree(found, info, d.(*seglog.Store))
		}
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		return d, nil
	}
	crashtest.Test(t, &o, logtest.CrashWorkloads(checked, nil)...)
	t.Logf("%d logs inspected and opened", looks.Load())
}

func TestInspectMakesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"nowhere", "."} {
		at := path.Join(dir, name)
		if _, err := seglog.Inspect(at, nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Inspect(%s) = %v, want fs.ErrNotExist", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("an inspection left %v, %v", left, err)
	}
}

// What looks like damage is a write that was under way unless it is seen again,
// and while no name changes.
func TestInspectLooksTwice(t *testing.T) {
	closed, _ := threeSegments(t)
	im := closed.with("CLEAN", nil)
	damaged := bytes.Clone(im[lastSegment])
	damaged[150] ^= 1
	for name, tc := range map[string]struct {
		at    int               // the list that ends a look, at which
		files map[string][]byte // these change
	}{
		"the write is done":            {2, map[string][]byte{lastSegment: im[lastSegment]}},
		"the log closes in the second": {4, map[string][]byte{lastSegment: im[lastSegment], "CLEAN": closed["CLEAN"]}},
	} {
		fsys := im.with(lastSegment, damaged).fs(t)
		lists := 0
		seen := vfs.Hook(fsys, func(op vfs.Op) error {
			if op.Kind != "list" {
				return nil
			}
			if lists++; lists != tc.at {
				return nil
			}
			for file, b := range tc.files {
				if err := vfs.WriteFile(fsys, path.Join("log", file), b); err != nil {
					return err
				}
			}
			return nil
		})
		i, err := seglog.Inspect("log", &seglog.Options{FS: seen})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if lists != tc.at+2 {
			t.Errorf("%s: %d lists, want %d", name, lists, tc.at+2)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
}
