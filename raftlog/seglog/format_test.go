package seglog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
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
	s, err := Open("log", &Options{FS: fsys, SegmentSize: 120, Rand: strings.NewReader("golden identity!")})
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
			if err := os.WriteFile(golden, []byte(hex.Dump(b)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if hex.Dump(b) != string(want) {
			t.Errorf("%s differs from %s:\n%s", name, golden, hex.Dump(b))
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

var place = &segment{seq: 3, seed: 0x1234}

func FuzzOps(f *testing.F) {
	var ops []op
	for _, b := range goldenOps() {
		ops = append(ops, op{group: b.Group, batch: b.Batch})
	}
	ops = append(ops, op{group: raftlog.Group{Shard: 9}, remove: true})
	var b []byte
	for i := range ops {
		b = appendOp(b, &ops[i], place, 100)
	}
	f.Add(b)
	f.Add([]byte{tagGroup, 0, 0, tagReset, 0, 0, tagTruncate, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := parseOps(b, place, 100)
		if err != nil {
			return
		}
		var again []byte
		for i := range ops {
			again = appendOp(again, &ops[i], place, 100)
		}
		if !bytes.Equal(b, again) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}

// FuzzEntry gives every body a checksum that holds, so that the decoder behind
// it is reached.
func FuzzEntry(f *testing.F) {
	for _, e := range goldenOps()[0].Batch.Entries {
		b, l := appendEntry(nil, &e, place, 0)
		f.Add(b[l.off+4:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := binary.LittleEndian.AppendUint32(nil, frame.Sum(place.seed, body))
		b = append(b, body...)
		e, err := parseEntry(b, place.seed)
		if err != nil {
			return
		}
		again := append(append(entryHead(nil, &e), e.Ext...), e.Data...)
		if !bytes.Equal(again, body) {
			t.Errorf("%x decodes to %+v and encodes to %x", body, e, again)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	g, o := newGroup(), op{batch: goldenOps()[0].Batch}
	appendOp(nil, &o, place, 0)
	g.apply(&o)
	f.Add(appendCheckpoint(nil, map[raftlog.Group]*group{{Shard: 1, Replica: 300}: g}))
	f.Add([]byte{1, 1, 0, 0, 5, 1, 1, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		groups, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		if again := appendCheckpoint(nil, groups); !bytes.Equal(b, again) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(header{seq: 7, headEnd: 1000, prevEnd: 500, firstSeq: 9, prevSum: 1}.append(nil))
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
	s, err := Open("log", &Options{FS: fsys, Rand: strings.NewReader("golden identity!")})
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
