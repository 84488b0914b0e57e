package seglog_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// bytesOf is what the files of a log occupy.
func bytesOf(t *testing.T, fsys vfs.FS) (n int64) {
	t.Helper()
	for _, b := range take(t, fsys) {
		n += int64(len(b))
	}
	return n
}

// Many small segments go at once, however long the pauses between large ones.
func TestSmallSegmentsGoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := vfs.NewMem()
		s, err := seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		const n = 300
		data := bytes.Repeat([]byte("x"), 300)
		for i := uint64(1); i <= n; i++ {
			if err := s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: data}}}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(names(t, fsys)); got < n/10 {
			t.Fatalf("%d segments, want many", got)
		}
		if err := s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{CompactTo: n}}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		synctest.Wait()
		if got := names(t, fsys); len(got) != 1 {
			t.Errorf("%d segments after a second, want the active one", len(got))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

var idleGroups = flag.Int("idle.groups", 2000, "groups beside the idle one in TestIdleGroupDoesNotPinTheDisk")

// One group that does nothing does not pin the disk: its entries are moved out
// of old segments, and what the log occupies stays within three times what
// lives. All entries are there afterwards, also after a crash.
func TestIdleGroupDoesNotPinTheDisk(t *testing.T) {
	const rounds, keep = 12, 4
	groups := uint64(*idleGroups)
	fsys := vfs.NewMem()
	o := &seglog.Options{FS: fsys, SegmentSize: 512 << 10, Background: inline}
	s, err := seglog.Open("log", o)
	if err != nil {
		t.Fatal(err)
	}
	idle := raftlog.Group{Shard: 1 << 40}
	data := bytes.Repeat([]byte("x"), 200)
	put := func(g raftlog.Group, i uint64) raftlog.GroupBatch {
		b := raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: fmt.Appendf(nil, "%v %d %s", g, i, data)}}}
		if i > keep {
			b.CompactTo = i - keep
		}
		return raftlog.GroupBatch{Group: g, Batch: b}
	}
	if err := s.Write(put(idle, 1), put(raftlog.Group{}, 1)); err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= rounds; i++ {
		for g := uint64(1); g <= groups; g += 20 {
			var batches []raftlog.GroupBatch
			for h := g; h < g+20; h++ {
				batches = append(batches, put(raftlog.Group{Shard: h}, i))
			}
			if err := s.Write(batches...); err != nil {
				t.Fatal(err)
			}
		}
	}
	size, err := s.Size(idle)
	if err != nil {
		t.Fatal(err)
	}
	used, live := bytesOf(t, fsys), int64(size.LiveBytes)
	if used > 3*live {
		t.Errorf("the log occupies %d bytes for %d live ones: %+v", used, live, size)
	}
	t.Logf("%d groups: %d bytes for %d live ones, %.2f times", groups+1, used, live, float64(used)/float64(live))
	for round := range 2 { // as it is, and as a crash leaves it
		for _, g := range []raftlog.Group{idle, {Shard: 7}, {Shard: groups}} {
			b, err := s.Bounds(g)
			if err != nil {
				t.Fatal(err)
			}
			es, err := s.Read(nil, g, b.First(), b.Last+1, 1<<20)
			if err != nil || len(es) == 0 {
				t.Fatalf("round %d: Read(%v) = %d entries, %v", round, g, len(es), err)
			}
			for _, e := range es {
				if !strings.HasPrefix(string(e.Data), fmt.Sprintf("%v %d ", g, e.Index)) {
					t.Errorf("entry %d of %v = %q", e.Index, g, e.Data)
				}
			}
		}
		if round == 0 {
			if s, err = seglog.Open("log", &seglog.Options{FS: take(t, fsys).fs(t), SegmentSize: 512 << 10}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fullDisk refuses to make files longer, while full is set. What is written
// already can be written again.
type fullDisk struct {
	vfs.FS
	full *atomic.Bool
}

func (d fullDisk) Sub(dir string) (vfs.FS, error) {
	sub, err := d.FS.Sub(dir)
	return fullDisk{sub, d.full}, err
}

func (d fullDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return fullFile{f, d.full}, err
}

func (d fullDisk) OpenWrite(name string) (vfs.File, error) {
	f, err := d.FS.OpenWrite(name)
	return fullFile{f, d.full}, err
}

type fullFile struct {
	vfs.File
	full *atomic.Bool
}

func (f fullFile) WriteAt(p []byte, off int64) (int, error) {
	size, err := f.Size()
	if err == nil && f.full.Load() && off+int64(len(p)) > size {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, off)
}

// On a full disk entries are refused and votes are saved; when there is room
// again the same log goes on.
func TestVotesOnAFullDisk(t *testing.T) {
	var full atomic.Bool
	mem := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: fullDisk{mem, &full}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	put := func() error {
		err := l.Append(raftlog.Entry{Index: last + 1, Term: 1, Data: payload(last + 1)})
		if err == nil {
			last++
		}
		return err
	}
	for range 3 {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	full.Store(true)
	for err = put(); err == nil; err = put() {
	}
	if !errors.Is(err, fault.ErrFull) {
		t.Fatalf("append to a full disk = %v, want ErrFull", err)
	}
	for i := range uint64(300) {
		if err := l.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: payload(i)}}}); err != nil {
			t.Fatalf("vote %d on a full disk = %v", i, err)
		}
	}
	if err := l.CompactTo(2); err != nil {
		t.Errorf("compaction on a full disk = %v", err)
	}
	full.Store(false)
	if err := put(); err != nil {
		t.Errorf("append with room again = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	st := story{acked: state{base: 2, last: last, vote: string(payload(299))}}
	st.attempted = st.acked
	if err := st.check(mem); err != nil {
		t.Error(err)
	}
}

// A Sync that shares a commit with a write which finds the disk full does not
// fail for it.
func TestSyncBesideARefusedWrite(t *testing.T) {
	var full atomic.Bool
	block, entered := make(chan struct{}), make(chan struct{}, 10)
	var holding atomic.Bool
	s, err := seglog.Open("log", &seglog.Options{FS: fullDisk{vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == "syncdata" && holding.CompareAndSwap(true, false) {
			entered <- struct{}{}
			<-block
		}
		return nil
	}), &full}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := appendOne(s, raftlog.Group{}, 1); err != nil {
		t.Fatal(err)
	}
	holding.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := appendOne(s, raftlog.Group{}, 2); err != nil {
			t.Error(err)
		}
	})
	<-entered
	full.Store(true)
	big := raftlog.Batch{Entries: []raftlog.Entry{{Index: 1, Term: 1, Data: make([]byte, 1<<20)}}}
	refused := make(chan error, 1)
	if err := s.Submit([]raftlog.GroupBatch{{Group: raftlog.Group{Shard: 5}, Batch: big}}, func(err error) { refused <- err }); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := s.Sync(); err != nil {
			t.Errorf("Sync beside a refused write = %v", err)
		}
	})
	close(block)
	wg.Wait()
	if err := <-refused; !errors.Is(err, fault.ErrFull) {
		t.Errorf("write to a full disk = %v, want ErrFull", err)
	}
}

// Segments that are freed are written again, under another name, and what they
// held does not come back.
func TestRecycledSegments(t *testing.T) {
	fsys := vfs.NewMem()
	var r recorder
	o := &seglog.Options{FS: vfs.Hook(fsys, r.before), SegmentSize: 16 << 10, Background: inline}
	s, err := seglog.Open("log", o)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("y"), 1000)
	for i := uint64(1); i <= 200; i++ {
		b := raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: data}}}
		if i > 20 {
			b.CompactTo = i - 20
		}
		if err := s.Write(raftlog.GroupBatch{Batch: b}); err != nil {
			t.Fatal(err)
		}
	}
	created := 0
	for _, op := range r.ops {
		if op.Kind == "create" && strings.Contains(op.Name, ".seg") {
			created++
		}
	}
	if created > 5 {
		t.Errorf("%d files were made for a log of two segments", created)
	}
	crashed := take(t, fsys).fs(t)
	if got := lastIndex0(t, crashed); got != 200 {
		t.Errorf("last = %d after a crash, want 200", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A crash between renames can leave one file under the names of two spares. It
// becomes one segment, not two.
func TestOneFileUnderTwoSpareNames(t *testing.T) {
	fsys := vfs.NewMem()
	o := &seglog.Options{FS: fsys, SegmentSize: 4096, Background: inline}
	next := uint64(1)
	write := func(n int, compact bool) {
		t.Helper()
		s, err := seglog.Open("log", o)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			b := raftlog.Batch{Entries: []raftlog.Entry{{Index: next, Term: 1, Data: make([]byte, 1500)}}}
			if compact && next > 1 {
				b.CompactTo = next - 1
			}
			if err := s.Write(raftlog.GroupBatch{Batch: b}); err != nil {
				t.Fatal(err)
			}
			next++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(12, true)
	linked := ""
	for name := range take(t, fsys) {
		if strings.Contains(name, "spare-") {
			linked = name
		}
	}
	if linked == "" {
		t.Fatal("there is no spare")
	}
	for name := range take(t, fsys) {
		if strings.Contains(name, "spare-") && name != linked {
			if err := fsys.Remove("log/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := vfs.Link(fsys, "log/"+linked, "log/spare-000099.seg"); err != nil {
		t.Fatal(err)
	}
	write(12, false)
	write(1, false)
}
