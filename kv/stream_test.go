package kv_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
)

const streamSeed = 0x54726b76

// sample is a small store with everything an export can hold.
func sample(t testing.TB) *kv.Store {
	t.Helper()
	s := openMemory(t, nil)
	err := s.Update(t.Context(), func(tx *kv.WriteTx) error {
		return errors.Join(
			tx.SetMark(kv.Mark{Index: 9, Term: 2, Membership: []byte("m"), MembershipIndex: 8, Clock: at(0)}),
			tx.CreateIndex(kv.Index{Name: "begun", JSONPath: "v"}),
			tx.CreateIndex(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}}),
			tx.Put([]byte("a"), []byte("1")), tx.Put([]byte("b"), nil),
			tx.PutTTL([]byte("c"), []byte("3"), time.Minute),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateIndex(t.Context(), kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnImportRefusesEveryCutAndEveryFlip(t *testing.T) {
	stream := export(t, sample(t))
	s := openMemory(t, nil)
	put(t, s, "live", "1")
	want := export(t, s)
	refuse := func(what string, b []byte) {
		t.Helper()
		if _, err := s.Import(t.Context(), bytes.NewReader(b), nil); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Import of a stream %s = %v, want corrupt", what, err)
		}
		if !bytes.Equal(export(t, s), want) {
			t.Fatalf("Import of a stream %s changed the store", what)
		}
	}
	for n := range len(stream) {
		refuse(fmt.Sprintf("cut at %d", n), stream[:n])
	}
	for bit := range len(stream) * 8 {
		b := bytes.Clone(stream)
		b[bit/8] ^= 1 << (bit % 8)
		refuse(fmt.Sprintf("with bit %d flipped", bit), b)
	}
	if _, err := s.Import(t.Context(), bytes.NewReader(stream), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(export(t, s), stream) {
		t.Error("export after import differs")
	}
}

type piece struct {
	kind    byte
	payload []byte
}

func pieces(t testing.TB, stream []byte) []piece {
	t.Helper()
	var list []piece
	r := frame.NewReader(bytes.NewReader(stream), streamSeed, 1<<30)
	for {
		kind, payload, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, piece{kind, bytes.Clone(payload)})
	}
}

func joined(list ...piece) []byte {
	var b []byte
	for _, p := range list {
		b = frame.Append(b, p.kind, streamSeed, p.payload)
	}
	return b
}

// Frames are intact and the order is not: checksums alone would not notice.
func TestAnImportRefusesFramesOutOfPlace(t *testing.T) {
	s := openMemory(t, nil)
	fill(t, s, 3000, 10)
	list := pieces(t, export(t, s))
	n := len(list)
	if n < 6 {
		t.Fatalf("%d frames, want more", n)
	}
	swapped := append([]piece{list[0], list[2], list[1]}, list[3:]...)
	twice := append([]piece{list[0], list[1]}, list[1:]...)
	missing := append([]piece{list[0]}, list[2:]...)
	merged := append([]piece{list[0], {list[1].kind, append(bytes.Clone(list[1].payload), list[2].payload...)}}, list[3:]...)
	unknown := append([]piece{list[0], {9, nil}}, list[1:]...)
	empty := append([]piece{list[0], {3, nil}}, list[1:]...)
	for name, bad := range map[string][]piece{
		"swapped": swapped, "twice": twice, "missing": missing, "merged": merged, "unknown": unknown, "empty": empty,
		"late header": append([]piece{list[1]}, list...), "two trailers": append(append([]piece{}, list...), list[n-1]),
	} {
		if _, err := s.Import(t.Context(), bytes.NewReader(joined(bad...)), nil); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Import with frames %s = %v, want corrupt", name, err)
		}
	}
	other, changed := bytes.Clone(list[1].payload), bytes.Clone(list[n-1].payload)
	other[len(other)-1]++ // in a value
	changed[7]++          // how many rows there are
	for name, bad := range map[string][]piece{
		"another row":     append([]piece{list[0], {list[1].kind, other}}, list[2:]...),
		"another trailer": append(append([]piece{}, list[:n-1]...), piece{list[n-1].kind, changed}),
	} {
		if _, err := s.Import(t.Context(), bytes.NewReader(joined(bad...)), nil); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Import with %s = %v, want corrupt", name, err)
		}
	}
	newer := bytes.Clone(list[0].payload)
	newer[len(newer)-1]++
	if _, err := s.Import(t.Context(), bytes.NewReader(joined(append([]piece{{1, newer}}, list[1:]...)...)), nil); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Import of a newer version = %v, want unsupported", err)
	}
}

// A row that comes, goes or changes touches one frame besides the trailer.
func TestAChangeTouchesOneFrame(t *testing.T) {
	s := openMemory(t, nil)
	fill(t, s, 5000, 200) // more than a few frames can hold, whatever ends them
	before := pieces(t, export(t, s))
	if len(before) < 10 {
		t.Fatalf("%d frames, want more", len(before))
	}
	for name, change := range map[string]func() error{
		"insert": func() error { return s.Put(t.Context(), []byte("key002500x"), []byte("new")) },
		"delete": func() error { return s.Delete(t.Context(), []byte("key004000")) },
		"change": func() error { return s.Put(t.Context(), []byte("key001000"), []byte("longer than it was before")) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		after := pieces(t, export(t, s))
		if len(after) != len(before) {
			t.Fatalf("%s: %d frames, want %d", name, len(after), len(before))
		}
		differ := 0
		for i := range after[:len(after)-1] {
			if !bytes.Equal(after[i].payload, before[i].payload) {
				differ++
			}
		}
		if differ != 1 {
			t.Errorf("%s: %d of %d frames differ, want 1", name, differ, len(after))
		}
		before = after
	}
}

// Long rows are cut by size as well, and an import holds one frame at a time.
func TestLongRowsTravel(t *testing.T) {
	s := openMemory(t, nil)
	fill(t, s, 40, 100<<10)
	stream := export(t, s)
	for _, p := range pieces(t, stream) {
		if len(p.payload) > 512<<10 {
			t.Errorf("frame of %d bytes", len(p.payload))
		}
	}
	to := openMemory(t, nil)
	if _, err := to.Import(t.Context(), bytes.NewReader(stream), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(export(t, to), stream) {
		t.Error("export after import differs")
	}
	small := openMemory(t, &kv.Options{MaxValue: 1000})
	if _, err := small.Import(t.Context(), bytes.NewReader(stream), nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Import of rows over the limit = %v, want invalid", err)
	}
	tiny := openMemory(t, &kv.Options{MaxKey: 3})
	if _, err := tiny.Import(t.Context(), bytes.NewReader(export(t, sample(t))), nil); err != nil {
		t.Errorf("Import of short keys = %v", err)
	}
}

func TestAnImportNeedsTheExtractors(t *testing.T) {
	o := &kv.Options{Extractors: []kv.Extractor{{Name: "e", Extract: func(_, v []byte) ([]byte, bool) { return v, true }}}}
	s := openMemory(t, o)
	if err := s.CreateIndex(t.Context(), kv.Index{Name: "x", Extractor: "e"}); err != nil {
		t.Fatal(err)
	}
	_, err := openMemory(t, nil).Import(t.Context(), bytes.NewReader(export(t, s)), nil)
	if !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Import without the extractor = %v, want invalid", err)
	}
}

func TestAnEngineWithoutGenerations(t *testing.T) {
	db, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, bare{db}, nil)
	if _, err := s.BeginImport(t.Context()); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("BeginImport = %v, want unsupported", err)
	}
}

// The same commands in batches of any size give the same bytes.
func TestBatchesDoNotShow(t *testing.T) {
	var want []byte
	var digest kv.Sum
	for _, size := range []int{1, 2, 7, 500} {
		s := openMemory(t, nil)
		for i := 0; i < 500; i += size {
			if err := s.Update(t.Context(), func(tx *kv.WriteTx) error {
				for j := i; j < min(i+size, 500); j++ {
					if err := command(tx, j); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if size == 2 && i%40 == 0 {
				if _, err := s.Expire(t.Context(), 3); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := export(t, s)
		d, err := s.Digest(t.Context(), kv.Range{})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want, digest = got, d.Root
		}
		if !bytes.Equal(got, want) || d.Root != digest {
			t.Errorf("batches of %d give another state", size)
		}
	}
}

// command is what entry i of a log does.
func command(tx *kv.WriteTx, i int) error {
	key := fmt.Appendf(nil, "k%d", i%37)
	errs := []error{tx.SetMark(kv.Mark{Index: uint64(i + 1), Term: uint64(i / 100)}), tx.Advance(at(i * i % 400))}
	var err error
	switch i % 9 {
	case 0:
		_, err = tx.Increment([]byte("n"), int64(i))
	case 1, 2:
		err = tx.PutTTL(key, fmt.Append(nil, i), time.Duration(i%50+1)*time.Minute)
	case 3:
		_, err = tx.CompareAndSwap(key, nil, fmt.Append(nil, i))
	case 4:
		err = tx.DeleteRange(kv.Prefix(key))
	case 5:
		if i == 5 {
			err = tx.CreateIndex(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}})
		} else {
			_, err = tx.BuildIndex("x", 3)
		}
	default:
		err = tx.Put(key, fmt.Append(nil, i))
	}
	return errors.Join(append(errs, err)...)
}

// A big state keeps a bounded digest, which still finds what differs.
func TestADigestOfManyRows(t *testing.T) {
	s := openMemory(t, &kv.Options{Sync: kv.SyncNever})
	fill(t, s, 60_000, 1)
	a, err := s.Digest(t.Context(), kv.Range{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "key031415", "other")
	b, err := s.Digest(t.Context(), kv.Range{})
	if err != nil {
		t.Fatal(err)
	}
	r, differs := a.FirstDifference(b)
	n, err := s.Count(t.Context(), r)
	if !differs || err != nil || n == 0 || n > 4000 || string(r.Lo) > "key031415" || string(r.Hi) <= "key031415" {
		t.Errorf("FirstDifference = %q to %q, %v, with %d rows, %v", r.Lo, r.Hi, differs, n, err)
	}
	// A digest that keeps fewer levels compares at the one both have.
	b.Levels = b.Levels[1:]
	if wide, differs := a.FirstDifference(b); !differs || string(wide.Lo) > string(r.Lo) {
		t.Errorf("FirstDifference one level up = %q, %v", wide.Lo, differs)
	}
	inside, err := s.Digest(t.Context(), r)
	if err != nil || inside.Rows != n {
		t.Errorf("Digest of the range has %d rows, %v, want %d", inside.Rows, err, n)
	}
}

func FuzzImport(f *testing.F) {
	stream := export(f, sample(f))
	f.Add(stream)
	f.Add(stream[:len(stream)/2])
	f.Add([]byte{})
	list := pieces(f, stream)
	f.Add(joined(list[0], list[len(list)-1]))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := openMemory(t, nil)
		put(t, s, "live", "1")
		want := export(t, s)
		if _, err := s.Import(t.Context(), bytes.NewReader(b), nil); err != nil {
			if !bytes.Equal(export(t, s), want) {
				t.Error("a failed import changed the store")
			}
			return
		}
		if !bytes.Equal(export(t, s), b) {
			t.Error("what was imported exports to other bytes")
		}
	})
}

// fixed-up streams reach deeper than random bytes: the fuzzer writes payloads.
func FuzzImportPayloads(f *testing.F) {
	list := pieces(f, export(f, sample(f)))
	f.Add(list[1].payload, list[3].payload, list[4].payload)
	f.Fuzz(func(t *testing.T, definition, rows, trailer []byte) {
		b := joined(list[0], piece{2, definition}, piece{3, rows}, piece{4, trailer})
		s := openMemory(t, nil)
		if _, err := s.Import(t.Context(), bytes.NewReader(b), nil); err == nil && !bytes.Equal(export(t, s), b) {
			t.Error("what was imported exports to other bytes")
		}
	})
}

// A golden export is read for ever, and written again to the byte.
func TestGoldenExport(t *testing.T) {
	const file = "testdata/golden/export.hex"
	made := export(t, sample(t))
	if updating() {
		var text strings.Builder
		for line := range slices.Chunk(made, 32) {
			text.WriteString(hex.EncodeToString(line) + "\n")
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, want) {
		t.Errorf("export = %x, want %x", made, want)
	}
	s := openMemory(t, nil)
	if _, err := s.Import(t.Context(), bytes.NewReader(want), nil); err != nil || !bytes.Equal(export(t, s), want) {
		t.Errorf("Import = %v, and then another export", err)
	}
}

// All that an engine holds of a small store, pair by pair: the names of the
// keys, and what is in which name space.
func TestGoldenLayout(t *testing.T) {
	e := newEngine(t)
	s := open(t, e, nil)
	if _, err := s.Import(t.Context(), bytes.NewReader(export(t, sample(t))), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.SetIdentity(kv.Identity{Node: [16]byte{1, 2, 15: 16}, Epoch: 3}); err != nil {
		t.Fatal(err)
	}
	tx, err := e.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var text strings.Builder
	for p, err := range tx.Scan(kv.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%x %x\n", p.Key, p.Value)
	}
	const file = "testdata/golden/layout.hex"
	if updating() {
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || text.String() != string(want) {
		t.Errorf("layout = %v\n%s\nwant\n%s", err, text.String(), want)
	}
}

// updating is the -update flag of the other golden files.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// A store of a replica asks no wall clock: the same commands forty years later
// make the same state.
func TestTheWallClockDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first []byte
		for range 2 {
			s := openMemory(t, &kv.Options{Sync: kv.SyncInterval})
			for i := range 300 {
				if err := s.Update(t.Context(), func(tx *kv.WriteTx) error { return command(tx, i) }); err != nil {
					t.Fatal(err)
				}
			}
			got := export(t, s)
			if first == nil {
				first = got
			}
			if !bytes.Equal(got, first) {
				t.Error("the state depends on the wall clock")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * 365 * 24 * time.Hour)
		}
	})
}
