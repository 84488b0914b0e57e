package kvtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/kv"
)

// crashRandom draws a policy and a script. Equal seeds draw equal ones.
func crashRandom(seed uint64) (kv.SyncPolicy, []crashStep) {
	d := &crashDraw{rng: rand.New(rand.NewPCG(seed, 0x6b76)), keys: 9}
	policy := []kv.SyncPolicy{kv.SyncBatch, kv.SyncNever, kv.SyncAlways}[d.rng.IntN(3)]
	steps := make([]crashStep, 0, 16)
	for range cap(steps) {
		steps = append(steps, d.step())
	}
	return policy, steps
}

type crashDraw struct {
	rng      *rand.Rand
	keys     int // how many there are
	exported bool
	loaded   bool
	reading  bool
}

func (d *crashDraw) step() crashStep {
	switch n := d.rng.IntN(20); {
	case n < 10:
		return d.transaction()
	case n == 10:
		return syncStep()
	case n == 11:
		d.loaded, d.reading = false, false
		return reopenStep()
	case n == 12:
		limit := 1 + d.rng.IntN(3)
		return crashStep{name: "expire", do: func(u *crashUser) error {
			_, err := u.s.Expire(u.ctx, limit)
			return err
		}}
	case n == 13:
		return compactStep()
	case n == 14:
		d.reading = !d.reading
		if d.reading {
			return holdStep()
		}
		return letGoStep()
	case !d.exported:
		d.exported = true
		return exportStep()
	default:
		return d.imports()
	}
}

func (d *crashDraw) imports() crashStep {
	if d.loaded {
		d.loaded = false
		if d.rng.IntN(4) == 0 {
			return abortStep()
		}
		return switchStep()
	}
	switch d.rng.IntN(6) {
	case 0:
		return exportStep()
	case 1:
		return cutStep()
	case 2:
		d.loaded = true
		return loadStep("")
	default:
		return importStep([]string{"", "n1"}[d.rng.IntN(2)])
	}
}

// transaction makes up to five changes.
func (d *crashDraw) transaction() crashStep {
	changes := make([]func(*kv.WriteTx) error, 1+d.rng.IntN(5))
	for i := range changes {
		changes[i] = d.change()
	}
	return numbered("transaction", func(t *kv.WriteTx) error {
		for _, change := range changes {
			if err := change(t); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *crashDraw) key() []byte { return fmt.Appendf(nil, "k%d", d.rng.IntN(d.keys)) }

func (d *crashDraw) value() []byte {
	n := d.rng.IntN(30)
	if d.rng.IntN(6) == 0 {
		n = d.rng.IntN(2500)
	}
	return []byte(string(rune('a'+d.rng.IntN(5))) + " " + strings.Repeat("v", n))
}

func (d *crashDraw) change() func(*kv.WriteTx) error {
	key, other, value, n := d.key(), d.key(), d.value(), d.rng.Int64N(1000)
	switch d.rng.IntN(12) {
	default:
		return func(t *kv.WriteTx) error { return t.Put(key, value) }
	case 0:
		return func(t *kv.WriteTx) error { return t.Delete(key) }
	case 1:
		return func(t *kv.WriteTx) error { return t.DeleteRange(kv.Range{Lo: key, Hi: other}) }
	case 2:
		return func(t *kv.WriteTx) error {
			_, err := t.Increment([]byte("count"), n)
			return err
		}
	case 3:
		return func(t *kv.WriteTx) error {
			_, err := t.CompareAndSwap(key, nil, value)
			return err
		}
	case 4:
		return func(t *kv.WriteTx) error {
			now, err := clock(t)
			return errors.Join(err, t.PutUntil(key, value, now.Add(time.Duration(n)*time.Second)))
		}
	case 5:
		return func(t *kv.WriteTx) error {
			now, err := clock(t)
			return errors.Join(err, t.Advance(now.Add(time.Duration(n)*time.Second/3)))
		}
	case 6:
		limit := 1 + int(n)%max(4, d.keys/8)
		return func(t *kv.WriteTx) error { return changeIndex(t, limit, n%3 == 0) }
	}
}

// clock is the store's, or a first time.
func clock(t *kv.WriteTx) (time.Time, error) {
	m, err := t.Mark()
	if m.Clock.IsZero() {
		m.Clock = epoch()
	}
	return m.Clock, err
}

const theIndex = "first"

// changeIndex moves the one index on: created, built by at most limit rows, and
// dropped, if it may be.
func changeIndex(t *kv.WriteTx, limit int, drop bool) error {
	list, err := t.Indexes()
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return t.CreateIndex(kv.Index{Name: theIndex, Bytes: &kv.ByteRange{Len: 1}})
	case list[0].Built && drop:
		return t.DropIndex(theIndex)
	default:
		_, err := t.BuildIndex(theIndex, limit)
		return err
	}
}
