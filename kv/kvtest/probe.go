package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// probe drives a store for one case. The first failure is kept, later ones
// are consequences.
type probe struct {
	ctx   context.Context
	place Place
	o     *kv.Options
	s     *kv.Store
	err   error
}

func (p *probe) failf(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// open opens the store, again after a Close.
func (p *probe) open() {
	d, err := p.place()
	if err == nil {
		p.s, err = kv.New(d, p.o)
	}
	if err != nil {
		p.failf("open: %w", err)
	}
}

// ok fails unless err is nil.
func (p *probe) ok(what string, err error) {
	if err != nil {
		p.failf("%s = %w, want nil", what, err)
	}
}

// is fails unless err is want.
func (p *probe) is(what string, err, want error) {
	if !errors.Is(err, want) {
		p.failf("%s = %v, want %v", what, err, want)
	}
}

// same fails unless got is want.
func same[T comparable](p *probe, what string, got, want T) {
	if got != want {
		p.failf("%s = %v, want %v", what, got, want)
	}
}

func (p *probe) put(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		p.ok("Put("+pairs[i]+")", p.s.Put(p.ctx, []byte(pairs[i]), []byte(pairs[i+1])))
	}
}

func (p *probe) update(fn func(t *kv.WriteTx) error) { p.ok("Update", p.s.Update(p.ctx, fn)) }

// getter is a transaction.
type getter interface {
	Get(key []byte) ([]byte, error)
	Scan(r kv.Range) iter.Seq2[kv.Pair, error]
}

// has fails unless the store has that value for key; "-" is none.
func (p *probe) has(key, want string) {
	v, err := p.s.Get(p.ctx, []byte(key))
	p.value("Get("+key+")", v, err, want)
}

// sees is has inside a transaction.
func (p *probe) sees(t getter, key, want string) {
	v, err := t.Get([]byte(key))
	p.value("Get("+key+") in a transaction", v, err, want)
}

func (p *probe) value(what string, v []byte, err error, want string) {
	switch {
	case want == "-":
		if !errors.Is(err, fault.ErrNotFound) {
			p.failf("%s = %q, %v, want not found", what, v, err)
		}
	case err != nil || string(v) != want:
		p.failf("%s = %q, %v, want %q", what, v, err, want)
	}
}

// rows fails unless the walk yields these keys.
func (p *probe) rows(what string, seq iter.Seq2[kv.Pair, error], want string) {
	got, err := keys(seq)
	if err != nil || got != want {
		p.failf("%s = %q, %v, want %q", what, got, err, want)
	}
}

func (p *probe) scan(r kv.Range, want string) {
	p.rows(fmt.Sprintf("Scan(%q, %q, reverse %v)", r.Lo, r.Hi, r.Reverse), p.s.Scan(p.ctx, r), want)
}

func keys(seq iter.Seq2[kv.Pair, error]) (string, error) {
	var list []string
	for pair, err := range seq {
		if err != nil {
			return strings.Join(list, " "), err
		}
		list = append(list, string(pair.Key))
	}
	return strings.Join(list, " "), nil
}

func pageKeys(page kv.Page) string {
	var list []string
	for _, row := range page.Rows {
		list = append(list, string(row.Key))
	}
	return strings.Join(list, " ")
}

// pages returns the condition of a loop over pages, which is told the cursor
// and ends at the last page, after a failure, or when there is no end.
func (p *probe) pages() func(kv.Cursor) bool {
	n := 0
	return func(c kv.Cursor) bool {
		if n++; n > 1000 {
			p.failf("a thousand pages, and no end")
		}
		return p.err == nil && (n == 1 || c != "")
	}
}

// query fails unless the query yields these keys.
func (p *probe) query(q kv.Query, want string) {
	page, err := p.s.Query(p.ctx, q)
	if got := pageKeys(page); err != nil || got != want {
		p.failf("Query(%+v) = %q, %v, want %q", q, got, err, want)
	}
}

// export returns the store's export and its summary.
func (p *probe) export() ([]byte, kv.Summary) {
	var b bytes.Buffer
	sum, err := p.s.Export(p.ctx, &b)
	p.ok("Export", err)
	return b.Bytes(), sum
}

func (p *probe) volatile() bool { return p.s.Volatile() }

func span(lo, hi string) kv.Range { return kv.Range{Lo: []byte(lo), Hi: []byte(hi)} }

func reverse(r kv.Range) kv.Range {
	r.Reverse = true
	return r
}
