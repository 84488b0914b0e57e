package kv

import (
	"bytes"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// PageOptions say which page of a range to read.
type PageOptions struct {
	Range Range
	// Limit is the most rows in the page, 1,000 if zero.
	Limit int
	// MaxBytes is the most bytes of keys and values, 1 MiB if zero. The first
	// row is in the page however long it is.
	MaxBytes int
	// Cursor is where an earlier page of the same range ended, "" for the
	// first page. It stays good for any later state: the page begins after the
	// last row of the earlier one, whether or not that row still exists.
	Cursor Cursor
}

// Page is some rows in order. They belong to the caller.
type Page struct {
	Rows []Pair
	Next Cursor // "" after the last page
}

// Page reads one page. Pages of one transaction are pages of one state.
func (t *txn) Page(o PageOptions) (Page, error) {
	if err := t.enter("page"); err != nil {
		return Page{}, err
	}
	defer t.leave()
	p, err := t.page(o)
	return p, wrap("page", err)
}

func (t *txn) page(o PageOptions) (Page, error) {
	c, err := newCollector(o.Limit, o.MaxBytes)
	if err != nil {
		return Page{}, err
	}
	b := bindPage(o.Range)
	r, err := o.Cursor.resume(b, o.Range)
	if err != nil {
		return Page{}, err
	}
	for x, err := range t.rows(r) {
		if err != nil {
			return Page{}, err
		}
		if !c.add(x.key, x.value) {
			return c.page(newCursor(b, c.lastKey())), nil
		}
	}
	return c.page(""), nil
}

// collector copies rows into one arena until the page is full.
type collector struct {
	limit, maxBytes int
	arena           []byte
	ends            []int // of each key and each value in the arena
}

func newCollector(limit, maxBytes int) (*collector, error) {
	if limit < 0 || maxBytes < 0 {
		return nil, fmt.Errorf("limit of %d rows and %d bytes: %w", limit, maxBytes, fault.ErrInvalid)
	}
	setDefault(&limit, defaultLimit)
	setDefault(&maxBytes, defaultBytes)
	return &collector{limit: limit, maxBytes: maxBytes}, nil
}

// add reports whether the row still fitted.
func (c *collector) add(key, value []byte) bool {
	rows := len(c.ends) / 2
	if rows == c.limit || rows > 0 && len(c.arena)+len(key)+len(value) > c.maxBytes {
		return false
	}
	c.arena = append(c.arena, key...)
	c.ends = append(c.ends, len(c.arena))
	c.arena = append(c.arena, value...)
	c.ends = append(c.ends, len(c.arena))
	return true
}

func (c *collector) lastKey() []byte {
	n, from := len(c.ends), 0
	if n > 2 {
		from = c.ends[n-3]
	}
	return c.arena[from:c.ends[n-2]]
}

func (c *collector) page(next Cursor) Page {
	p := Page{Rows: make([]Pair, len(c.ends)/2), Next: next}
	from := 0
	cut := func(to int) []byte {
		b := c.arena[from:to:to]
		from = to
		return b
	}
	for i := range p.Rows {
		p.Rows[i] = Pair{Key: cut(c.ends[2*i]), Value: cut(c.ends[2*i+1])}
	}
	return p
}

// contains reports whether key is in r.
func (r Range) contains(key []byte) bool {
	return bytes.Compare(r.Lo, key) <= 0 && (len(r.Hi) == 0 || bytes.Compare(key, r.Hi) < 0)
}

// after is what is left of r when the walk has passed key.
func (r Range) after(key []byte) Range {
	if r.Reverse {
		r.Hi = key
	} else {
		r.Lo = append(bytes.Clone(key), 0)
	}
	return r
}
