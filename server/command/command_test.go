package command_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/server/command"
)

var start = time.Unix(1_800_000_000, 0).UTC()

func at(ms int64) int64 { return start.UnixNano() + ms*1e6 }

func args(words ...string) (list [][]byte) {
	for _, w := range words {
		list = append(list, []byte(w))
	}
	return list
}

func openStore(t testing.TB) *kv.Store {
	t.Helper()
	db, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func encode(t testing.TB, c command.Command) []byte {
	t.Helper()
	b, err := c.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func apply(t testing.TB, s *kv.Store, c command.Command) (r command.Result) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *kv.WriteTx) (err error) {
		r, err = command.Apply(tx, encode(t, c))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// show writes a reply the way redis-cli does, more or less.
func show(r command.Reply) string {
	switch r.Kind {
	case command.Nil:
		return "nil"
	case command.Int:
		return fmt.Sprint(r.Int)
	case command.Bulk:
		return fmt.Sprintf("%q", r.Bulk)
	case command.Array:
		var b bytes.Buffer
		for _, x := range r.Array {
			fmt.Fprintf(&b, "%s,", show(x))
		}
		return "[" + b.String() + "]"
	default:
		return r.Text
	}
}

// Every operation, one after the other on one store, two of which are applied
// at each instant.
func TestOperations(t *testing.T) {
	const (
		set, incr = command.Set, command.IncrBy
		nx, xx    = command.NX, command.XX
		fetch     = command.Fetch
	)
	s, other := openStore(t), openStore(t)
	for i, tc := range []struct {
		code  command.Code
		flags command.Flags
		n     int64
		args  [][]byte
		want  string
	}{
		{set, 0, 0, args("a", "1"), "OK"},
		{set, nx, 0, args("a", "2"), "nil"},
		{set, xx | fetch, 0, args("a", "3"), `"1"`},
		{set, xx, 0, args("b", "3"), "nil"},
		{set, nx | fetch, 0, args("a", "4"), `"3"`},
		{set, nx | fetch, 0, args("b", "x"), "nil"},
		{command.MGet, 0, 0, args("a", "b", "c"), `["3","x",nil,]`},
		{incr, 0, 4, args("a"), "7"},
		{incr, 0, 1, args("b"), command.ErrNotInteger},
		{incr, 0, math.MaxInt64, args("a"), "ERR increment or decrement would overflow"},
		{incr, 0, math.MinInt64, args("new"), "-9223372036854775808"},
		{incr, 0, -1, args("new"), "ERR increment or decrement would overflow"},
		{command.Append, 0, 0, args("b", "yz"), "3"},
		{command.Strlen, 0, 0, args("b"), "3"},
		{command.ExpireAt, 0, at(1000), args("b"), "1"},
		{command.ExpireAt, nx, at(2000), args("b"), "0"},
		{command.ExpireAt, command.GT, at(500), args("b"), "0"},
		{command.ExpireAt, command.LT, at(900), args("b"), "1"},
		{command.ExpireAt, 0, at(900), args("none"), "0"},
		{command.ExpireAt, command.GT, at(900), args("a"), "0"},
		{command.Append, 0, 0, args("b", "!"), "4"},
		{set, command.KeepTTL, 0, args("b", "kept"), "OK"},
		{command.PTTL, 0, 0, args("b"), "889"},
		{command.TTL, 0, 0, args("b"), "1"},
		{command.TTL, 0, 0, args("a"), "-1"},
		{command.TTL, 0, 0, args("none"), "-2"},
		{command.Persist, 0, 0, args("b"), "1"},
		{command.Persist, 0, 0, args("b"), "0"},
		{set, command.Until, at(15), args("short", "v"), "OK"},
		{command.Exists, 0, 0, args("short", "a", "a"), "3"},
		{command.Exists, 0, 0, args("short", "a", "a"), "2"},
		{command.Type, 0, 0, args("a"), "string"},
		{command.Type, 0, 0, args("short"), "none"},
		{command.MSetNX, 0, 0, args("a", "0", "z", "0"), "0"},
		{command.MSetNX, 0, 0, args("y", "0", "z", "0"), "1"},
		{command.MSet, 0, 0, args("y", "1", "x", "2"), "OK"},
		{command.Keys, 0, 0, args("[x-z]"), `["x","y","z",]`},
		{command.DBSize, 0, 0, nil, "6"},
		{command.Del, 0, 0, args("x", "x", "none", "y"), "2"},
		{command.GetDel, 0, 0, args("z"), `"0"`},
		{command.GetDel, 0, 0, args("z"), "nil"},
		{command.ExpireAt, 0, 1, args("a"), "1"},
		{command.Get, 0, 0, args("a"), "nil"},
		{command.Flush, 0, 0, nil, "OK"},
		{command.DBSize, 0, 0, nil, "0"},
	} {
		c := command.Command{Clock: start.Add(time.Duration(i/2) * time.Millisecond), Ops: []command.Op{{Code: tc.code, Flags: tc.flags, N: tc.n, Args: tc.args}}}
		if got := show(apply(t, s, c).Replies[0]); got != tc.want {
			t.Errorf("step %d: %v %q = %s, want %s", i, tc.code, tc.args, got, tc.want)
		}
		apply(t, other, c)
	}
	one, err := s.Digest(t.Context(), kv.Range{})
	two, err2 := other.Digest(t.Context(), kv.Range{})
	if err != nil || err2 != nil || one.Root != two.Root || !one.Mark.Clock.Equal(two.Mark.Clock) {
		t.Errorf("two replicas differ: %v, %v, %v, %v", one, two, err, err2)
	}
}

func TestTickMovesTheClock(t *testing.T) {
	s := openStore(t)
	apply(t, s, command.Command{Clock: start, Ops: []command.Op{{Code: command.Set, Flags: command.Until, N: at(1000), Args: args("k", "v")}}})
	tick, err := command.Tick(start.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx *kv.WriteTx) error { _, err := command.Apply(tx, tick); return err }); err != nil {
		t.Fatal(err)
	}
	if has, err := s.Has(t.Context(), []byte("k")); has || err != nil {
		t.Errorf("Has after the deadline = %v, %v, want false", has, err)
	}
}

func TestWatchedKeys(t *testing.T) {
	put := func(key, value string) command.Op { return command.Op{Code: command.Set, Args: args(key, value)} }
	for _, tc := range []struct {
		name    string
		between command.Command
		aborted bool
	}{
		{"nothing happens", command.Command{}, false},
		{"another key changes", command.Command{Ops: []command.Op{put("other", "x")}}, false},
		{"the value changes", command.Command{Ops: []command.Op{put("k", "x")}}, true},
		{"the key goes", command.Command{Ops: []command.Op{{Code: command.Del, Args: args("k")}}}, true},
		{"a deadline comes", command.Command{Ops: []command.Op{{Code: command.ExpireAt, N: at(5000), Args: args("k")}}}, true},
		{"the missing one comes", command.Command{Ops: []command.Op{put("missing", "")}}, true},
		{"one expires", command.Command{Clock: start.Add(time.Second)}, true},
		{"it changes and changes back", command.Command{Ops: []command.Op{put("k", "x"), put("k", "v")}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := openStore(t)
			short := command.Op{Code: command.Set, Flags: command.Until, N: at(1000), Args: args("short", "v")}
			apply(t, s, command.Command{Clock: start, Ops: []command.Op{put("k", "v"), short}})
			c := command.Command{Ops: []command.Op{put("done", "1")}}
			err := s.View(t.Context(), func(tx *kv.ReadTx) error {
				for _, key := range args("k", "missing", "short") {
					was, err := command.FingerprintOf(tx, key)
					if err != nil {
						return err
					}
					c.Watches = append(c.Watches, command.Watch{Key: key, Was: was})
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			apply(t, s, tc.between)
			r := apply(t, s, c)
			has, err := s.Has(t.Context(), []byte("done"))
			if err != nil || r.Aborted != tc.aborted || has == tc.aborted {
				t.Errorf("aborted %v, applied %v, %v, want aborted %v", r.Aborted, has, err, tc.aborted)
			}
		})
	}
}

// What one request may ask for has a bound, and a write whose answer would
// pass it is not done.
func TestRepliesAreBounded(t *testing.T) {
	s := openStore(t)
	big := bytes.Repeat([]byte("v"), command.MaxValue)
	apply(t, s, command.Command{Ops: []command.Op{{Code: command.Set, Args: [][]byte{[]byte("big"), big}}}})
	r := apply(t, s, command.Command{Ops: []command.Op{
		{Code: command.Append, Args: args("big", "x")},
		{Code: command.Get, Args: args("big")},
		{Code: command.Get, Args: args("big")},
		{Code: command.Set, Args: args("big", "small")},
	}})
	if r.Replies[0].Kind != command.Error || len(r.Replies[1].Bulk) != len(big) || r.Replies[2].Kind != command.Error || r.Replies[3].Kind != command.Error {
		t.Errorf("kinds %v %v %v %v, want error, bulk, error, error", r.Replies[0].Kind, r.Replies[1].Kind, r.Replies[2].Kind, r.Replies[3].Kind)
	}
	o := command.Op{Code: command.MGet, Args: args("big", "big")}
	err := s.View(t.Context(), func(tx *kv.ReadTx) error {
		got, err := command.Read(tx, start, &o)
		if got.Kind != command.Error {
			t.Errorf("MGet of twice the limit = kind %v, want error", got.Kind)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadRefusesWrites(t *testing.T) {
	s := openStore(t)
	err := s.View(t.Context(), func(tx *kv.ReadTx) error {
		_, err := command.Read(tx, start, &command.Op{Code: command.Flush})
		return err
	})
	if !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Read(flush) = %v, want invalid", err)
	}
}

func TestParseInt(t *testing.T) {
	for _, s := range []string{"", "-", "+1", "01", "-0", " 1", "1 ", "0x1", "1_0", "9223372036854775808", "-9223372036854775809", "1e3"} {
		if n, ok := command.ParseInt([]byte(s)); ok {
			t.Errorf("ParseInt(%q) = %d, want none", s, n)
		}
	}
	for _, want := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if n, ok := command.ParseInt(fmt.Append(nil, want)); !ok || n != want {
			t.Errorf("ParseInt(%d) = %d, %v", want, n, ok)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, tc := range []struct {
		p, yes, no string
	}{
		{"", "", "a"},
		{"*", "", "\x00never"},
		{"a*c", "abcbc", "abcb"},
		{"h?llo", "hello", "hllo"},
		{"h[ae]llo", "hallo", "hillo"},
		{"h[^e]llo", "hallo", "hello"},
		{"h[b-a]*", "hb", "hc"},
		{`a\*`, "a*", "ab"},
		{`[\]]`, "]", `\`},
		{`x[a`, "xa", "xb"},
		{"*a*a*b", "aab", "aaaa"},
	} {
		p := command.Compile([]byte(tc.p))
		if !p.Match([]byte(tc.yes)) || tc.no[0] != 0 && p.Match([]byte(tc.no)) {
			t.Errorf("%q: matches %q %v, want true; %q %v, want false", tc.p, tc.yes, p.Match([]byte(tc.yes)), tc.no, p.Match([]byte(tc.no)))
		}
	}
	evil := command.Compile(bytes.Repeat([]byte("a*"), 1000))
	if evil.Match(bytes.Repeat([]byte("a"), 500)) {
		t.Error("more letters than there are matched")
	}
}

func BenchmarkApply(b *testing.B) {
	s := openStore(b)
	c := command.Command{Clock: start}
	for i := range 100 {
		c.Ops = append(c.Ops, command.Op{Code: command.Set, Args: [][]byte{fmt.Appendf(nil, "key%d", i), make([]byte, 100)}})
	}
	data := encode(b, c)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Update(b.Context(), func(tx *kv.WriteTx) error { _, err := command.Apply(tx, data); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
