package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// image is the content of every file of a log.
type image map[string][]byte

func take(t *testing.T, fsys vfs.FS) image {
	t.Helper()
	infos, err := fsys.List("log")
	if err != nil {
		t.Fatal(err)
	}
	im := image{}
	for _, info := range infos {
		b, err := vfs.ReadFile(fsys, path.Join("log", info.Name), 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		im[info.Name] = b
	}
	return im
}

// fs lays the image out on a new disk.
func (im image) fs(t *testing.T) vfs.FS {
	t.Helper()
	fsys := vfs.NewMem()
	if err := fsys.Mkdir("log"); err != nil {
		t.Fatal(err)
	}
	for name, b := range im {
		f, err := fsys.Create(path.Join("log", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
	}
	return fsys
}

// with returns the image with one file changed; nil removes it.
func (im image) with(name string, b []byte) image {
	changed := image{}
	maps.Copy(changed, im)
	changed[name] = b
	if b == nil {
		delete(changed, name)
	}
	return changed
}

const (
	group1      = 1
	lastSegment = "00000000000000000003.seg"
	seal        = 40 // bytes of the frame that ends a segment
)

// inline has maintenance done by whoever writes.
func inline(work func()) { work() }

func payload(i uint64) []byte { return fmt.Appendf(nil, "payload of entry %d", i) }

// fill writes entries 1 to n, a truncation, a compaction and a vote.
func fill(t *testing.T, s *seglog.Store, n uint64) {
	t.Helper()
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= n; i++ {
		b := raftlog.Batch{Entries: []raftlog.Entry{{Index: i, Term: 1, Data: payload(i)}}, Stable: []raftlog.StableKV{{Key: "vote", Value: payload(i)}}}
		if i == n/2 {
			b.CompactTo = 2
		}
		if err := l.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// threeSegments is a closed log of three segments, and how many entries.
func threeSegments(t *testing.T) (image, uint64) {
	t.Helper()
	fsys := vfs.NewMem()
	o := &seglog.Options{FS: fsys, SegmentSize: 1100, Background: inline, Rand: strings.NewReader("salt of 80123456789abcdef")}
	s, err := seglog.Open("log", o)
	if err != nil {
		t.Fatal(err)
	}
	const n = 14
	fill(t, s, n)
	if size, err := s.Size(raftlog.Group{}); err != nil || size.Segments != 3 {
		t.Fatalf("Size = %+v, %v, want 3 segments", size, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return take(t, fsys), n
}

// outcome opens a log and reads all of it: nil when it holds entries 3 to n and
// the last vote, else the typed refusal. Anything else fails the test.
func outcome(t *testing.T, im image, n uint64) error {
	t.Helper()
	s, err := seglog.Open("log", &seglog.Options{FS: im.fs(t)})
	if err != nil {
		return typed(t, err)
	}
	defer s.Close()
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		return typed(t, err)
	}
	if b, err := l.Bounds(); err != nil || b.Base.Index != 2 || b.Last != n {
		t.Fatalf("Bounds = %+v, %v, want base 2, last %d", b, err, n)
	}
	for i := uint64(3); i <= n; i++ {
		e, err := l.Entry(i)
		if err != nil {
			return typed(t, err)
		}
		if !bytes.Equal(e.Data, payload(i)) || e.Term != 1 {
			t.Fatalf("Entry(%d) = %q, term %d: wrong bytes", i, e.Data, e.Term)
		}
	}
	if v, err := l.Stable("vote"); err != nil || !bytes.Equal(v, payload(n)) {
		t.Fatalf("Stable(vote) = %q, %v, want that of entry %d", v, err, n)
	}
	return nil
}

// typed passes the errors that may tell of damage.
func typed(t *testing.T, err error) error {
	t.Helper()
	if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
		t.Fatalf("error is not typed: %v", err)
	}
	return err
}

func TestEveryFlippedBitOfAClosedLog(t *testing.T) {
	im, n := threeSegments(t)
	harmless, refused := 0, 0
	step := race.Either(1, 9)
	for name, b := range im {
		used := len(bytes.TrimRight(b, "\x00"))
		for bit := 0; bit < len(b)*8; bit += step {
			if bit > used*8 && bit%64 != 0 {
				continue // blocks that nobody has written to: a sample
			}
			c := bytes.Clone(b)
			c[bit/8] ^= 1 << (bit % 8)
			if err := outcome(t, im.with(name, c), n); err != nil {
				refused++
			} else {
				harmless++
			}
			if t.Failed() {
				t.Fatalf("after flipping bit %d of %s", bit, name)
			}
		}
	}
	t.Logf("%d flips refused, %d harmless, 0 wrong, 0 missing", refused, harmless)
	if refused < 12*len(payload(3))*8/step {
		t.Errorf("%d flips refused, fewer than the payloads have bits", refused)
	}
}

func TestEveryFileCutShort(t *testing.T) {
	im, n := threeSegments(t)
	for name, b := range im {
		for size := range b {
			if size > framesEnd(b)+2*seal && size < len(b)-2 {
				continue // unused blocks
			}
			err := outcome(t, im.with(name, b[:size]), n)
			// Seals may go: the index is made anew, and the successors are there.
			if err == nil && strings.HasSuffix(name, ".seg") && size < framesEnd(b) {
				t.Errorf("%s cut to %d of %d bytes: opened", name, size, len(b))
			}
		}
	}
}

// framesEnd is behind the last payload in a segment.
func framesEnd(b []byte) int {
	const last = "payload of entry "
	return max(0, bytes.LastIndex(b, []byte(last))+len(last))
}

func TestEveryFileLostGrownSwappedOrCopied(t *testing.T) {
	im, n := threeSegments(t)
	segments := 0
	for name, b := range im {
		if !strings.HasSuffix(name, ".seg") {
			continue
		}
		segments++
		if outcome(t, im.with(name, nil), n) == nil {
			t.Errorf("%s deleted: opened", name)
		}
		if err := outcome(t, im.with(name, append(bytes.Clone(b), b...)), n); err != nil {
			t.Errorf("%s grown: %v; what follows the frames is not looked at", name, err)
		}
		for other, c := range im {
			if strings.HasSuffix(other, ".seg") && other != name && outcome(t, im.with(name, c).with(other, b), n) == nil {
				t.Errorf("%s and %s swapped: opened", name, other)
			}
		}
		if outcome(t, im.with("00000000000000000004.seg", b), n) == nil {
			t.Errorf("%s copied to segment 4: opened", name)
		}
		if outcome(t, im.with("00000000000000000009.seg", b), n) == nil {
			t.Errorf("%s copied to segment 9: opened", name)
		}
	}
	if segments != 3 {
		t.Fatalf("%d segments, want 3", segments)
	}
	if outcome(t, im.with("IDENTITY", nil), n) == nil {
		t.Error("IDENTITY deleted: opened")
	}
	if err := outcome(t, im.with("CLEAN", nil), n); err != nil {
		t.Errorf("CLEAN deleted: %v; without it the log is read as after a crash", err)
	}
}

// A log whose last segment is lost together with the mark is still known to be
// incomplete: the segment before says that there was one.
func TestLostLastSegmentAfterACrash(t *testing.T) {
	im, n := threeSegments(t)
	err := outcome(t, im.with("CLEAN", nil).with(lastSegment, nil), n)
	var c *fault.Corruption
	if !errors.As(err, &c) || c.Class != fault.Missing || !strings.HasSuffix(c.Path, "3.seg") {
		t.Errorf("Open = %v, want segment 3 missing", err)
	}
}

// After a crash the last write may be torn at any byte, or garbage may follow
// it. Both are cut off; what was acknowledged before it is there, and opening
// twice gives the same.
func TestTornTail(t *testing.T) {
	im, n := threeSegments(t)
	im = im.with("CLEAN", nil)
	const name = lastSegment
	whole := im[name]
	last := lastFrame(t, whole)
	end := (framesEnd(whole) + len("14") + 7) / 8 * 8
	for cut := last; cut < end+16; cut++ {
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", strings.Repeat("garbage", 30)} {
			torn := append(bytes.Clone(whole[:cut]), tail...)
			want := n - 1
			if bytes.HasPrefix(torn, whole[:end]) {
				want = n // only zeros were cut, and put back
			}
			fsys := im.with(name, torn).fs(t)
			for range 2 {
				if got := lastIndex(t, fsys); got != want {
					t.Fatalf("cut at %d with %d bytes after: last = %d, want %d", cut, len(tail), got, want)
				}
			}
		}
	}
	if got := lastIndex(t, im.with(name, append(bytes.Clone(whole), "garbage"...)).fs(t)); got != n {
		t.Errorf("garbage after the last frame: last = %d, want %d", got, n)
	}
}

// lastFrame is the offset of the last frame in a segment of equal frames.
func lastFrame(t *testing.T, b []byte) int {
	t.Helper()
	i := bytes.LastIndex(b, []byte("payload of entry 14")) // in the vote, behind the entry's own
	j := bytes.LastIndex(b[:i], []byte("payload of entry 13"))
	next := (j + len("payload of entry 13") + 7) / 8 * 8
	if j < 0 || next >= len(b) {
		t.Fatal("no last frame found")
	}
	return next
}

func lastIndex(t *testing.T, fsys vfs.FS) uint64 {
	t.Helper()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	last, err := l.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(3); i <= last; i++ {
		if e, err := l.Entry(i); err != nil || !bytes.Equal(e.Data, payload(i)) {
			t.Fatalf("Entry(%d) = %q, %v", i, e.Data, err)
		}
	}
	return last
}

// Damage in the middle of the last segment is not a torn tail: a later frame
// was written after the place had been synced.
func TestDamageBeforeTheTail(t *testing.T) {
	im, _ := threeSegments(t)
	im = im.with("CLEAN", nil)
	const name = lastSegment
	last := lastFrame(t, im[name])
	for off := range last {
		b := bytes.Clone(im[name])
		b[off] ^= 0x10
		_, err := seglog.Open("log", &seglog.Options{FS: im.with(name, b).fs(t)})
		if err == nil || typed(t, err) == nil {
			t.Fatalf("byte %d of %d changed: opened", off, len(b))
		}
	}
}

// Verify names the entry that is damaged also in a log that was closed in order
// and opened again, whose index knows where entries begin.
func TestDamageAfterAClose(t *testing.T) {
	fsys := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const name = "log/00000000000000000001.seg"
	b, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, payload(7))] ^= 1
	if err := vfs.WriteFile(fsys, name, b); err != nil {
		t.Fatal(err)
	}
	if s, err = seglog.Open("log", &seglog.Options{FS: fsys}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Verify(t.Context(), nil)
	if err != nil || len(r.Damage) != 1 || r.Damage[0].Index != 7 {
		t.Errorf("Verify = %+v, %v, want damage at index 7", r, err)
	}
}

// Bits that flip while the log is open are found by the read of that entry and
// by Verify, both with the place and the index; the other entries still read.
func TestDamageWhileOpen(t *testing.T) {
	fsys := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: fsys, TailCache: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fill(t, s, 10)
	const name = "log/00000000000000000001.seg"
	b, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	off := int64(bytes.Index(b, payload(7)))
	f, err := fsys.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'X'}, off); err != nil {
		t.Fatal(err)
	}
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	var c *fault.Corruption
	if _, err := l.Entry(7); !errors.As(err, &c) || c.Index != 7 || c.Offset > off || c.Offset < off-40 || c.Path == "" {
		t.Errorf("Entry(7) = %v, want corruption with its place", err)
	}
	entries, err := l.ReadRange(nil, 3, 11, 1<<20)
	if len(entries) != 4 || !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("ReadRange = %d entries, %v, want the 4 before the damage", len(entries), err)
	}
	for _, i := range []uint64{6, 8} {
		if e, err := l.Entry(i); err != nil || !bytes.Equal(e.Data, payload(i)) {
			t.Errorf("Entry(%d) = %q, %v", i, e.Data, err)
		}
	}
	r, err := l.Verify(t.Context(), nil)
	if err != nil || len(r.Damage) != 1 || r.Damage[0].Index != 7 || r.Entries != 9 {
		t.Errorf("Verify = %+v, %v, want 9 entries and damage at index 7", r, err)
	}
}
