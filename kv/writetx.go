package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// WriteTx is the one write transaction open at a time. It reads its own
// writes. One goroutine uses it, and ends it with Commit or Rollback.
//
// A call that fails with fault.ErrInvalid or fault.ErrNotFound changed
// nothing, and the transaction goes on. Any other failure is the engine's:
// later writes and Commit return it too, and nothing of the transaction is
// kept.
type WriteTx struct {
	*writer
	scope scope
}

// scope says what the holder of a WriteTx may do with it.
type scope uint8

const (
	scopeOwner  scope = iota // everything
	scopeUpdate              // inside Update: no Commit, no Rollback
	scopeApply               // as before, and no SetMark
)

// begin opens a call that writes.
func (t *WriteTx) begin(verb string) error {
	if err := t.enter(verb); err != nil {
		return err
	}
	if t.err != nil {
		t.leave()
		return fmt.Errorf("%s: transaction failed before: %w", verb, t.err)
	}
	return nil
}

// Put sets the value of key and takes away its deadline, if it had one.
func (t *WriteTx) Put(key, value []byte) error {
	if err := t.begin("put"); err != nil {
		return err
	}
	defer t.leave()
	return wrap("put", t.checkedSet(key, row{value: value}))
}

// PutTTL is PutUntil with a deadline of ttl after now by the store's clock. It
// fails with fault.ErrInvalid while the store has no clock.
func (t *WriteTx) PutTTL(key, value []byte, ttl time.Duration) error {
	if err := t.begin("put with ttl"); err != nil {
		return err
	}
	defer t.leave()
	now, err := t.now()
	switch {
	case err != nil:
	case now == 0:
		err = fmt.Errorf("the store has no clock yet: set Options.Clock, or Advance it first: %w", fault.ErrInvalid)
	case ttl <= 0 || uint64(ttl) > math.MaxInt64-now:
		err = fmt.Errorf("ttl of %v after %v: %w", ttl, instant(now), fault.ErrInvalid)
	default:
		err = t.checkedSet(key, row{deadline: now + uint64(ttl), value: value})
	}
	return wrap("put with ttl", err)
}

// PutUntil sets the value of key until the store's clock reaches deadline. If
// it has reached it already, key has no value afterwards.
func (t *WriteTx) PutUntil(key, value []byte, deadline time.Time) error {
	if err := t.begin("put until"); err != nil {
		return err
	}
	defer t.leave()
	return wrap("put until", t.putUntil(key, value, deadline))
}

func (t *WriteTx) putUntil(key, value []byte, deadline time.Time) error {
	end, err := nanos(deadline)
	if err == nil && end == 0 {
		err = fmt.Errorf("no deadline: %w", fault.ErrInvalid)
	}
	if err != nil {
		return err
	}
	now, err := t.now()
	if err != nil {
		return err
	}
	if end > now {
		return t.checkedSet(key, row{deadline: end, value: value})
	}
	if err := t.s.checkPair(key, value); err != nil {
		return err
	}
	return t.drop(key)
}

func (t *WriteTx) checkedSet(key []byte, r row) error {
	if err := t.s.checkPair(key, r.value); err != nil {
		return err
	}
	return t.set(key, r)
}

// Delete removes key; it is no error if it has no value.
func (t *WriteTx) Delete(key []byte) error {
	if err := t.begin("delete"); err != nil {
		return err
	}
	defer t.leave()
	err := t.s.checkKey(key)
	if err == nil {
		err = t.drop(key)
	}
	return wrap("delete", err)
}

// drop removes a row if there is one.
func (t *WriteTx) drop(key []byte) error {
	t.tally.deletes++
	if !t.tracked() {
		return t.del(rowKey(key))
	}
	old, found, err := t.previous(key)
	if err != nil || !found {
		return err
	}
	return t.remove(key, old)
}

// DeleteRange removes every row of r. It costs a walk of the range if the
// store has indexes or deadlines, or the engine has no faster way.
func (t *WriteTx) DeleteRange(r Range) error {
	if err := t.begin("delete range"); err != nil {
		return err
	}
	defer t.leave()
	t.tally.deletes++
	if !t.tracked() {
		return wrap("delete range", t.clear(rowRange(r)))
	}
	for p, err := range t.d.Scan(rowRange(r)) {
		if err != nil {
			return wrap("delete range", t.broken(err))
		}
		old, err := parseRow(p.Value)
		if err != nil {
			return wrap("delete range", t.broken(err))
		}
		if err := t.remove(p.Key[1:], old); err != nil {
			return wrap("delete range", err)
		}
	}
	return nil
}

// CompareAndSwap puts value, or deletes key if value is nil, provided that key
// has the value expect, or none if expect is nil; it reports whether it did.
// Nil and empty differ. Like Put it takes away a deadline.
func (t *WriteTx) CompareAndSwap(key, expect, value []byte) (bool, error) {
	if err := t.begin("compare and swap"); err != nil {
		return false, err
	}
	defer t.leave()
	swapped, err := t.compareAndSwap(key, expect, value)
	return swapped, wrap("compare and swap", err)
}

func (t *WriteTx) compareAndSwap(key, expect, value []byte) (bool, error) {
	if err := t.s.checkPair(key, value); err != nil {
		return false, err
	}
	r, found, err := t.current(key)
	if err != nil || found != (expect != nil) || !bytes.Equal(r.value, expect) {
		return false, err
	}
	if value == nil {
		return true, t.drop(key)
	}
	return true, t.set(key, row{value: value})
}

// current returns the row of key if it is alive.
func (t *WriteTx) current(key []byte) (row, bool, error) {
	r, found, err := t.previous(key)
	if err != nil || !found {
		return row{}, false, err
	}
	alive, err := t.sees(r)
	if err != nil || !alive {
		return row{}, false, err
	}
	return r, true, nil
}

// Increment adds delta to the counter key and returns the sum. A counter is a
// signed number in eight bytes, big endian; none counts as 0. It keeps its
// deadline. Overflow and a value of another width are fault.ErrInvalid.
func (t *WriteTx) Increment(key []byte, delta int64) (int64, error) {
	if err := t.begin("increment"); err != nil {
		return 0, err
	}
	defer t.leave()
	n, err := t.increment(key, delta)
	return n, wrap("increment", err)
}

func (t *WriteTx) increment(key []byte, delta int64) (int64, error) {
	if err := t.s.checkKey(key); err != nil {
		return 0, err
	}
	r, found, err := t.current(key)
	if err != nil {
		return 0, err
	}
	var n int64
	if found {
		if len(r.value) != 8 {
			return 0, fmt.Errorf("a value of %d bytes is no counter: %w", len(r.value), fault.ErrInvalid)
		}
		n = int64(binary.BigEndian.Uint64(r.value))
	}
	if sum := n + delta; (sum > n) == (delta > 0) {
		r.value = binary.BigEndian.AppendUint64(nil, uint64(sum))
		return sum, t.set(key, r)
	}
	return 0, fmt.Errorf("%d and %d overflow: %w", n, delta, fault.ErrInvalid)
}
