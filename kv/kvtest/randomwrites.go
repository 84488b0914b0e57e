package kvtest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// transaction makes up to six changes and commits them, or not.
func (r *run) transaction() {
	before := r.model
	r.model = before.clone()
	t, err := r.s.BeginWrite(r.ctx)
	r.ok("BeginWrite", err)
	if err != nil {
		return
	}
	defer t.Rollback()
	for range 1 + r.rnd.IntN(6) {
		r.change(t)
	}
	r.sameKeys("Scan inside", slices.Collect(keysOf(r, t)), r.model.alive(kv.Range{}))
	if r.rnd.IntN(5) == 0 {
		r.ok("Rollback", t.Rollback())
		r.model = before
		return
	}
	r.ok("Commit", t.Commit())
}

func (r *run) change(t *kv.WriteTx) {
	m, key, value := r.model, r.key(), r.val()
	k, v := []byte(key), []byte(value)
	switch r.rnd.IntN(13) {
	case 0, 1, 2:
		r.ok("Put", t.Put(k, v))
		m.put(key, value, time.Time{})
	case 3:
		ttl := time.Duration(1 + r.rnd.Int64N(int64(3*time.Minute)))
		if err := t.PutTTL(k, v, ttl); m.clock.IsZero() {
			r.is("PutTTL", err, fault.ErrInvalid)
		} else {
			r.ok("PutTTL", err)
			m.put(key, value, m.clock.Add(ttl))
		}
	case 4:
		end := epoch().Add(time.Duration(r.rnd.Int64N(int64(2 * time.Hour))))
		r.ok("PutUntil", t.PutUntil(k, v, end))
		m.put(key, value, end)
		if _, alive := m.get(key); !alive {
			delete(m.rows, key)
		}
	case 5:
		r.ok("Delete", t.Delete(k))
		delete(m.rows, key)
	case 6:
		x := r.span()
		if r.rnd.IntN(4) > 0 {
			x = kv.Prefix(k)
		}
		r.ok("DeleteRange", t.DeleteRange(x))
		m.deleteRange(x)
	case 7, 8:
		r.swap(t, key, value)
	case 9:
		delta := []int64{1, -3, math.MaxInt64, math.MinInt64}[r.rnd.IntN(4)]
		want, ok := m.increment(key, delta)
		if got, err := t.Increment(k, delta); !ok {
			r.is("Increment", err, fault.ErrInvalid)
		} else if err != nil || got != want {
			r.failf("Increment(%q, %d) = %d, %v, want %d", key, delta, got, err, want)
		}
	case 10:
		to := epoch().Add(time.Duration(r.rnd.Int64N(int64(3 * time.Hour))))
		if !m.clock.IsZero() {
			to = m.clock.Add(time.Duration(r.rnd.Int64N(int64(time.Minute))) - time.Second)
		}
		r.ok("Advance", t.Advance(to))
		m.advance(to)
	case 11:
		m.index += uint64(r.rnd.IntN(3))
		r.ok("SetMark", t.SetMark(kv.Mark{Index: m.index, Term: m.index / 10}))
		if r.rnd.IntN(4) == 0 && m.index > 0 {
			r.ok("SetMembership", t.SetMembership(v))
			m.membership, m.memberAt = value, m.index
		}
	case 12:
		r.moveRows(t)
	}
}

// moveRows writes from inside a walk, ahead of it.
func (r *run) moveRows(t *kv.WriteTx) {
	x := r.span()
	want := r.model.alive(x)
	var got []string
	for pair, err := range t.Scan(x) {
		r.ok("Scan", err)
		key, value := string(pair.Key), string(pair.Value)
		got = append(got, key)
		if len(got) > 3 {
			continue
		}
		r.ok("Delete", t.Delete(pair.Key))
		delete(r.model.rows, key)
		to := "a" + key[:min(2, len(key))]
		r.ok("Put", t.Put([]byte(to), []byte(value)))
		r.model.put(to, value, time.Time{})
	}
	r.sameKeys(fmt.Sprintf("walk that writes over %+v", x), got, want)
}

func (r *run) swap(t *kv.WriteTx, key, value string) {
	m := r.model
	was, found := m.get(key)
	var expect, next []byte
	switch guess := r.rnd.IntN(3); {
	case guess > 0 && found:
		expect = []byte(was.value)
	case guess == 0:
		expect = []byte(r.val())
	}
	if r.rnd.IntN(4) > 0 {
		next = []byte(value)
	}
	want := found == (expect != nil) && was.value == string(expect)
	got, err := t.CompareAndSwap([]byte(key), expect, next)
	if err != nil || got != want {
		r.failf("CompareAndSwap(%q, %q, %q) = %v, %v, want %v", key, expect, next, got, err, want)
	}
	switch {
	case want && next == nil:
		delete(m.rows, key)
	case want:
		m.put(key, value, time.Time{})
	}
}
