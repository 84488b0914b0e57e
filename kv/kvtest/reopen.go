package kvtest

import (
	"bytes"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func reopenCases() []Case {
	return []Case{
		storeCaseWith("reopen/state", "rows, deadlines, indexes, mark and identity are there after a reopen", indexOptions(), reopenState),
		storeCaseWith("reopen/import", "what was imported is there after a reopen", indexOptions(), reopenImport),
		storeCaseWith("reopen/extractor", "a missing or changed extractor is refused, or rebuilt when asked to", indexOptions(), reopenExtractor),
	}
}

// reopen closes and opens the store, and reports false if the engine has
// forgotten everything, as it said it would.
func (p *probe) reopen() bool {
	volatile := p.volatile()
	p.ok("Close", p.s.Close())
	p.open()
	if volatile && p.err == nil {
		p.scan(kv.Range{}, "")
		m, err := p.s.Mark(p.ctx)
		p.ok("Mark", err)
		same(p, "index of a volatile store after a reopen", m.Index, 0)
	}
	return !volatile && p.err == nil
}

func reopenState(p *probe) {
	t0 := epoch()
	id := kv.Identity{Node: [16]byte{9}, Epoch: 2}
	p.ok("SetIdentity", p.s.SetIdentity(id))
	p.index(kv.Index{Name: "w", Extractor: "first-word", Version: 1})
	p.update(func(t *kv.WriteTx) error {
		p.ok("SetMark", t.SetMark(kv.Mark{Index: 12, Term: 3, Clock: t0, Membership: []byte("m"), MembershipIndex: 12}))
		p.ok("Put", t.Put([]byte("a"), []byte("zoo x")))
		p.ok("Put", t.Put([]byte("b"), []byte("")))
		return t.PutTTL([]byte("c"), []byte("ape x"), time.Second)
	})
	t, err := p.s.BeginWrite(p.ctx)
	p.ok("BeginWrite", err)
	p.ok("Put", t.Put([]byte("lost"), nil))
	p.ok("Rollback", t.Rollback())
	want, _ := p.export()
	if !p.reopen() {
		return
	}
	got, _ := p.export()
	same(p, "export after a reopen", bytes.Equal(got, want), true)
	same(p, "identity", p.s.Identity(), id)
	p.query(kv.Query{Index: "w"}, "c a")
	p.next(t0.Add(time.Second))
	p.advance(t0.Add(time.Second))
	p.put("c", "bee x")
	p.query(kv.Query{Index: "w"}, "c a")
	n, err := p.s.Expire(p.ctx, 10)
	p.ok("Expire", err)
	same(p, "expired", n, 0)
	p.query(kv.Query{Index: "w"}, "c a")
}

func reopenImport(p *probe) {
	p.index(kv.Index{Name: "w", Extractor: "first-word", Version: 1})
	p.put("a", "b x", "b", "a x")
	p.update(func(t *kv.WriteTx) error { return t.SetMark(kv.Mark{Index: 3, Term: 1}) })
	stream, _ := p.export()
	p.put("c", "c x")
	if !p.canImport() {
		return
	}
	p.imports(stream, nil)
	if !p.reopen() {
		return
	}
	got, _ := p.export()
	same(p, "export after import and reopen", bytes.Equal(got, stream), true)
	p.query(kv.Query{Index: "w"}, "b a")
	p.put("d", "d x")
	if p.reopen() {
		p.scan(kv.Range{}, "a b d")
	}
}

func reopenExtractor(p *probe) {
	p.index(kv.Index{Name: "p", Extractor: "panics"})
	p.index(kv.Index{Name: "w", Extractor: "first-word", Version: 1})
	p.put("a", "b xx", "b", "a xx")
	if !p.reopen() {
		return
	}
	p.ok("Close", p.s.Close())
	whole := func(_, value []byte) ([]byte, bool) { return value, true }
	v2 := []kv.Extractor{{Name: "first-word", Version: 2, Extract: whole}}
	for _, o := range []*kv.Options{nil, {Extractors: v2}} {
		d, err := p.place()
		p.ok("open the engine", err)
		_, err = kv.New(d, o)
		p.is("New without the extractor", err, fault.ErrInvalid)
		p.ok("Close", d.Close())
	}
	p.o = &kv.Options{Extractors: v2, Reindex: true}
	p.open()
	_, err := p.s.Query(p.ctx, kv.Query{Index: "p"})
	p.is("Query of an index without extractor", err, fault.ErrNotFound)
	_, err = p.s.Query(p.ctx, kv.Query{Index: "w"})
	p.is("Query of an index to build again", err, fault.ErrInvalid)
	p.index(kv.Index{Name: "w", Extractor: "first-word", Version: 2})
	p.query(kv.Query{Index: "w", Exact: []byte("a xx")}, "b")
	p.o = &kv.Options{Extractors: v2}
	if p.reopen() {
		p.query(kv.Query{Index: "w"}, "b a")
	}
}
