package kvtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func basicCases() []Case {
	small := &kv.Options{MaxKey: 8, MaxValue: 16}
	return []Case{
		storeCase("basic/put-get", "a value that was put is read back, and an empty one is not none", putGet),
		storeCase("basic/delete", "a deleted key is not found, and deleting it again is no error", deleteKey),
		storeCase("basic/multi-get", "MultiGet answers in the order of its keys, nil where there is none", multiGet),
		storeCaseWith("basic/limits", "a key or value over the limit is invalid and changes nothing", small, limits),
		storeCase("basic/longest", "the longest key goes with the longest index value and a deadline, into an export and back", longest),
		storeCase("basic/ownership", "no byte slice is shared between the caller and the store", ownership),
		storeCase("basic/scan", "Scan walks a half open range in the order of the bytes, either way", scan),
		storeCase("basic/delete-range", "DeleteRange removes [Lo, Hi) and nothing else", deleteRange),
		storeCase("basic/cas", "CompareAndSwap tells none, empty and other values apart", compareAndSwap),
		storeCase("basic/increment", "a counter is eight bytes; overflow and other widths are invalid and change nothing", increment),
		storeCase("basic/stats", "Stats counts what happened and names the engine", stats),
	}
}

func putGet(p *probe) {
	p.has("a", "-")
	p.put("a", "1", "b", "", "\x00", "zero", "\xff", "last")
	p.has("a", "1")
	p.has("b", "")
	p.has("\x00", "zero")
	p.has("\xff", "last")
	p.put("a", "other")
	p.has("a", "other")
	v, err := p.s.Get(p.ctx, []byte("b"))
	same(p, "an empty value is nil", v == nil || err != nil, false)
	for key, want := range map[string]bool{"b": true, "c": false} {
		got, err := p.s.Has(p.ctx, []byte(key))
		p.ok("Has", err)
		same(p, "Has("+key+")", got, want)
	}
}

func deleteKey(p *probe) {
	p.put("a", "1")
	p.ok("Delete(a)", p.s.Delete(p.ctx, []byte("a")))
	p.has("a", "-")
	p.ok("Delete(a) again", p.s.Delete(p.ctx, []byte("a")))
	p.put("a", "2")
	p.has("a", "2")
}

func multiGet(p *probe) {
	p.put("a", "1", "b", "")
	got, err := p.s.MultiGet(p.ctx, [][]byte{[]byte("b"), []byte("x"), []byte("a"), []byte("a")})
	p.ok("MultiGet", err)
	if len(got) != 4 || got[0] == nil || len(got[0]) != 0 || got[1] != nil || string(got[2]) != "1" || string(got[3]) != "1" {
		p.failf("MultiGet(b, x, a, a) = %q", got)
	}
	_, err = p.s.MultiGet(p.ctx, [][]byte{[]byte("a"), nil})
	p.is("MultiGet of an empty key", err, fault.ErrInvalid)
}

func limits(p *probe) {
	longest, most := bytes.Repeat([]byte("k"), 8), bytes.Repeat([]byte("v"), 16)
	p.ok("Put at the limits", p.s.Put(p.ctx, longest, most))
	before, _ := p.export()
	ctx, key := p.ctx, []byte("k")
	for _, bad := range [][]byte{nil, {}, append(longest, 'x')} {
		_, err := p.s.Get(ctx, bad)
		p.is("Get of a bad key", err, fault.ErrInvalid)
		_, err = p.s.Has(ctx, bad)
		p.is("Has of a bad key", err, fault.ErrInvalid)
		p.is("Put of a bad key", p.s.Put(ctx, bad, nil), fault.ErrInvalid)
		p.is("PutUntil of a bad key", p.s.PutUntil(ctx, bad, nil, time.Unix(1e9, 0)), fault.ErrInvalid)
		p.is("Delete of a bad key", p.s.Delete(ctx, bad), fault.ErrInvalid)
		_, err = p.s.CompareAndSwap(ctx, bad, nil, nil)
		p.is("CompareAndSwap of a bad key", err, fault.ErrInvalid)
		_, err = p.s.Increment(ctx, bad, 1)
		p.is("Increment of a bad key", err, fault.ErrInvalid)
	}
	over := append(most, 'x')
	p.is("Put of a long value", p.s.Put(ctx, key, over), fault.ErrInvalid)
	p.is("PutUntil of a long value", p.s.PutUntil(ctx, key, over, time.Unix(1e9, 0)), fault.ErrInvalid)
	_, err := p.s.CompareAndSwap(ctx, key, nil, over)
	p.is("CompareAndSwap to a long value", err, fault.ErrInvalid)
	after, _ := p.export()
	same(p, "state changed", bytes.Equal(before, after), true)
}

// longest makes the longest keys that an engine ever sees: every byte of the
// index value is escaped.
func longest(p *probe) {
	p.advance(epoch())
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: kv.MaxIndexValue}})
	key, value := bytes.Repeat([]byte{0xff}, kv.MaxKey), make([]byte, kv.MaxIndexValue)
	p.is("Put of a longer key", p.s.Put(p.ctx, append(key, 0), nil), fault.ErrInvalid)
	end := epoch().Add(time.Minute)
	p.until(string(key), string(value), end)
	check := func() {
		p.query(kv.Query{Index: "x", Exact: value}, string(key))
		p.scan(kv.Range{Lo: key}, string(key))
		p.next(end)
	}
	check()
	stream, _ := p.export()
	p.ok("Delete", p.s.Delete(p.ctx, key))
	p.query(kv.Query{Index: "x"}, "")
	if p.canImport() {
		p.imports(stream, nil)
		check()
	}
}

func ownership(p *probe) {
	key, value := []byte("key"), []byte("value")
	p.ok("Put", p.s.Put(p.ctx, key, value))
	copy(key, "xxx")
	copy(value, "xxxxx")
	p.has("key", "value")
	got, err := p.s.Get(p.ctx, []byte("key"))
	p.ok("Get", err)
	copy(got, "xxxxx")
	many, err := p.s.MultiGet(p.ctx, [][]byte{[]byte("key")})
	p.ok("MultiGet", err)
	copy(many[0], "xxxxx")
	page, err := p.s.Page(p.ctx, kv.PageOptions{})
	p.ok("Page", err)
	for _, row := range page.Rows {
		clear(row.Key)
		clear(row.Value)
	}
	p.has("key", "value")
	p.scan(kv.Range{}, "key")
}

func scan(p *probe) {
	p.put("b", "2", "a", "1", "ab", "x", "c", "3", "\xff\xff", "9", "\xff\xffz", "9")
	p.scan(kv.Range{}, "a ab b c \xff\xff \xff\xffz")
	p.scan(kv.Range{Reverse: true}, "\xff\xffz \xff\xff c b ab a")
	p.scan(span("ab", "c"), "ab b")
	p.scan(reverse(span("ab", "c")), "b ab")
	p.scan(span("c", ""), "c \xff\xff \xff\xffz")
	p.scan(span("c", "a"), "")
	p.scan(kv.Prefix([]byte("a")), "a ab")
	p.scan(reverse(kv.Prefix([]byte("\xff\xff"))), "\xff\xffz \xff\xff")
	n, err := p.s.Count(p.ctx, span("a", "c"))
	p.ok("Count", err)
	same(p, "Count(a, c)", n, 3)
}

func deleteRange(p *probe) {
	fill := func() { p.put("a", "1", "b", "2", "c", "3", "d", "4") }
	fill()
	p.ok("DeleteRange(b, d)", p.s.DeleteRange(p.ctx, span("b", "d")))
	p.scan(kv.Range{}, "a d")
	fill()
	p.ok("DeleteRange(d, b)", p.s.DeleteRange(p.ctx, span("d", "b")))
	p.ok("DeleteRange(c, end)", p.s.DeleteRange(p.ctx, reverse(span("c", ""))))
	p.scan(kv.Range{}, "a b")
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("c"), nil))
		p.ok("DeleteRange", t.DeleteRange(span("b", "")))
		p.ok("Put", t.Put([]byte("e"), nil))
		return nil
	})
	p.scan(kv.Range{}, "a e")
	p.ok("DeleteRange of all", p.s.DeleteRange(p.ctx, kv.Range{}))
	p.scan(kv.Range{}, "")
}

func compareAndSwap(p *probe) {
	for i, step := range []struct {
		expect, value []byte
		swapped       bool
		after         string
	}{
		{[]byte("x"), []byte("1"), false, "-"},
		{[]byte{}, []byte("1"), false, "-"},
		{nil, nil, true, "-"},
		{nil, []byte{}, true, ""},
		{nil, []byte("1"), false, ""},
		{[]byte("1"), []byte("2"), false, ""},
		{[]byte{}, []byte("1"), true, "1"},
		{[]byte("1"), []byte("1"), true, "1"},
		{[]byte("2"), nil, false, "1"},
		{[]byte("1"), nil, true, "-"},
	} {
		got, err := p.s.CompareAndSwap(p.ctx, []byte("k"), step.expect, step.value)
		if err != nil || got != step.swapped {
			p.failf("step %d: CompareAndSwap(%q, %q) = %v, %v, want %v", i, step.expect, step.value, got, err, step.swapped)
		}
		p.has("k", step.after)
	}
}

func increment(p *probe) {
	add := func(key string, delta, want int64) {
		got, err := p.s.Increment(p.ctx, []byte(key), delta)
		if err != nil || got != want {
			p.failf("Increment(%s, %d) = %d, %v, want %d", key, delta, got, err, want)
		}
	}
	add("n", 5, 5)
	add("n", -7, -2)
	add("n", 0, -2)
	p.has("n", "\xff\xff\xff\xff\xff\xff\xff\xfe")
	add("max", math.MaxInt64, math.MaxInt64)
	add("min", math.MinInt64, math.MinInt64)
	for key, delta := range map[string]int64{"max": 1, "min": -1} {
		_, err := p.s.Increment(p.ctx, []byte(key), delta)
		p.is("Increment over the edge", err, fault.ErrInvalid)
	}
	p.has("max", string(binary.BigEndian.AppendUint64(nil, math.MaxInt64)))
	add("max", math.MinInt64, -1)
	add("min", math.MaxInt64, -1)
	p.put("text", "12", "long", "123456789", "empty", "")
	for _, key := range []string{"text", "long", "empty"} {
		_, err := p.s.Increment(p.ctx, []byte(key), 1)
		p.is("Increment of "+key, err, fault.ErrInvalid)
	}
	p.has("text", "12")
}

func stats(p *probe) {
	p.put("a", "1", "b", "2")
	p.ok("Delete", p.s.Delete(p.ctx, []byte("a")))
	st, err := p.s.Stats()
	p.ok("Stats", err)
	if st.Engine == "" || st.Commits != 3 || st.Puts != 2 || st.Deletes != 1 || st.OpenTxns != 0 || st.Poisoned != nil {
		p.failf("Stats() = %+v, want 3 commits, 2 puts, 1 delete", st)
	}
	if err := p.s.Compact(p.ctx); err != nil && !errors.Is(err, fault.ErrUnsupported) {
		p.failf("Compact = %v, want nil or ErrUnsupported", err)
	}
}
