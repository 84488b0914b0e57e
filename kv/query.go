package kv

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Query asks an index for rows, in the order of their index values and then
// of their keys. Set Exact, or Prefix, or Lo and Hi; with none of them it
// is every row in the index.
type Query struct {
	Index  string
	Exact  []byte // not nil: rows with this value
	Prefix []byte // not nil: rows whose value begins with it
	Lo, Hi []byte // rows whose value is in [Lo, Hi); an empty Hi has no upper bound

	Reverse  bool
	Limit    int    // as in PageOptions
	MaxBytes int    // as in PageOptions
	Cursor   Cursor // as in PageOptions, for the same query
}

// Query reads one page of rows through an index. It fails with
// fault.ErrNotFound if there is no such index, and with fault.ErrInvalid while
// it is not built.
func (t *txn) Query(q Query) (Page, error) {
	if err := t.enter("query"); err != nil {
		return Page{}, err
	}
	defer t.leave()
	p, err := t.query(q)
	return p, wrap("query", err)
}

func (t *txn) query(q Query) (Page, error) {
	r, err := q.values()
	if err != nil {
		return Page{}, err
	}
	c, err := newCollector(q.Limit, q.MaxBytes)
	if err != nil {
		return Page{}, err
	}
	x, err := readDefinition(t.d, q.Index)
	if err != nil {
		return Page{}, err
	}
	// A cursor holds an entry without the id, which differs between replicas
	// and between two lives of an index.
	b := bindQuery(q)
	if r, err = q.Cursor.resume(b, r); err != nil {
		return Page{}, err
	}
	var last []byte
	for p, err := range t.d.Scan(x.entries(r)) {
		if err != nil {
			return Page{}, err
		}
		found, err := t.follow(x, p.Key)
		if err != nil {
			return Page{}, err
		}
		if found.key == nil {
			continue // dead
		}
		if !c.add(found.key, found.value) {
			return c.page(newCursor(b, last)), nil
		}
		last = append(last[:0], p.Key[entryHeader:]...)
	}
	return c.page(""), nil
}

// values is the range of escaped values and keys that the query wants.
func (q Query) values() (Range, error) {
	r := Range{Reverse: q.Reverse}
	ways := 0
	if q.Exact != nil {
		ways++
		r.Lo = append(appendEscaped(nil, q.Exact), escapeByte, terminator)
		r.Hi = successor(r.Lo)
	}
	if q.Prefix != nil {
		ways++
		r.Lo = appendEscaped(nil, q.Prefix)
		r.Hi = successor(r.Lo)
	}
	if len(q.Lo) > 0 || len(q.Hi) > 0 {
		ways++
		r.Lo = append(appendEscaped(nil, q.Lo), escapeByte, terminator)
		if len(q.Hi) > 0 {
			r.Hi = append(appendEscaped(nil, q.Hi), escapeByte, terminator)
		}
	}
	if ways > 1 {
		return r, fmt.Errorf("set only one of Exact, Prefix and Lo with Hi: %w", fault.ErrInvalid)
	}
	return r, nil
}

// entries is where the engine keeps the entries of r.
func (x *definition) entries(r Range) Range {
	hi := entryPrefix(x.id + 1)
	if len(r.Hi) > 0 {
		hi = append(entryPrefix(x.id), r.Hi...)
	}
	return Range{Lo: append(entryPrefix(x.id), r.Lo...), Hi: hi, Reverse: r.Reverse}
}

// follow returns the row behind an entry, without a key if the row is dead.
func (t *txn) follow(x *definition, entry []byte) (stored, error) {
	_, _, key, err := parseEntryKey(entry)
	if err != nil {
		return stored{}, err
	}
	b, err := t.d.Get(rowKey(key))
	if errors.Is(err, fault.ErrNotFound) {
		return stored{}, damaged("index %q holds a row that does not exist", x.Name)
	}
	if err != nil {
		return stored{}, err
	}
	r, err := parseRow(b)
	if err != nil {
		return stored{}, err
	}
	alive, err := t.sees(r)
	if err != nil || !alive {
		return stored{}, err
	}
	return stored{key: key, raw: b, row: r}, nil
}
