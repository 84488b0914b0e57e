package seglog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

var update = flag.Bool("update", false, "write the golden files anew; review the difference")

// goldenOps use every record of format v1.
func goldenOps() []raftlog.GroupBatch {
	return []raftlog.GroupBatch{
		{Group: raftlog.Group{Shard: 1, Replica: 300}, Batch: raftlog.Batch{
			Reset: &raftlog.Position{Index: 10, Term: 2},
			Entries: []raftlog.Entry{
				{Index: 11, Term: 2, Kind: raftlog.NoOp},
				{Index: 12, Term: 2, Data: []byte("data"), Ext: []byte("ext"), Time: time.Unix(1_700_000_000, 5).UTC()},
				{Index: 13, Term: 3, Kind: raftlog.Configuration, Data: []byte{}, Ext: []byte{}},
			},
			Stable:    []raftlog.StableKV{{Key: "vote", Value: []byte{1}}, {Key: "old"}},
			CompactTo: 11,
		}},
		{Batch: raftlog.Batch{TruncateFrom: 7, Stable: []raftlog.StableKV{{Key: "k", Value: []byte{}}}}},
	}
}

// writeGolden makes a log of two segments with every kind of frame.
func writeGolden(t *testing.T) vfs.FS {
	t.Helper()
	fsys := vfs.NewMem()
	s, err := Open("log", &Options{FS: fsys, SegmentSize: 300, Background: func(work func()) { work() }, Rand: strings.NewReader("the saltgolden identity!")})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return s.Write(goldenOps()...) },
		func() error { return s.Remove(raftlog.Group{}) },
		func() error { return s.Write(goldenOps()[1]) },
		s.Close,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return fsys
}

// The bytes of format v1 are frozen: what this program writes today is what it
// wrote then, and what it wrote then it reads.
func TestGolden(t *testing.T) {
	fsys := writeGolden(t)
	old := vfs.NewMem()
	if err := old.Mkdir("log"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{identityName, cleanName, segmentName(1), segmentName(2)} {
		b, err := vfs.ReadFile(fsys, "log/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "v1", name+".hex")
		if *update {
			if err := os.WriteFile(golden, []byte(dump(b)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if dump(b) != string(want) {
			t.Errorf("%s differs from %s:\n%s", name, golden, dump(b))
		}
		f, err := old.Create("log/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open("log", &Options{FS: old})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := goldenOps()[0].Batch.Entries
	got, err := s.Read(nil, goldenOps()[0].Group, 12, 14, 1<<20)
	if err != nil || len(got) != 2 || !got[0].Equal(want[1]) || !got[1].Equal(want[2]) {
		t.Errorf("Read = %+v, %v, want %+v", got, err, want[1:])
	}
}

// dump shows b without the zeros at its end, and how many bytes it has.
func dump(b []byte) string {
	return fmt.Sprintf("%s%08x\n", hex.Dump(bytes.TrimRight(b, "\x00")), len(b))
}

func TestSegmentNames(t *testing.T) {
	if seq, ok := parseSegmentName(segmentName(1 << 63)); !ok || seq != 1<<63 {
		t.Errorf("parseSegmentName(segmentName(1<<63)) = %d, %t", seq, ok)
	}
	for _, name := range []string{"", ".seg", "1.seg", "0000000000000000001a.seg", "+0000000000000000001.seg", "99999999999999999999.seg", "00000000000000000001.seg.tmp"} {
		if seq, ok := parseSegmentName(name); ok {
			t.Errorf("parseSegmentName(%q) = %d, want none", name, seq)
		}
	}
}

const placeSeed, placeOff = 0x1234, 144

func FuzzOps(f *testing.F) {
	ops := []op{{name: raftlog.Group{Shard: 9}, remove: true},
		{name: raftlog.Group{Shard: 2}, from: 7, batch: raftlog.Batch{Entries: goldenOps()[0].Batch.Entries}}}
	for _, b := range goldenOps() {
		ops = append(ops, op{name: b.Group, batch: b.Batch})
	}
	f.Add(encodeOps(ops))
	f.Add([]byte{tagGroup, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p parser
		ops, err := p.parse(b, placeSeed, placeOff, sumOf(b))
		if err != nil {
			return
		}
		if again := encodeOps(ops); !bytes.Equal(b, again) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}

func encodeOps(ops []op) []byte {
	var r records
	for i := range ops {
		r.add(&ops[i])
	}
	r.place(placeSeed, placeOff)
	return r.b
}

// sumOf is the checksum that a payload should have, if it can be parsed.
func sumOf(b []byte) uint32 {
	var p parser
	_, _ = p.parse(b, placeSeed, placeOff, 0)
	if p.err != nil {
		return 0
	}
	return p.sum(placeSeed, placeOff)
}

// FuzzEntry gives every body a checksum that holds, so that the decoder behind
// it is reached.
func FuzzEntry(f *testing.F) {
	for _, e := range goldenOps()[0].Batch.Entries {
		b := appendEntry(nil, &e)
		f.Add(b[entryHead:][:binary.LittleEndian.Uint32(b)&^extended], !plain(&e))
	}
	f.Fuzz(func(t *testing.T, body []byte, ext bool) {
		size := uint32(len(body))
		if ext {
			size |= extended
		}
		b := binary.LittleEndian.AppendUint32(nil, size)
		b = binary.LittleEndian.AppendUint32(b, frame.Sum(0, body))
		b = pad8(append(b, body...), 0)
		maskEntry(b, placeSeed, placeOff, 7, 3)
		e, err := parseEntry(b, placeSeed, placeOff, 7, 3, false)
		if err != nil {
			return
		}
		again := appendEntry(nil, &e)
		maskEntry(again, placeSeed, placeOff, 7, 3)
		if !bytes.Equal(again, b) {
			t.Errorf("%x decodes to %+v and encodes to %x", b, e, again)
		}
	})
}

func goldenState() ([]fileEnd, map[raftlog.Group]*group) {
	seg := &segment{seq: 4}
	g, o := newGroup(), op{batch: goldenOps()[0].Batch}
	var r records
	r.add(&o)
	if err := g.apply(&o, seg, placeOff, r.locs); err != nil {
		panic(err)
	}
	return []fileEnd{{seq: 4, salt: 9, end: 4000, next: 8, sum: 1}}, map[raftlog.Group]*group{{Shard: 1, Replica: 300}: g}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(appendCheckpoint(nil, nil, nil))
	ends, groups := goldenState()
	f.Add(appendCheckpoint(nil, ends, groups))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, rest, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		var ends []fileEnd
		for _, seq := range slices.Sorted(maps.Keys(st.segs)) {
			ends = append(ends, st.segs[seq].ended)
		}
		if again := append(appendCheckpoint(nil, ends, st.groups), rest...); !bytes.Equal(b, again) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}

// FuzzIndex looks up what any index says it has.
func FuzzIndex(f *testing.F) {
	var locs []loc
	for i := range uint32(200) {
		locs = append(locs, loc{20 + 5*i, 4})
	}
	f.Add(buildIndex([]indexRun{{first: 5, locs: locs}, {name: raftlog.Group{Shard: 1}, first: 1, locs: []loc{{9, 1}, {90_000, 3}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := index{b}
		if x.check() != nil {
			return
		}
		for i := range x.runs() {
			r := x.run(i)
			for j := range min(uint64(r.count), 1000) {
				r.loc(j)
			}
			x.find(r.name, r.first, 1)
		}
	})
}

// An index finds what it was built of. Sizes may include what follows, up to
// the next entry.
func TestIndexFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var runs []indexRun
	for g := range uint64(20) {
		off := uint32(20)
		r := indexRun{name: raftlog.Group{Shard: g / 2}, first: 1 + 1000*(g%2)}
		for range 1 + rng.IntN(300) {
			l := loc{off, 1 + rng.Uint32N(200)}
			r.locs = append(r.locs, l)
			if off += l.n + rng.Uint32N(30); rng.IntN(100) == 0 {
				off += rng.Uint32N(100_000)
			}
		}
		runs = append(runs, r)
	}
	x := index{buildIndex(slices.Clone(runs))}
	if err := x.check(); err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		p, ok := x.find(r.name, r.first, uint64(len(r.locs)))
		if !ok {
			t.Fatalf("find(%v, %d) = nothing", r.name, r.first)
		}
		for i, want := range r.locs {
			if got := p.loc(uint64(i)); got.off != want.off || got.n < want.n || got.n > want.n+narrowGap {
				t.Fatalf("place of entry %d of %v = %v, want %v", i, r.name, got, want)
			}
		}
		if _, ok := x.find(r.name, r.first, uint64(len(r.locs))+1); ok {
			t.Errorf("find(%v, %d) found more entries than there are", r.name, r.first)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(header{seq: 7, salt: 5, headEnd: 1000, prevEnd: 500, firstSeq: 9, prevSum: 1}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		if again := h.append(nil); !bytes.Equal(b[:firstFrame], again) {
			t.Errorf("%x decodes to %+v and encodes to %x", b, h, again)
		}
	})
}

// FuzzOpen opens a log whose last segment is anything: it opens or says what is
// damaged, and what it opens it opens again.
func FuzzOpen(f *testing.F) {
	for _, b := range segmentSeeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfs.NewMem()
		id := logID([]byte("golden identity!"))
		if err := fsys.Mkdir("log"); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{identityName: id.append(nil), segmentName(1): b} {
			if err := vfs.WriteFile(fsys, "log/"+name, content); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			s, err := Open("log", &Options{FS: fsys})
			if err != nil {
				if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
					t.Fatalf("Open = %v, want a typed error", err)
				}
				return
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func segmentSeeds(f *testing.F) [][]byte {
	fsys := vfs.NewMem()
	s, err := Open("log", &Options{FS: fsys, Rand: strings.NewReader("the saltgolden identity!")})
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(s.Write(goldenOps()...), s.Write(goldenOps()[1]), s.Close()); err != nil {
		f.Fatal(err)
	}
	b, err := vfs.ReadFile(fsys, "log/"+segmentName(1), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	return [][]byte{b, b[:len(b)-9], b[:firstFrame], nil}
}
