package pebblekv

import (
	"bytes"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// get copies the value: to lend it would keep its block in memory until the
// transaction ends.
func (g *generation) get(r pebble.Reader, dst, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if err == pebble.ErrNotFound { //nolint:errorlint // Pebble returns it bare, and it is no failure
		return nil, fault.ErrNotFound
	}
	if err != nil {
		return nil, g.damaged(err)
	}
	if dst == nil {
		dst = make([]byte, 0, len(v))
	}
	return append(dst, v...), closer.Close()
}

// iterator sees r as it is now, and keeps the generation until end is called.
// A nil iterator is an empty walk. The caller's transaction is alive.
func (db *DB) iterator(g *generation, r pebble.Reader, span kv.Range) (it *pebble.Iterator, end func(), err error) {
	o := pebble.IterOptions{KeyTypes: pebble.IterKeyTypePointsOnly}
	if len(span.Lo) > 0 {
		o.LowerBound = span.Lo
	}
	if len(span.Hi) > 0 {
		o.UpperBound = span.Hi
		if bytes.Compare(span.Lo, span.Hi) >= 0 {
			return nil, func() {}, nil
		}
	}
	if it, err = r.NewIter(&o); err != nil {
		return nil, nil, g.damaged(err)
	}
	return it, db.hold(g), nil
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

// scan walks what begin opens when the walk begins, and then calls the function
// that begin returned.
func (g *generation) scan(reverse bool, begin func() (*pebble.Iterator, func(), error)) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		it, end, err := begin()
		if err != nil {
			yield(kv.Pair{}, err)
			return
		}
		defer end()
		if it != nil {
			g.walk(it, reverse, yield)
		}
	}
}
