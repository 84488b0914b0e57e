package kvtest

import (
	"fmt"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func pageCases() []Case {
	return []Case{
		storeCase("page/cover", "pages one after another are the range, without a row lost or twice", pagesCover),
		storeCase("page/bytes", "a page ends at MaxBytes, but has one row at least", pageBytes),
		storeCase("page/cursor", "a cursor of another range, or none of ours, is invalid", pageCursor),
		storeCase("page/changes", "a cursor stays good when its row goes and others come", pageChanges),
		storeCase("page/snapshot", "pages of one transaction are pages of one state", pageSnapshot),
	}
}

func fillTen(p *probe) {
	for i := range 10 {
		p.put(fmt.Sprintf("k%d", i), "0123456789")
	}
}

func pagesCover(p *probe) {
	fillTen(p)
	for _, r := range []kv.Range{{}, {Reverse: true}, span("k2", "k7"), reverse(span("k2", "k7")), kv.Prefix([]byte("k")), span("x", "")} {
		want, err := keys(p.s.Scan(p.ctx, r))
		p.ok("Scan", err)
		for limit := range 12 {
			var got []string
			var cursor kv.Cursor
			for more := p.pages(); more(cursor); {
				page, err := p.s.Page(p.ctx, kv.PageOptions{Range: r, Limit: limit, Cursor: cursor})
				p.ok("Page", err)
				if limit > 0 && len(page.Rows) > limit {
					p.failf("Page has %d rows, limit %d", len(page.Rows), limit)
				}
				if s := pageKeys(page); s != "" {
					got = append(got, s)
				}
				cursor = page.Next
			}
			same(p, fmt.Sprintf("pages of %d of %+v", limit, r), strings.Join(got, " "), want)
		}
	}
}

func pageBytes(p *probe) {
	fillTen(p)
	for _, tc := range []struct {
		bytes int
		want  string
	}{{1, "k0"}, {12, "k0"}, {24, "k0 k1"}, {35, "k0 k1"}, {36, "k0 k1 k2"}} {
		page, err := p.s.Page(p.ctx, kv.PageOptions{MaxBytes: tc.bytes})
		p.ok("Page", err)
		same(p, fmt.Sprintf("page of %d bytes", tc.bytes), pageKeys(page), tc.want)
	}
	_, err := p.s.Page(p.ctx, kv.PageOptions{Limit: -1})
	p.is("Page with limit -1", err, fault.ErrInvalid)
}

func pageCursor(p *probe) {
	fillTen(p)
	page, err := p.s.Page(p.ctx, kv.PageOptions{Range: span("k1", "k8"), Limit: 2})
	p.ok("Page", err)
	c := page.Next
	for _, bad := range []kv.PageOptions{
		{Range: span("k1", "k9"), Cursor: c},
		{Range: span("k0", "k8"), Cursor: c},
		{Range: reverse(span("k1", "k8")), Cursor: c},
		{Range: span("k1", "k8"), Cursor: c + "A"},
		{Range: span("k1", "k8"), Cursor: c[1:]},
		{Range: span("k1", "k8"), Cursor: "no cursor"},
	} {
		_, err := p.s.Page(p.ctx, bad)
		p.is(fmt.Sprintf("Page(%+v)", bad), err, fault.ErrInvalid)
	}
	page, err = p.s.Page(p.ctx, kv.PageOptions{Range: span("k1", "k8"), Limit: 3, MaxBytes: 1 << 10, Cursor: c})
	p.ok("Page", err)
	same(p, "page of another size", pageKeys(page), "k3 k4 k5")
}

func pageChanges(p *probe) {
	fillTen(p)
	page, err := p.s.Page(p.ctx, kv.PageOptions{Limit: 3})
	p.ok("Page", err)
	p.ok("Delete", p.s.Delete(p.ctx, []byte("k2")))
	p.put("k1x", "before", "k2x", "after")
	page, err = p.s.Page(p.ctx, kv.PageOptions{Limit: 3, Cursor: page.Next})
	p.ok("Page", err)
	same(p, "page after changes", pageKeys(page), "k2x k3 k4")
}

func pageSnapshot(p *probe) {
	fillTen(p)
	p.ok("View", p.s.View(p.ctx, func(t *kv.ReadTx) error {
		a, err := t.Page(kv.PageOptions{Limit: 5})
		if err != nil {
			return err
		}
		p.ok("DeleteRange", p.s.DeleteRange(p.ctx, kv.Range{}))
		b, err := t.Page(kv.PageOptions{Limit: 10, Cursor: a.Next})
		same(p, "pages of a snapshot", pageKeys(a)+" "+pageKeys(b), "k0 k1 k2 k3 k4 k5 k6 k7 k8 k9")
		return err
	}))
	p.scan(kv.Range{}, "")
}
