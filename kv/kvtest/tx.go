package kvtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func txCases() []Case {
	return []Case{
		storeCase("tx/own-writes", "a write transaction reads its own writes in every way", ownWrites),
		storeCase("tx/atomic", "nothing of a transaction is seen before its commit, and all of it after", atomic),
		storeCase("tx/rollback", "a rollback keeps nothing, is idempotent and safe after Commit", rollback),
		storeCase("tx/single-use", "a second Commit, and any use of an ended transaction, is closed", singleUse),
		storeCase("tx/error", "an error or a panic inside Update or View leaves nothing, and no lock", callbackFails),
		storeCase("tx/one-writer", "BeginWrite waits for the writer before it, or for its context", oneWriter),
		storeCase("tx/stable-walk", "what a loop over Scan writes does not change the walk", stableWalk),
		storeCase("tx/inside-walk", "Commit inside a walk is invalid, Rollback ends the walk", endInsideWalk),
		storeCase("tx/mark", "the mark moves with the data, and never back", markMoves),
		storeCase("tx/bind", "a bound store changes through its applier only", bind),
		storeCase("tx/close", "Close ends open transactions; everything after it is closed", closeStore),
		storeCase("tx/context", "a cancelled context ends calls", contexts),
	}
}

func ownWrites(p *probe) {
	p.put("a", "1", "b", "2")
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("c"), []byte("3")))
		p.ok("Delete", t.Delete([]byte("a")))
		p.ok("Put", t.Put([]byte("b"), []byte("two")))
		p.sees(t, "a", "-")
		p.sees(t, "b", "two")
		p.rows("Scan", t.Scan(kv.Range{}), "b c")
		page, err := t.Page(kv.PageOptions{Range: kv.Range{Reverse: true}})
		p.ok("Page", err)
		same(p, "Page", pageKeys(page), "c b")
		values, err := t.MultiGet([][]byte{[]byte("a"), []byte("c")})
		p.ok("MultiGet", err)
		same(p, "MultiGet", fmt.Sprintf("%q", values), `["" "3"]`)
		n, err := t.Count(kv.Range{})
		p.ok("Count", err)
		same(p, "Count", n, 2)
		swapped, err := t.CompareAndSwap([]byte("c"), []byte("3"), []byte("4"))
		p.ok("CompareAndSwap", err)
		same(p, "CompareAndSwap", swapped, true)
		return nil
	})
	p.scan(kv.Range{}, "b c")
	p.has("c", "4")
}

func atomic(p *probe) {
	p.put("a", "1")
	r, err := p.s.BeginRead(p.ctx)
	p.ok("BeginRead", err)
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	p.ok("Put", t.Put([]byte("a"), []byte("2")))
	p.ok("Put", t.Put([]byte("b"), []byte("2")))
	p.has("a", "1")
	p.has("b", "-")
	p.ok("Commit", t.Commit())
	p.has("a", "2")
	p.has("b", "2")
	p.sees(r, "a", "1")
	p.sees(r, "b", "-")
	p.ok("Close", r.Close())
	p.ok("Close again", r.Close())
}

func rollback(p *probe) {
	p.put("a", "1")
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	p.ok("Put", t.Put([]byte("a"), []byte("2")))
	p.ok("DeleteRange", t.DeleteRange(kv.Range{}))
	p.ok("CreateIndex", t.CreateIndex(kv.Index{Name: "x", JSONPath: "x"}))
	p.ok("SetMark", t.SetMark(kv.Mark{Index: 9, Term: 9}))
	p.ok("Rollback", t.Rollback())
	p.ok("Rollback again", t.Rollback())
	p.is("Commit after Rollback", t.Commit(), fault.ErrClosed)
	p.has("a", "1")
	m, err := p.s.Mark(p.ctx)
	p.ok("Mark", err)
	same(p, "index after a rollback", m.Index, 0)
	p.ok("CreateIndex", p.s.CreateIndex(p.ctx, kv.Index{Name: "x", JSONPath: "y"}))
	t, err = p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	p.ok("Put", t.Put([]byte("a"), []byte("3")))
	p.ok("Commit", t.Commit())
	p.ok("Rollback after Commit", t.Rollback())
	p.has("a", "3")
}

func singleUse(p *probe) {
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	p.ok("Put", t.Put([]byte("a"), []byte("1")))
	p.ok("Commit", t.Commit())
	p.is("second Commit", t.Commit(), fault.ErrClosed)
	p.is("Put after Commit", t.Put([]byte("b"), nil), fault.ErrClosed)
	_, err = t.Get([]byte("a"))
	p.is("Get after Commit", err, fault.ErrClosed)
	r, err := p.s.BeginRead(p.ctx)
	p.ok("BeginRead", err)
	p.ok("Close", r.Close())
	_, err = r.Get([]byte("a"))
	p.is("Get after Close", err, fault.ErrClosed)
	_, err = keys(r.Scan(kv.Range{}))
	p.is("Scan after Close", err, fault.ErrClosed)
}

func callbackFails(p *probe) {
	p.put("a", "1")
	mine := errors.New("mine")
	p.is("Update", p.s.Update(p.ctx, func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("a"), []byte("2")))
		p.is("Commit inside Update", t.Commit(), fault.ErrInvalid)
		p.is("Rollback inside Update", t.Rollback(), fault.ErrInvalid)
		return mine
	}), mine)
	p.is("View", p.s.View(p.ctx, func(*kv.ReadTx) error { return mine }), mine)
	if err := recovered(func() {
		_ = p.s.Update(p.ctx, func(t *kv.WriteTx) error {
			p.ok("Put", t.Put([]byte("a"), []byte("3")))
			for _, err := range t.Scan(kv.Range{}) {
				p.ok("Scan", err)
				panic("in the loop")
			}
			return nil
		})
	}); err == nil {
		p.failf("the panic inside Update went missing")
	}
	if err := recovered(func() { _ = p.s.View(p.ctx, func(*kv.ReadTx) error { panic("here") }) }); err == nil {
		p.failf("the panic inside View went missing")
	}
	p.has("a", "1")
	p.put("a", "4")
	st, err := p.s.Stats()
	p.ok("Stats", err)
	same(p, "open transactions", st.OpenTxns, 0)
}

func oneWriter(p *probe) {
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	ctx, cancel := context.WithCancel(p.ctx)
	failed := make(chan error)
	go func() {
		_, err := p.s.BeginWrite(ctx)
		failed <- err
	}()
	cancel()
	p.is("BeginWrite with a cancelled context", <-failed, context.Canceled)
	done := make(chan error)
	go func() {
		done <- p.s.Update(p.ctx, func(t *kv.WriteTx) error {
			v, err := t.Get([]byte("a"))
			return errors.Join(err, t.Put([]byte("b"), v))
		})
	}()
	p.ok("Put", t.Put([]byte("a"), []byte("1")))
	p.ok("Commit", t.Commit())
	p.ok("Update that waited", <-done)
	p.has("b", "1")
}

func stableWalk(p *probe) {
	p.put("a", "1", "c", "3")
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("b"), []byte("2")))
		var seen []string
		for pair, err := range t.Scan(kv.Range{}) {
			p.ok("Scan", err)
			seen = append(seen, string(pair.Key)+string(pair.Value))
			p.ok("Delete", t.Delete(pair.Key))
			p.ok("Put", t.Put(append([]byte("z"), pair.Key...), pair.Value))
			p.ok("Put", t.Put([]byte("c"), []byte("later")))
		}
		same(p, "walk that writes", strings.Join(seen, " "), "a1 b2 c3")
		return nil
	})
	p.scan(kv.Range{}, "c za zb zc")
}

func endInsideWalk(p *probe) {
	p.put("a", "1", "b", "2")
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	var last error
	n := 0
	for _, err := range t.Scan(kv.Range{}) {
		if last = err; err != nil {
			break
		}
		n++
		p.is("Commit inside a walk", t.Commit(), fault.ErrInvalid)
		p.ok("Put inside a walk", t.Put([]byte("c"), nil))
		p.ok("Rollback inside a walk", t.Rollback())
	}
	same(p, "rows before the rollback", n, 1)
	p.is("the walk", last, fault.ErrClosed)
	p.scan(kv.Range{}, "a b")
	p.put("c", "3")
}

func markMoves(p *probe) {
	m, err := p.s.Mark(p.ctx)
	p.ok("Mark", err)
	same(p, "mark of an empty store", fmt.Sprintf("%+v", m), fmt.Sprintf("%+v", kv.Mark{}))
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("a"), []byte("1")))
		p.ok("SetMark", t.SetMark(kv.Mark{Index: 5, Term: 2}))
		p.ok("SetMembership", t.SetMembership([]byte("abc")))
		p.ok("SetMark", t.SetMark(kv.Mark{Index: 7, Term: 2}))
		m, err := t.Mark()
		p.ok("Mark", err)
		same(p, "mark inside", m.Index, 7)
		return nil
	})
	for _, bad := range []kv.Mark{{Index: 6, Term: 2}, {Index: 8, Term: 1}, {Index: 7, Term: 3}, {Index: 8, Term: 2, MembershipIndex: 9}, {Index: 8, Term: 2, MembershipIndex: 4}} {
		p.is(fmt.Sprintf("SetMark(%+v)", bad), p.s.Update(p.ctx, func(t *kv.WriteTx) error { return t.SetMark(bad) }), fault.ErrInvalid)
	}
	p.is("failing Update", p.s.Update(p.ctx, func(t *kv.WriteTx) error {
		p.ok("SetMark", t.SetMark(kv.Mark{Index: 8, Term: 3}))
		return context.Canceled
	}), context.Canceled)
	p.update(func(t *kv.WriteTx) error { return t.SetMark(kv.Mark{Index: 7, Term: 2}) })
	m, err = p.s.Mark(p.ctx)
	p.ok("Mark", err)
	if m.Index != 7 || m.Term != 2 || string(m.Membership) != "abc" || m.MembershipIndex != 5 || !m.Clock.IsZero() {
		p.failf("Mark() = %+v, want 7 in term 2, membership abc of 5", m)
	}
}

func bind(p *probe) {
	p.put("a", "1")
	a, err := p.s.Bind()
	p.ok("Bind", err)
	_, err = p.s.Bind()
	p.is("second Bind", err, fault.ErrConflict)
	ctx, key := p.ctx, []byte("a")
	_, begin := p.s.BeginWrite(ctx)
	_, swap := p.s.CompareAndSwap(ctx, key, nil, key)
	_, inc := p.s.Increment(ctx, key, 1)
	_, expire := p.s.Expire(ctx, 1)
	_, imp := p.s.Import(ctx, nil, nil)
	_, beginImport := p.s.BeginImport(ctx)
	for what, err := range map[string]error{
		"BeginWrite": begin, "CompareAndSwap": swap, "Increment": inc, "Expire": expire, "Import": imp, "BeginImport": beginImport,
		"Update": p.s.Update(ctx, func(*kv.WriteTx) error { return nil }),
		"Put":    p.s.Put(ctx, key, key), "PutTTL": p.s.PutTTL(ctx, key, key, 1), "Delete": p.s.Delete(ctx, key),
		"DeleteRange": p.s.DeleteRange(ctx, kv.Range{}), "CreateIndex": p.s.CreateIndex(ctx, kv.Index{Name: "x", JSONPath: "x"}),
		"DropIndex": p.s.DropIndex(ctx, "x"),
	} {
		p.is(what+" on a bound store", err, fault.ErrInvalid)
	}
	t, err := a.BeginWrite(ctx)
	p.ok("Applier.BeginWrite", err)
	p.ok("SetMark", t.SetMark(kv.Mark{Index: 3, Term: 1}))
	inner := t.Restrict()
	p.ok("Put", inner.Put(key, []byte("2")))
	p.ok("SetMembership", inner.SetMembership([]byte("m")))
	p.is("SetMark inside Apply", inner.SetMark(kv.Mark{Index: 4, Term: 1}), fault.ErrInvalid)
	p.is("Commit inside Apply", inner.Commit(), fault.ErrInvalid)
	p.is("Rollback inside Apply", inner.Rollback(), fault.ErrInvalid)
	p.ok("Commit", t.Commit())
	p.has("a", "2")
	m, err := p.s.Mark(ctx)
	p.ok("Mark", err)
	same(p, "membership index", m.MembershipIndex, 3)
	if i, err := a.BeginImport(ctx); !errors.Is(err, fault.ErrUnsupported) {
		p.ok("Applier.BeginImport", err)
		p.ok("Abort", i.Abort())
	}
}

func closeStore(p *probe) {
	p.put("a", "1")
	r, err := p.s.BeginRead(p.ctx)
	p.ok("BeginRead", err)
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	waits := make(chan error)
	go func() {
		_, err := p.s.BeginWrite(p.ctx)
		waits <- err
	}()
	c, err := p.s.Capture(p.ctx)
	p.ok("Capture", err)
	p.ok("Close", p.s.Close())
	p.is("BeginWrite that waited", <-waits, fault.ErrClosed)
	_, err = r.Get([]byte("a"))
	p.is("Get in a transaction of a closed store", err, fault.ErrClosed)
	p.is("Put in a transaction of a closed store", t.Put([]byte("a"), nil), fault.ErrClosed)
	p.is("Commit in a closed store", t.Commit(), fault.ErrClosed)
	p.ok("Rollback in a closed store", t.Rollback())
	p.ok("Close of a transaction", r.Close())
	_, err = c.WriteTo(io.Discard)
	p.is("WriteTo of a capture of a closed store", err, fault.ErrClosed)
	p.ok("Release", c.Release())
	_, get := p.s.Get(p.ctx, []byte("a"))
	_, stats := p.s.Stats()
	_, count := p.s.Count(p.ctx, kv.Range{})
	_, imp := p.s.BeginImport(p.ctx)
	for what, err := range map[string]error{"Get": get, "Stats": stats, "Count": count, "BeginImport": imp, "Put": p.s.Put(p.ctx, []byte("a"), nil), "Sync": p.s.Sync()} {
		p.is(what+" after Close", err, fault.ErrClosed)
	}
	p.ok("second Close", p.s.Close())
}

func contexts(p *probe) {
	fillTen(p)
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	n := 0
	for _, err := range p.s.Scan(ctx, kv.Range{}) {
		if err != nil {
			p.is("Scan", err, context.Canceled)
			break
		}
		n++
		cancel()
	}
	same(p, "rows before the end of the context", n, 1)
	_, get := p.s.Get(ctx, []byte("a"))
	_, begin := p.s.BeginRead(ctx)
	_, count := p.s.Count(ctx, kv.Range{})
	_, digest := p.s.Digest(ctx, kv.Range{})
	for what, err := range map[string]error{"Get": get, "BeginRead": begin, "Count": count, "Digest": digest, "Put": p.s.Put(ctx, []byte("a"), nil)} {
		p.is(what, err, context.Canceled)
	}
}
