package doctor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/doctor"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/vfs"
)

const termKey = "library/term"

// layers opens a node's parts on a tree, as config.Config does.
type layers struct {
	fs   vfs.FS
	seed byte
}

func (n layers) OpenLog(context.Context, string) (*raftlog.Log, io.Closer, error) {
	d, err := seglog.Open("log", &seglog.Options{FS: n.fs, SegmentSize: 4096, Background: func(work func()) { work() }})
	if err != nil {
		return nil, nil, err
	}
	l, err := d.Log(raftlog.Group{})
	return l, d, err
}

func (n layers) OpenSnapshots(context.Context, string) (*snapshot.Store, io.Closer, error) {
	b, err := dirbucket.Open("snapshots", &dirbucket.Options{FS: n.fs})
	if err != nil {
		return nil, nil, err
	}
	s, err := snapshot.New(b, &snapshot.Options{NoMembership: true})
	return s, nothing{}, err
}

func (n layers) OpenData(context.Context, string) (*kv.Store, error) {
	d, err := pebblekv.Open("data", &pebblekv.Options{FS: n.fs, CacheSize: 1 << 16, WriteBufferSize: 64 << 10})
	if err != nil {
		return nil, err
	}
	return kv.New(d, &kv.Options{Sync: kv.SyncNever})
}

func (n layers) Open(ctx context.Context, _ string) (_ *trimaran.Storage, err error) {
	var opened []io.Closer
	defer func() {
		for i := len(opened) - 1; err != nil && i >= 0; i-- {
			err = errors.Join(err, opened[i].Close())
		}
	}()
	l, driver, err := n.OpenLog(ctx, ".")
	if err != nil {
		return nil, err
	}
	opened = append(opened, driver, l)
	s, _, err := n.OpenSnapshots(ctx, ".")
	if err != nil {
		return nil, err
	}
	opened = append(opened, s)
	k, err := n.OpenData(ctx, ".")
	if err != nil {
		return nil, err
	}
	opened = nil
	return trimaran.New(l, s, k, &trimaran.Options{
		Owner: trimaran.OwnerLibrary, SkipsNonCommands: true, Closers: []io.Closer{driver}, Rand: rand.NewChaCha8([32]byte{n.seed}),
	})
}

type nothing struct{}

func (nothing) Close() error { return nil }

// disk is the tree of one node.
type disk struct {
	t    *testing.T
	fs   vfs.FS
	seed byte
}

func (d *disk) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) open() *trimaran.Storage {
	d.t.Helper()
	s, err := layers{d.fs, d.seed}.Open(d.t.Context(), ".")
	d.check(err)
	return s
}

func (d *disk) options() *doctor.Options {
	return &doctor.Options{
		FS: d.fs, Scratch: vfs.NewMem(), On: func(fsys vfs.FS) doctor.Node { return layers{fsys, d.seed} },
		Log: "log", Snapshots: "snapshots", Data: "data", Locks: []string{"log/LOCK", "snapshots/.lock", "data/LOCK"},
		TermKey: termKey, Now: func() time.Time { return time.Unix(0, 0) },
	}
}

// The node's history: entries 1 to last, of terms 1 and 2, of which applied are
// in the data; snapshots of 20 and 40, the log compacted to 20.
const (
	first, second = 20, 40
	applied, last = 60, 64
)

func entry(i uint64) raftlog.Entry {
	return raftlog.Entry{Index: i, Term: 1 + i/33, Data: fmt.Appendf(nil, "%04d %s", i, strings.Repeat("x", 100))}
}

func apply(ctx context.Context, s *trimaran.Storage, lo, hi uint64) error {
	for i := lo; i < hi; i++ {
		err := s.Apply(ctx, []raftlog.Entry{entry(i)}, func(tx *kv.WriteTx, e raftlog.Entry) error {
			return errors.Join(tx.Put(e.Data[:4], e.Data), tx.Put([]byte("last"), e.Data))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// newDisk makes a node and closes it in order.
func newDisk(t *testing.T, seed byte) *disk {
	t.Helper()
	d := &disk{t, vfs.NewMem(), seed}
	s := d.open()
	d.write(s, 1, last+1)
	for _, at := range []uint64{first, second, applied} {
		mark, err := s.KV().Mark(t.Context())
		d.check(err)
		d.check(apply(t.Context(), s, mark.Index+1, at+1))
		if at != applied {
			_, err := s.Snapshot(t.Context(), 0)
			d.check(err)
		}
	}
	d.check(s.Log().CompactTo(first))
	d.check(s.Sync(t.Context()))
	d.check(s.Close())
	return d
}

func (d *disk) write(s *trimaran.Storage, lo, hi uint64) {
	d.t.Helper()
	for i := lo; i < hi; i++ {
		e := entry(i)
		d.check(s.Log().Write(raftlog.Batch{Entries: []raftlog.Entry{e}, Stable: []raftlog.StableKV{{Key: termKey, Value: binary.BigEndian.AppendUint64(nil, e.Term)}}}))
	}
}

// files is all that is in the tree but locks.
func (d *disk) files(dir string) map[string]string {
	d.t.Helper()
	all := map[string]string{}
	infos, err := d.fs.List(dir)
	d.check(err)
	for _, info := range infos {
		name := path.Join(dir, info.Name)
		if info.Dir {
			maps.Copy(all, d.files(name))
		} else if !strings.EqualFold(strings.TrimPrefix(info.Name, "."), "lock") {
			b, err := vfs.ReadFile(d.fs, name, 1<<30)
			d.check(err)
			all[name] = string(b)
		}
	}
	return all
}

// copy puts a directory of another tree in the place of this one's.
func (d *disk) copy(from *disk, dir string) {
	d.t.Helper()
	d.remove(dir)
	d.check(vfs.MkdirAll(d.fs, dir))
	for name, content := range from.files(dir) {
		d.check(vfs.MkdirAll(d.fs, path.Dir(name)))
		d.check(vfs.WriteFile(d.fs, name, []byte(content)))
	}
}

// clone is the tree as it is now, for use as a backup.
func (d *disk) clone() *disk {
	d.t.Helper()
	c := &disk{d.t, vfs.NewMem(), d.seed}
	for _, dir := range []string{"log", "snapshots", "data"} {
		c.copy(d, dir)
	}
	return c
}

func (d *disk) remove(name string) {
	d.t.Helper()
	d.check(vfs.RemoveAll(d.fs, name))
}

// one is the only file whose name matches.
func (d *disk) one(pattern string) string {
	d.t.Helper()
	all := d.match(pattern)
	if len(all) != 1 {
		d.t.Fatalf("%d files match %s: %v", len(all), pattern, all)
	}
	return all[0]
}

// match lists files in order.
func (d *disk) match(pattern string) (all []string) {
	d.t.Helper()
	infos, err := d.fs.List(path.Dir(pattern))
	d.check(err)
	for _, info := range infos {
		if ok, err := path.Match(path.Base(pattern), info.Name); err == nil && ok && !info.Dir {
			all = append(all, path.Join(path.Dir(pattern), info.Name))
		}
	}
	return all
}

// flip changes bits at off, from the end if that is negative.
func (d *disk) flip(name string, off int64) {
	d.t.Helper()
	b, err := vfs.ReadFile(d.fs, name, 1<<30)
	d.check(err)
	if off < 0 {
		off += int64(len(b))
	}
	b[off] ^= 0x55
	d.check(vfs.WriteFile(d.fs, name, b))
}

// flipEntry changes bits in the payload of an entry, wherever it is.
func (d *disk) flipEntry(i uint64) {
	d.t.Helper()
	found := false
	for _, name := range d.match("log/*.seg") {
		b, err := vfs.ReadFile(d.fs, name, 1<<30)
		d.check(err)
		if at := strings.Index(string(b), string(entry(i).Data)); at >= 0 {
			d.flip(name, int64(at+20))
			found = true
		}
	}
	if !found {
		d.t.Fatalf("entry %d is in no segment", i)
	}
}
