package kvtest

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// plain is an engine that is one sorted list. What a script makes of it, the
// script has to make of any engine, to the byte. One goroutine uses it.
type plain struct {
	pairs []kv.Pair // never changed in place
}

var _ kv.Generations = (*plain)(nil)

func (p *plain) Begin(context.Context, bool) (kv.DriverTx, error) {
	return &plainTx{p: p, pairs: p.pairs}, nil
}

func (p *plain) Fresh(context.Context) (kv.Ingester, error) { return &plainTx{p: p}, nil }
func (p *plain) Sync() error                                { return nil }
func (p *plain) Close() error                               { return nil }

// plainTx is a transaction, and a generation.
type plainTx struct {
	p     *plain
	pairs []kv.Pair
}

func (t *plainTx) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(t.pairs, key, func(p kv.Pair, key []byte) int { return bytes.Compare(p.Key, key) })
}

func (t *plainTx) Get(key []byte) ([]byte, error) {
	i, found := t.find(key)
	if !found {
		return nil, fault.ErrNotFound
	}
	return t.pairs[i].Value, nil
}

func (t *plainTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		lo, _ := t.find(r.Lo)
		hi := len(t.pairs)
		if len(r.Hi) > 0 {
			hi, _ = t.find(r.Hi)
		}
		list := slices.Clone(t.pairs[min(lo, hi):hi])
		if r.Reverse {
			slices.Reverse(list)
		}
		for _, p := range list {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (t *plainTx) Put(key, value []byte) error {
	t.set(key, kv.Pair{Key: bytes.Clone(key), Value: append([]byte{}, value...)})
	return nil
}

func (t *plainTx) Delete(key []byte) error {
	t.set(key)
	return nil
}

// set replaces the pair of key, if there is one, by others.
func (t *plainTx) set(key []byte, by ...kv.Pair) {
	i, found := t.find(key)
	rest := t.pairs[i:]
	if found {
		rest = rest[1:]
	}
	t.pairs = slices.Concat(t.pairs[:i], by, rest)
}

func (t *plainTx) Commit() error {
	t.p.pairs = t.pairs
	return nil
}

func (t *plainTx) Switch() error   { return t.Commit() }
func (t *plainTx) Sync() error     { return nil }
func (t *plainTx) Rollback() error { return nil }
func (t *plainTx) Discard() error  { return nil }
