package kvtest_test

import (
	"bytes"
	"context"
	"iter"
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/memkv"
)

// bug changes what the transactions of a good engine do.
type bug struct {
	get    func(t *buggyTx, key []byte) ([]byte, error)
	scan   func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error]
	put    func(t *buggyTx, key, value []byte) error
	delete func(t *buggyTx, key []byte) error
	commit func(t *buggyTx) error
	back   func(t *buggyTx) error
}

type buggy struct {
	kv.Driver
	bug bug
}

func (d *buggy) Unwrap() kv.Driver { return d.Driver }

func (d *buggy) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	t, err := d.Driver.Begin(ctx, writable)
	if err != nil {
		return nil, err
	}
	return &buggyTx{DriverTx: t, d: d, writable: writable}, nil
}

type buggyTx struct {
	kv.DriverTx
	d        *buggy
	writable bool
	late     []kv.Pair
}

func (t *buggyTx) Get(key []byte) ([]byte, error) {
	if f := t.d.bug.get; f != nil {
		return f(t, key)
	}
	return t.DriverTx.Get(key)
}

func (t *buggyTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	if f := t.d.bug.scan; f != nil {
		return f(t, r)
	}
	return t.DriverTx.Scan(r)
}

func (t *buggyTx) Put(key, value []byte) error {
	if f := t.d.bug.put; f != nil {
		return f(t, key, value)
	}
	return t.DriverTx.Put(key, value)
}

func (t *buggyTx) Delete(key []byte) error {
	if f := t.d.bug.delete; f != nil {
		return f(t, key)
	}
	return t.DriverTx.Delete(key)
}

func (t *buggyTx) Commit() error {
	if f := t.d.bug.commit; f != nil {
		return f(t)
	}
	return t.DriverTx.Commit()
}

func (t *buggyTx) Rollback() error {
	if f := t.d.bug.back; f != nil {
		return f(t)
	}
	return t.DriverTx.Rollback()
}

// fresh runs fn on what is committed now.
func (t *buggyTx) fresh(fn func(kv.DriverTx)) {
	now, err := t.d.Driver.Begin(context.Background(), false)
	if err != nil {
		panic(err)
	}
	defer now.Rollback()
	fn(now)
}

func filter(keep func(kv.Pair) bool) func(*buggyTx, kv.Range) iter.Seq2[kv.Pair, error] {
	return func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
		return func(yield func(kv.Pair, error) bool) {
			for p, err := range t.DriverTx.Scan(r) {
				if keep(p) && !yield(p, err) {
					return
				}
			}
		}
	}
}

// bugs are engines that nobody should ship.
func bugs() map[string]bug {
	return map[string]bug{
		"a snapshot sees later writes": {
			get: func(t *buggyTx, key []byte) (v []byte, err error) {
				if t.writable {
					return t.DriverTx.Get(key)
				}
				t.fresh(func(now kv.DriverTx) { v, err = now.Get(key) })
				return v, err
			},
			scan: func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
				if t.writable {
					return t.DriverTx.Scan(r)
				}
				return func(yield func(kv.Pair, error) bool) {
					t.fresh(func(now kv.DriverTx) { now.Scan(r)(yield) })
				}
			},
		},
		"a rollback keeps the writes": {back: func(t *buggyTx) error {
			if t.writable {
				_ = t.DriverTx.Commit()
			}
			return t.DriverTx.Rollback()
		}},
		"a walk includes its upper bound": {scan: func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
			if len(r.Hi) > 0 {
				r.Hi = append(bytes.Clone(r.Hi), 0)
			}
			return t.DriverTx.Scan(r)
		}},
		"a walk leaves out its lower bound": {scan: func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
			return filter(func(p kv.Pair) bool { return !bytes.Equal(p.Key, r.Lo) })(t, r)
		}},
		"a reverse walk has no upper bound": {scan: func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
			if r.Reverse {
				r.Hi = nil
			}
			return t.DriverTx.Scan(r)
		}},
		"a reverse walk goes forward": {scan: func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
			r.Reverse = false
			return t.DriverTx.Scan(r)
		}},
		"a walk loses empty values": {scan: filter(func(p kv.Pair) bool { return len(p.Value) > 0 })},
		"Delete does nothing":       {delete: func(*buggyTx, []byte) error { return nil }},
		"Put keeps the first value": {put: func(t *buggyTx, key, value []byte) error {
			if old, err := t.DriverTx.Get(key); err == nil && len(old) == len(value) {
				return nil
			}
			return t.DriverTx.Put(key, value)
		}},
		"a transaction does not read its writes": {
			put: func(t *buggyTx, key, value []byte) error {
				t.late = append(t.late, kv.Pair{Key: bytes.Clone(key), Value: bytes.Clone(value)})
				return nil
			},
			commit: func(t *buggyTx) error {
				for _, p := range t.late {
					if err := t.DriverTx.Put(p.Key, p.Value); err != nil {
						return err
					}
				}
				return t.DriverTx.Commit()
			},
		},
		"a commit loses its last write": {
			put: func(t *buggyTx, key, value []byte) error {
				t.late = []kv.Pair{{Key: bytes.Clone(key)}}
				return t.DriverTx.Put(key, value)
			},
			commit: func(t *buggyTx) error {
				if len(t.late) > 0 {
					_ = t.DriverTx.Delete(t.late[0].Key)
				}
				return t.DriverTx.Commit()
			},
		},
		"a walk sees what its loop writes": {scan: func(t *buggyTx, r kv.Range) iter.Seq2[kv.Pair, error] {
			return func(yield func(kv.Pair, error) bool) {
				for {
					more := false
					for p, err := range t.DriverTx.Scan(r) {
						if !yield(p, err) {
							return
						}
						if more = true; r.Reverse {
							r.Hi = p.Key
						} else {
							r.Lo = append(bytes.Clone(p.Key), 0)
						}
						break
					}
					if !more {
						return
					}
				}
			}
		}},
	}
}

func breaking(b bug) func(kv.Driver) kv.Driver {
	return func(d kv.Driver) kv.Driver { return &buggy{Driver: d, bug: b} }
}

// caught names the first case that fails.
func caught(t *testing.T, place func() kvtest.Place) string {
	for _, c := range kvtest.Cases() {
		if c.Run(t.Context(), place()) != nil {
			return c.Name
		}
	}
	return ""
}

// A suite that cannot fail proves nothing.
func TestBrokenEnginesAreCaught(t *testing.T) {
	for name, b := range bugs() {
		t.Run(name, func(t *testing.T) {
			by := caught(t, func() kvtest.Place { return lasting(breaking(b)) })
			if by == "" {
				t.Error("no case fails")
			}
			err := kvtest.Random(t.Context(), lasting(breaking(b)), 1, 2000)
			if err == nil {
				t.Error("Random finds nothing in 2000 steps")
			}
			t.Logf("caught by %s and by %v", by, err)
		})
	}
}

// oddGenerations builds generations that do not do what they should.
type oddGenerations struct {
	*memkv.DB
	live, forget, swap bool
}

type oddGeneration struct {
	kv.Ingester
	g *oddGenerations
}

func (g *oddGenerations) Fresh(ctx context.Context) (kv.Ingester, error) {
	in, err := g.DB.Fresh(ctx)
	return &oddGeneration{in, g}, err
}

func (o *oddGeneration) Put(key, value []byte) error {
	if o.g.live {
		t, err := o.g.Begin(context.Background(), true)
		if err != nil {
			return err
		}
		_ = t.Put(key, value)
		_ = t.Commit()
	}
	return o.Ingester.Put(key, value)
}

func (o *oddGeneration) Switch() error {
	if o.g.forget {
		return nil
	}
	return o.Ingester.Switch()
}

func (o *oddGeneration) Discard() error {
	if o.g.swap {
		return o.Ingester.Switch()
	}
	return o.Ingester.Discard()
}

func TestBrokenGenerationsAreCaught(t *testing.T) {
	for name, odd := range map[string]oddGenerations{
		"a generation is seen while it is loaded": {live: true},
		"Switch does nothing":                     {forget: true},
		"Discard switches":                        {swap: true},
	} {
		t.Run(name, func(t *testing.T) {
			place := func() kvtest.Place {
				return func() (kv.Driver, error) {
					db, err := memkv.New(nil)
					odd := odd
					odd.DB = db
					return &odd, err
				}
			}
			if by := caught(t, place); by == "" {
				t.Error("no case fails")
			} else {
				t.Logf("caught by %s", by)
			}
		})
	}
}

// forgetful says that it lasts, and does not.
type forgetful struct{ *memkv.DB }

func (forgetful) Volatile() bool { return false }

func TestForgetfulEngineIsCaught(t *testing.T) {
	place := func() kvtest.Place {
		return func() (kv.Driver, error) {
			db, err := memkv.New(nil)
			return forgetful{db}, err
		}
	}
	by := caught(t, place)
	if by != "reopen/state" {
		t.Errorf("caught by %q, want reopen/state", by)
	}
	first, second := kvtest.Random(t.Context(), place(), 3, 2000), kvtest.Random(t.Context(), place(), 3, 2000)
	if first == nil || second == nil || first.Error() != second.Error() {
		t.Errorf("two runs of one seed = %v and %v, want the same error", first, second)
	}
}
