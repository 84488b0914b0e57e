package pebblekv

import (
	"bytes"
	"errors"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// get copies the value: to lend it would keep its block in memory until the
// transaction ends.
func (g *generation) get(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fault.ErrNotFound
	}
	if err != nil {
		return nil, g.damaged(err)
	}
	v = append(make([]byte, 0, len(v)), v...)
	return v, closer.Close()
}

// iterator sees r as it is now. A nil one is an empty walk.
func (g *generation) iterator(r pebble.Reader, span kv.Range) (*pebble.Iterator, error) {
	o := pebble.IterOptions{KeyTypes: pebble.IterKeyTypePointsOnly}
	if len(span.Lo) > 0 {
		o.LowerBound = span.Lo
	}
	if len(span.Hi) > 0 {
		o.UpperBound = span.Hi
		if bytes.Compare(span.Lo, span.Hi) >= 0 {
			return nil, nil
		}
	}
	it, err := r.NewIter(&o)
	return it, g.damaged(err)
}

// walk yields what it passes and closes it, also when the loop panics.
func (g *generation) walk(it *pebble.Iterator, reverse bool, yield func(kv.Pair, error) bool) {
	defer it.Close()
	first, next := it.First, it.Next
	if reverse {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		v, err := it.ValueAndErr()
		if err != nil {
			yield(kv.Pair{}, g.damaged(err))
			return
		}
		if !yield(kv.Pair{Key: it.Key(), Value: v}, nil) {
			return
		}
	}
	if err := it.Error(); err != nil {
		yield(kv.Pair{}, g.damaged(err))
	}
}

// scan walks what newIter opens when the walk begins.
func (db *DB) scan(g *generation, span kv.Range, newIter func() (*pebble.Iterator, error)) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		defer db.hold(g)()
		it, err := newIter()
		switch {
		case err != nil:
			yield(kv.Pair{}, err)
		case it != nil:
			g.walk(it, span.Reverse, yield)
		}
	}
}
