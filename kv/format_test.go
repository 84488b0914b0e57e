package kv

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

var update = flag.Bool("update", false, "write golden files anew; review the difference")

// golden compares b with a file of hexadecimal lines. The formats are frozen.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".hex")
	var text strings.Builder
	for line := range slices.Chunk(b, 32) {
		text.WriteString(hex.EncodeToString(line) + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != text.String() {
		t.Errorf("%s = %v\n%s\nwant\n%s", name, err, text.String(), want)
	}
}

func someMark() mark {
	return mark{index: 0x0102, term: 3, membership: []byte("members"), membershipIndex: 0x0101, clock: uint64(time.Unix(1_700_000_000, 5).UnixNano())}
}

func someDefinitions() map[string]*definition {
	return map[string]*definition{
		"index-json":      {Index: Index{Name: "n", JSONPath: "a.b[2]", JSONType: JSONNumber}, id: 7, ready: true},
		"index-bytes":     {Index: Index{Name: "n", Bytes: &ByteRange{Off: 1, Len: 2}, KeyPrefix: []byte("p/")}, id: 1, built: []byte("p/x")},
		"index-extractor": {Index: Index{Name: "n", Extractor: "e", Version: 3}, id: 2},
	}
}

func TestGoldenRecords(t *testing.T) {
	golden(t, "row", appendRow(nil, row{value: []byte("value")}))
	golden(t, "row-deadline", appendRow(nil, row{deadline: someMark().clock, value: []byte("value")}))
	golden(t, "row-key", rowKey([]byte("key")))
	golden(t, "deadline-key", deadlineKey(someMark().clock, []byte("key")))
	golden(t, "entry-key", entryKey(7, []byte("a\x00b"), []byte("key")))
	golden(t, "mark", appendMark(nil, someMark()))
	golden(t, "membership", appendMembership(nil, someMark()))
	for name, x := range someDefinitions() {
		golden(t, name, storedDefinition(x))
	}
	golden(t, "cursor", []byte(newCursor(bindPage(Range{Lo: []byte("a"), Reverse: true}), []byte("key"))))
	golden(t, "trailer", trailer{rows: 1, bytes: 2, root: Sum{3}, mark: someMark()}.appendTo(nil))
	var levels []byte
	for i := range 1 << 16 {
		if level := cutLevel([]byte{'k', byte(i >> 8), byte(i)}); level > 0 {
			levels = append(levels, byte(i>>8), byte(i), byte(level))
		}
	}
	golden(t, "cut-levels", levels)
	root := digestOf(100_000, 1<<20, -1).Root // enough for ranges of level 2
	golden(t, "digest", root[:])
}

func TestRecordsRoundTrip(t *testing.T) {
	m := someMark()
	var got mark
	if err := parseMark(appendMark(nil, m), &got); err != nil {
		t.Error(err)
	}
	if err := parseMembership(appendMembership(nil, m), &got); err != nil {
		t.Error(err)
	}
	if got.public().Clock != m.public().Clock || !bytes.Equal(got.membership, m.membership) || got.index != m.index || got.term != m.term || got.membershipIndex != m.membershipIndex {
		t.Errorf("mark = %+v, want %+v", got, m)
	}
	for name, x := range someDefinitions() {
		b := storedDefinition(x)
		y, err := parseStoredDefinition(b)
		if err != nil || !bytes.Equal(storedDefinition(y), b) {
			t.Errorf("%s = %+v, %v", name, y, err)
		}
	}
}

func TestEveryFlippedBitOfAMarkIsNoticed(t *testing.T) {
	for name, tc := range map[string]struct {
		b     []byte
		parse func([]byte, *mark) error
	}{
		"mark":       {appendMark(nil, someMark()), parseMark},
		"membership": {appendMembership(nil, someMark()), parseMembership},
	} {
		for bit := range len(tc.b) * 8 {
			c := bytes.Clone(tc.b)
			c[bit/8] ^= 1 << (bit % 8)
			if err := tc.parse(c, &mark{}); !errorsIsCorrupt(err) {
				t.Errorf("%s with bit %d flipped = %v, want corrupt", name, bit, err)
			}
		}
	}
}

func errorsIsCorrupt(err error) bool {
	c, ok := err.(*fault.Corruption) //nolint:errorlint // the parsers return it bare
	return ok && c.Reason != ""
}

func TestEntriesKeepTheOrderOfValues(t *testing.T) {
	values := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00b", "a\x01", "ab", "\xff", "\xff\x00", "\xff\xff"}
	keys := []string{"\x00", "\x01", "\xff", "\xff\xff", "k"}
	slices.Sort(keys)
	var last []byte
	for _, v := range values {
		for _, k := range keys {
			b := entryKey(1, []byte(v), []byte(k))
			if bytes.Compare(last, b) >= 0 {
				t.Errorf("entry of %q, %q is not above the one before", v, k)
			}
			last = b
			id, value, key, err := parseEntryKey(b)
			if id != 1 || string(value) != v || string(key) != k || err != nil {
				t.Errorf("parseEntryKey = %d, %q, %q, %v, want 1, %q, %q", id, value, key, err, v, k)
			}
		}
	}
}

func TestNumberKeysKeepTheOrderOfNumbers(t *testing.T) {
	numbers := []float64{math.Inf(-1), -math.MaxFloat64, -1e10, -1.5, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 1.5, 2, 1e10, math.MaxFloat64, math.Inf(1)}
	for i := 1; i < len(numbers); i++ {
		if bytes.Compare(NumberKey(numbers[i-1]), NumberKey(numbers[i])) >= 0 {
			t.Errorf("NumberKey(%v) is not below NumberKey(%v)", numbers[i-1], numbers[i])
		}
	}
	if !bytes.Equal(NumberKey(0), NumberKey(math.Copysign(0, -1))) {
		t.Error("the two zeros differ")
	}
}

// Keys as programs make them must be cut about as often as random ones.
func TestCutsAreSpread(t *testing.T) {
	for _, format := range []string{"%d", "user:%08d", "%016x", "a/%d/b"} {
		cuts := 0
		const n = 1 << 17
		for i := range n {
			if cutLevel(fmt.Appendf(nil, format, i)) >= 0 {
				cuts++
			}
		}
		if want := n >> cutBits; cuts < want/2 || cuts > want*2 {
			t.Errorf("%d keys like %q are cut %d times, want about %d", n, format, cuts, want)
		}
	}
}

// digestOf is the digest of so many rows, which keeps levels of at most so many
// ranges.
func digestOf(rows, most, changed int) Digest {
	g := newDigester()
	g.most = most
	for i := range rows {
		key, value := fmt.Appendf(nil, "%06d", i), []byte("v")
		if i == changed {
			value = []byte("w")
		}
		g.frame(appendStreamRow(nil, key, appendRow(nil, row{value: value})), framed{rows: 1, bytes: uint64(len(key) + 1)})
	}
	return g.finish(Mark{})
}

// A digest gives up its lowest levels when they grow, and keeps its root.
func TestADigestKeepsFewRanges(t *testing.T) {
	all, few, other := digestOf(20_000, 1<<20, -1), digestOf(20_000, 10, -1), digestOf(20_000, 10, 12_345)
	if all.Root != few.Root || all.Levels[0].Level != 0 || few.Levels[0].Level == 0 || len(few.Levels[0].Ranges) > 10 {
		t.Errorf("digest of few ranges = %v with levels from %d, want %v", few, few.Levels[0].Level, all)
	}
	if r, differs := all.FirstDifference(few); differs {
		t.Errorf("FirstDifference of equal states = %q to %q", r.Lo, r.Hi)
	}
	r, differs := all.FirstDifference(other)
	if !differs || string(r.Lo) > "012345" || len(r.Hi) > 0 && string(r.Hi) <= "012345" {
		t.Errorf("FirstDifference = %q to %q, %v, want one around 012345", r.Lo, r.Hi, differs)
	}
	if all.String() == other.String() {
		t.Error("states that differ have one digest")
	}
}
