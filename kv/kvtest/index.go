package kvtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// indexOptions register the functions that the index cases use.
func indexOptions() *kv.Options {
	return &kv.Options{Extractors: []kv.Extractor{
		{Name: "first-word", Version: 1, Extract: func(_, value []byte) ([]byte, bool) {
			word, _, ok := strings.Cut(string(value), " ")
			return []byte(word), ok
		}},
		{Name: "panics", Extract: func(_, value []byte) ([]byte, bool) { return value[3:4], true }},
	}}
}

func indexCases() []Case {
	with := func(name, rule string, run func(p *probe)) Case {
		return storeCaseWith(name, rule, indexOptions(), run)
	}
	return []Case{
		with("index/json", "an index over JSON holds the rows that have a value of its type", indexJSON),
		with("index/bytes", "an index over bytes holds the rows that are long enough", indexBytes),
		with("index/extractor", "an extractor decides by value; a panic is no value", indexExtractor),
		with("index/ranges", "exact, range and prefix queries are ordered by value, then by key, either way", indexRanges),
		with("index/escape", "zero bytes in values keep the order and never meet another value", indexEscape),
		with("index/pages", "pages of a query are the query, without a row lost or twice", indexPages),
		with("index/follows", "every way of changing a row changes its entries with it", indexFollows),
		with("index/build", "an index is built in steps and refuses queries until then", indexBuild),
		with("index/declare", "a bad index, a taken name and a missing index are told apart", indexDeclare),
		with("index/drop", "a dropped index leaves nothing for the next of its name", indexDrop),
		with("index/dead", "a query hides dead rows", indexDead),
		with("index/dead-again", "a row that was dead while an index was built is in it when it comes back", indexDeadAgain),
		with("index/own-writes", "a query inside a transaction sees its writes", indexOwnWrites),
	}
}

func (p *probe) index(x kv.Index) { p.ok("CreateIndex("+x.Name+")", p.s.CreateIndex(p.ctx, x)) }

func indexJSON(p *probe) {
	p.index(kv.Index{Name: "name", JSONPath: "user.names[1]"})
	p.index(kv.Index{Name: "age", JSONPath: "age", JSONType: kv.JSONNumber})
	p.index(kv.Index{Name: "on", JSONPath: "on", JSONType: kv.JSONBool})
	p.put("a", `{"user":{"names":["x","bo"]},"age":30,"on":true}`,
		"b", `{"user":{"names":["x","al"]},"age":-2.5,"on":false}`,
		"c", `{"user":{"names":["x"]},"age":"30","on":1}`,
		"d", `not json`,
		"e", `{"user":{"names":["x","al"]},"age":4`,
		"f", `{"user":null,"age":1e999,"on":null}`,
		"g", `{"age":200,"user":[{"names":["x","al"]}]}`)
	p.query(kv.Query{Index: "name"}, "b a")
	p.query(kv.Query{Index: "name", Exact: []byte("bo")}, "a")
	p.query(kv.Query{Index: "age"}, "b a g")
	p.query(kv.Query{Index: "age", Exact: kv.NumberKey(30)}, "a")
	p.query(kv.Query{Index: "age", Lo: kv.NumberKey(-3), Hi: kv.NumberKey(30)}, "b")
	p.query(kv.Query{Index: "on", Exact: []byte{1}}, "a")
}

func indexBytes(p *probe) {
	p.put("a", "xxBB", "b", "xxAAyy", "c", "xxA", "d", "")
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Off: 2, Len: 2}})
	p.put("e", "--AC")
	p.query(kv.Query{Index: "x"}, "b e a")
	p.query(kv.Query{Index: "x", Prefix: []byte("A")}, "b e")
}

func indexExtractor(p *probe) {
	p.index(kv.Index{Name: "w", Extractor: "first-word", Version: 1, KeyPrefix: []byte("in/")})
	p.index(kv.Index{Name: "p", Extractor: "panics"})
	p.put("in/1", "b word", "in/2", "a word", "in/3", "none", "out", "a word", "in/4", "")
	p.query(kv.Query{Index: "w"}, "in/2 in/1")
	p.query(kv.Query{Index: "p"}, "in/3 in/1 in/2 out")
}

func indexRanges(p *probe) {
	p.index(kv.Index{Name: "x", JSONPath: "v"})
	for key, v := range map[string]string{"1": "b", "2": "a", "3": "ab", "4": "b", "5": "", "6": "c"} {
		p.put(key, fmt.Sprintf(`{"v":%q}`, v))
	}
	for _, tc := range []struct {
		q    kv.Query
		want string
	}{
		{kv.Query{}, "5 2 3 1 4 6"},
		{kv.Query{Exact: []byte("b")}, "1 4"},
		{kv.Query{Exact: []byte{}}, "5"},
		{kv.Query{Exact: []byte("x")}, ""},
		{kv.Query{Prefix: []byte("a")}, "2 3"},
		{kv.Query{Prefix: []byte{}}, "5 2 3 1 4 6"},
		{kv.Query{Lo: []byte("a"), Hi: []byte("b")}, "2 3"},
		{kv.Query{Lo: []byte("ab")}, "3 1 4 6"},
		{kv.Query{Hi: []byte("ab")}, "5 2"},
	} {
		q := tc.q
		q.Index = "x"
		p.query(q, tc.want)
		q.Reverse = true
		back := strings.Fields(tc.want)
		for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
			back[i], back[j] = back[j], back[i]
		}
		p.query(q, strings.Join(back, " "))
	}
	_, err := p.s.Query(p.ctx, kv.Query{Index: "x", Exact: []byte("a"), Prefix: []byte("a")})
	p.is("Query of two kinds", err, fault.ErrInvalid)
}

func indexEscape(p *probe) {
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 2}})
	p.put("k", "\x00\x00", "\xffk", "\x00\x00", "\x00", "\x00\x01", "l", "\x00\xff", "m", "\x01\x00", "n", "\xff\xff")
	p.query(kv.Query{Index: "x"}, "k \xffk \x00 l m n")
	p.query(kv.Query{Index: "x", Exact: []byte("\x00\x00")}, "k \xffk")
	p.query(kv.Query{Index: "x", Prefix: []byte("\x00")}, "k \xffk \x00 l")
	p.query(kv.Query{Index: "x", Lo: []byte("\x00\x01"), Hi: []byte("\x01\x00")}, "\x00 l")
	p.query(kv.Query{Index: "x", Prefix: []byte("\xff")}, "n")
}

func indexPages(p *probe) {
	p.index(kv.Index{Name: "x", JSONPath: "v"})
	for i := range 9 {
		p.put(fmt.Sprint(i), fmt.Sprintf(`{"v":"%d"}`, i%3))
	}
	for _, back := range []bool{false, true} {
		want := "0 3 6 1 4 7 2 5 8"
		if back {
			want = "8 5 2 7 4 1 6 3 0"
		}
		for limit := 1; limit < 11; limit++ {
			var got []string
			q := kv.Query{Index: "x", Reverse: back, Limit: limit}
			for more := p.pages(); more(q.Cursor); {
				page, err := p.s.Query(p.ctx, q)
				p.ok("Query", err)
				got = append(got, pageKeys(page))
				q.Cursor = page.Next
			}
			same(p, fmt.Sprintf("pages of %d", limit), strings.Join(got, " "), want)
		}
	}
	page, err := p.s.Query(p.ctx, kv.Query{Index: "x", Limit: 1})
	p.ok("Query", err)
	_, err = p.s.Query(p.ctx, kv.Query{Index: "x", Prefix: []byte("0"), Cursor: page.Next})
	p.is("Query with the cursor of another", err, fault.ErrInvalid)
	_, err = p.s.Page(p.ctx, kv.PageOptions{Cursor: page.Next})
	p.is("Page with the cursor of a query", err, fault.ErrInvalid)
}

func indexFollows(p *probe) {
	t0 := epoch()
	p.advance(t0)
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Off: 7, Len: 1}})
	all := kv.Query{Index: "x"}
	row := func(c string) string { return "\x00\x00\x00\x00\x00\x00\x00" + c }
	p.put("a", row("1"), "b", row("2"), "c", row("3"), "d", row("4"), "e", row("5"))
	p.query(all, "a b c d e")
	p.put("a", row("9"))
	p.query(all, "b c d e a")
	p.put("a", "short")
	p.query(all, "b c d e")
	p.ok("Delete", p.s.Delete(p.ctx, []byte("b")))
	p.query(all, "c d e")
	_, err := p.s.CompareAndSwap(p.ctx, []byte("c"), []byte(row("3")), []byte(row("8")))
	p.ok("CompareAndSwap", err)
	p.query(all, "d e c")
	_, err = p.s.CompareAndSwap(p.ctx, []byte("c"), []byte(row("8")), nil)
	p.ok("CompareAndSwap", err)
	p.query(all, "d e")
	_, err = p.s.Increment(p.ctx, []byte("d"), 10)
	p.ok("Increment", err)
	p.query(all, "e d")
	p.until("e", row("z"), t0.Add(time.Second))
	p.query(all, "d e")
	p.advance(t0.Add(time.Second))
	_, err = p.s.Expire(p.ctx, 0)
	p.ok("Expire", err)
	p.query(all, "d")
	p.until("f", row("y"), t0.Add(time.Hour))
	p.ok("DeleteRange", p.s.DeleteRange(p.ctx, kv.Range{}))
	p.query(all, "")
	p.next(time.Time{})
}

func indexBuild(p *probe) {
	for i := range 10 {
		p.put(fmt.Sprint(i), fmt.Sprintf(`{"v":"%d"}`, 9-i))
	}
	q := kv.Query{Index: "x"}
	build := func(limit int) (done bool) {
		p.update(func(t *kv.WriteTx) (err error) {
			done, err = t.BuildIndex("x", limit)
			return err
		})
		return done
	}
	p.update(func(t *kv.WriteTx) error { return t.CreateIndex(kv.Index{Name: "x", JSONPath: "v"}) })
	_, err := p.s.Query(p.ctx, q)
	p.is("Query before the build", err, fault.ErrInvalid)
	same(p, "BuildIndex(4)", build(4), false)
	p.put("0", `{"v":"x"}`, "9", `{"v":"a"}`, "8", `{}`)
	p.ok("Delete", p.s.Delete(p.ctx, []byte("7")))
	p.ok("Delete", p.s.Delete(p.ctx, []byte("1")))
	_, err = p.s.Query(p.ctx, q)
	p.is("Query during the build", err, fault.ErrInvalid)
	list, err := p.s.Indexes(p.ctx)
	p.ok("Indexes", err)
	same(p, "Indexes", len(list) == 1 && list[0].Name == "x" && !list[0].Built, true)
	same(p, "BuildIndex(3)", build(3), false)
	same(p, "BuildIndex(100)", build(100), true)
	p.query(q, "6 5 4 3 2 9 0")
	same(p, "BuildIndex of a built one", build(1), true)
	p.update(func(t *kv.WriteTx) error {
		_, err := t.BuildIndex("none", 1)
		p.is("BuildIndex(none)", err, fault.ErrNotFound)
		return nil
	})
}

func indexDeclare(p *probe) {
	for _, bad := range []kv.Index{
		{}, {Name: "x"}, {JSONPath: "v"},
		{Name: "x", JSONPath: "v", Bytes: &kv.ByteRange{Len: 1}},
		{Name: "x", JSONPath: "v", JSONType: 9},
		{Name: "x", JSONPath: "a..b"}, {Name: "x", JSONPath: "a[b]"}, {Name: "x", JSONPath: "a[01]"},
		{Name: "x", Bytes: &kv.ByteRange{}}, {Name: "x", Bytes: &kv.ByteRange{Len: kv.MaxIndexValue + 1}},
		{Name: "x", Extractor: "missing"}, {Name: "x", Extractor: "first-word", Version: 2},
		{Name: strings.Repeat("x", 65), JSONPath: "v"},
	} {
		p.is(fmt.Sprintf("CreateIndex(%+v)", bad), p.s.CreateIndex(p.ctx, bad), fault.ErrInvalid)
	}
	p.index(kv.Index{Name: "x", JSONPath: "v"})
	p.is("CreateIndex of a taken name", p.s.CreateIndex(p.ctx, kv.Index{Name: "x", JSONPath: "w"}), fault.ErrConflict)
	p.is("DropIndex(none)", p.s.DropIndex(p.ctx, "none"), fault.ErrNotFound)
	_, err := p.s.Query(p.ctx, kv.Query{Index: "none"})
	p.is("Query(none)", err, fault.ErrNotFound)
}

func indexDrop(p *probe) {
	p.index(kv.Index{Name: "other", JSONPath: "v"})
	p.index(kv.Index{Name: "x", JSONPath: "v"})
	p.put("a", `{"v":"1"}`)
	p.ok("DropIndex", p.s.DropIndex(p.ctx, "x"))
	_, err := p.s.Query(p.ctx, kv.Query{Index: "x"})
	p.is("Query of a dropped index", err, fault.ErrNotFound)
	p.put("a", `{"v":"2"}`, "b", `{"v":"3"}`)
	p.index(kv.Index{Name: "x", JSONPath: "v"})
	p.query(kv.Query{Index: "x"}, "a b")
	p.query(kv.Query{Index: "x", Exact: []byte("1")}, "")
	p.query(kv.Query{Index: "other"}, "a b")
}

func indexDead(p *probe) {
	t0 := epoch()
	p.advance(t0)
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}})
	p.until("a", "1", t0.Add(time.Second))
	p.put("b", "2", "c", "3")
	p.advance(t0.Add(time.Second))
	p.query(kv.Query{Index: "x", Limit: 2}, "b c")
	p.query(kv.Query{Index: "x", Exact: []byte("1")}, "")
}

func indexDeadAgain(p *probe) {
	t0 := epoch()
	p.advance(t0)
	p.until("a", "1", t0.Add(time.Second))
	p.put("b", "2")
	p.advance(t0.Add(time.Second))
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}})
	p.put("a", "1")
	p.query(kv.Query{Index: "x"}, "a b")
	p.ok("Delete", p.s.Delete(p.ctx, []byte("a")))
	p.query(kv.Query{Index: "x"}, "b")
}

func indexOwnWrites(p *probe) {
	p.index(kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}})
	p.put("a", "1", "b", "2")
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("c"), []byte("0")))
		p.ok("Delete", t.Delete([]byte("a")))
		page, err := t.Query(kv.Query{Index: "x"})
		same(p, "Query inside", pageKeys(page), "c b")
		return err
	})
}
