package seglog_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// recorder keeps the operations that alter the disk, in order.
type recorder struct{ ops []vfs.Op }

func (r *recorder) before(op vfs.Op) error {
	r.ops = append(r.ops, op)
	return nil
}

// index is the position of the first operation of a kind on a name with that
// end, -1 without one.
func (r *recorder) index(kind, suffix string) int {
	for i, op := range r.ops {
		if op.Kind == kind && strings.HasSuffix(op.Name, suffix) {
			return i
		}
	}
	return -1
}

// A process may die between a rename and the sync of the directory. The next
// one sees a name that a power cut can still take back: it syncs the directory
// before it relies on any.
func TestNamesAreDurableBeforeTheyAreUsed(t *testing.T) {
	im, _ := threeSegments(t)
	var r recorder
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.Hook(im.with("CLEAN", nil).fs(t), r.before)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sync := r.index("syncdir", "log")
	for _, kind := range []string{"open", "read", "write", "truncate", "create", "rename"} {
		if i := r.index(kind, ""); sync < 0 || i >= 0 && i < sync {
			t.Errorf("%s is operation %d, the first sync of the directory %d", kind, i, sync)
		}
	}
}

// The mark of a clean close vouches for the length of the last segment, so that
// is made durable first, whether or not a write is outstanding.
func TestLengthIsDurableBeforeTheMark(t *testing.T) {
	var r recorder
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.Hook(vfs.NewMem(), r.before)})
	if err != nil {
		t.Fatal(err)
	}
	if err := appendOne(s, raftlog.Group{}, 1); err != nil {
		t.Fatal(err)
	}
	r.ops = nil
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if sync, mark := r.index("sync", ".seg.tmp"), r.index("create", "CLEAN.tmp"); sync < 0 || sync > mark {
		t.Errorf("the segment is synced by operation %d, the mark begun by %d", sync, mark)
	}
}

// smallDisk takes a part of a write and then no more, while full is set.
type smallDisk struct {
	vfs.FS
	full *atomic.Bool
}

func (d smallDisk) Sub(dir string) (vfs.FS, error) {
	sub, err := d.FS.Sub(dir)
	return smallDisk{sub, d.full}, err
}

func (d smallDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return smallFile{f, d.full}, err
}

func (d smallDisk) OpenWrite(name string) (vfs.File, error) {
	f, err := d.FS.OpenWrite(name)
	return smallFile{f, d.full}, err
}

type smallFile struct {
	vfs.File
	full *atomic.Bool
}

func (f smallFile) WriteAt(p []byte, off int64) (int, error) {
	if size, err := f.Size(); err != nil || !f.full.Load() || len(p) <= 4096 && off+int64(len(p)) <= size {
		return f.File.WriteAt(p, off)
	}
	n, err := f.File.WriteAt(p[:len(p)-1], off)
	return n, errors.Join(err, syscall.ENOSPC)
}

// A refused write is taken back durably, also if all of the frame but the
// zeros behind it arrived: a crash does not bring it back.
func TestRefusedWriteIsTakenBack(t *testing.T) {
	var full atomic.Bool
	var r recorder
	mem := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: smallDisk{vfs.Hook(mem, r.before), &full}})
	if err != nil {
		t.Fatal(err)
	}
	large := func(i uint64) raftlog.GroupBatch {
		return raftlog.GroupBatch{Batch: raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: make([]byte, 6000)}}}}
	}
	if err := s.Write(large(1)); err != nil { // the segment has blocks for the next one
		t.Fatal(err)
	}
	r.ops = nil
	full.Store(true)
	if err := s.Write(large(2)); !errors.Is(err, fault.ErrFull) {
		t.Errorf("append = %v, want ErrFull", err)
	}
	if sync := r.index("sync", ""); sync < 0 {
		t.Error("no sync after the write was taken back")
	}
	left := take(t, mem) // as a crash leaves it now
	if last := lastIndex0(t, left.fs(t)); last != 1 {
		t.Errorf("last = %d after a crash, want 1", last)
	}
	full.Store(false)
	if err := s.Write(large(2)); err != nil {
		t.Errorf("append with room again = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// lastIndex0 opens a log and returns the last index of group 0/0.
func lastIndex0(t *testing.T, fsys vfs.FS) uint64 {
	t.Helper()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := s.Bounds(raftlog.Group{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Last
}

// A write that was submitted while the caller of a failed one has not been told
// may rely on it, and is refused as well.
func TestNothingIsAcceptedBehindAFailure(t *testing.T) {
	var full atomic.Bool
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == "write" && full.Load() {
			return syscall.ENOSPC
		}
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := uint64(1); i <= 4; i++ {
		if err := appendOne(s, raftlog.Group{}, i); err != nil {
			t.Fatal(err)
		}
	}
	es := func(lo, hi uint64) (es []raftlog.Entry) {
		for i := lo; i < hi; i++ {
			es = append(es, raftlog.Entry{Index: i, Term: 2})
		}
		return es
	}
	full.Store(true)
	var second error
	told := make(chan error)
	repair := raftlog.GroupBatch{Batch: raftlog.Batch{TruncateFrom: 3, Entries: es(3, 5)}}
	err = s.Submit([]raftlog.GroupBatch{repair}, func(err error) {
		full.Store(false)
		second = s.Submit([]raftlog.GroupBatch{{Batch: raftlog.Batch{Entries: es(5, 6)}}}, func(error) {})
		told <- err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, fault.ErrFull) || !errors.Is(second, fault.ErrFull) {
		t.Errorf("the repair = %v, what relies on it = %v, want ErrFull for both", err, second)
	}
	writable(t, s)
}

// writable writes until the failure is over.
func writable(t *testing.T, s *seglog.Store) {
	t.Helper()
	for {
		err := appendOne(s, raftlog.Group{}, 5)
		if err == nil {
			return
		}
		if !errors.Is(err, fault.ErrFull) {
			t.Fatal(err)
		}
	}
}

// Without syncs of its own a log still frees its dead segments.
func TestNeverFreesSegments(t *testing.T) {
	fsys := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 1000, Sync: seglog.SyncNever})
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 500; i++ {
		b := raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: payload(i)}}, CompactTo: i - 1}
		if err := s.Write(raftlog.GroupBatch{Batch: b}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, fsys); len(got) > 3 {
		t.Errorf("%d segments for one live entry", len(got))
	}
}

// What Submit accepts, Open accepts.
func TestSubmitValidates(t *testing.T) {
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bad := raftlog.Batch{Entries: []raftlog.Entry{{Index: 1, Term: 1}, {Index: 7, Term: 1}}}
	if err := s.Submit([]raftlog.GroupBatch{{Batch: bad}}, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Submit of entries 1 and 7 = %v, want ErrInvalid", err)
	}
	identity := raftlog.Batch{Stable: []raftlog.StableKV{{Key: "trimaran/identity", Value: []byte("x")}}}
	if err := s.Write(raftlog.GroupBatch{Batch: identity}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Write of the identity's key = %v, want ErrInvalid", err)
	}
	if _, err := s.Log(raftlog.Group{}); err != nil {
		t.Error(err)
	}
}

// A file that was cut short under a running log costs the entries that are gone
// and no others, and the first of them is named.
func TestFileCutShortWhileOpen(t *testing.T) {
	fsys := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys, TailCache: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var es []raftlog.Entry
	for i := uint64(1); i <= 10; i++ {
		es = append(es, raftlog.Entry{Index: i, Term: 1, Data: payload(i)})
	}
	if err := s.Write(raftlog.GroupBatch{Batch: raftlog.Batch{Entries: es}}); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.OpenWrite("log/00000000000000000001.seg")
	if err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(fsys, "log/00000000000000000001.seg", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(framesEnd(b)) - 50); err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(nil, raftlog.Group{}, 1, 11, 1<<20)
	var c *fault.Corruption
	if !errors.As(err, &c) || len(got) == 0 || len(got) == 10 || c.Index != uint64(len(got))+1 || c.Path != "log/00000000000000000001.seg" {
		t.Errorf("Read = %d entries, %v, want the intact ones and the index of the next", len(got), err)
	}
}

// No file to begin a segment in is no reason to stop for good: nothing changed.
func TestNoFileForTheNextSegment(t *testing.T) {
	var none atomic.Bool
	s, err := seglog.Open("log", &seglog.Options{SegmentSize: 500, FS: vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == "create" && none.Load() {
			return syscall.EMFILE
		}
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	none.Store(true)
	last := uint64(0)
	for err == nil {
		if err = appendOne(s, raftlog.Group{}, last+1); err == nil {
			last++
		}
	}
	if !errors.Is(err, syscall.EMFILE) || errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("append without a file = %v, want EMFILE and no poison", err)
	}
	if err := s.Sync(); err != nil {
		t.Errorf("Sync, for which no segment is needed = %v", err)
	}
	none.Store(false)
	if err := appendOne(s, raftlog.Group{}, last+1); err != nil {
		t.Errorf("append with files again = %v", err)
	}
}

// A second Close reports what the first did, whichever comes first.
func TestCloseTwiceAtOnce(t *testing.T) {
	var failing atomic.Bool
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == "sync" && failing.Load() {
			return syscall.EIO
		}
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	results := make(chan error, 2)
	for range 2 {
		go func() { results <- s.Close() }()
	}
	for range 2 {
		if err := <-results; !errors.Is(err, syscall.EIO) {
			t.Errorf("Close = %v, want EIO", err)
		}
	}
}
