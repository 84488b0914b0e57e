package kv

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// txn is what read and write transactions have in common: a view of the
// engine and the time at which it is looked at.
type txn struct {
	s    *Store
	d    DriverTx
	gate gate
	end  func() error // gives everything back; called once, by who empties the closed gate
	wall uint64       // the wall clock when the transaction began, 0 without one

	readMark sync.Once // most reads need no mark, so it is read when one does
	m        mark
	markErr  error
}

func (t *txn) enter(verb string) error {
	if !t.gate.enter() {
		return fmt.Errorf("%s: transaction: %w", verb, fault.ErrClosed)
	}
	return nil
}

func (t *txn) leave() {
	if t.gate.leave() {
		_ = t.end() // the caller who closed it has been answered already
	}
}

// close ends the transaction now, or when the last call inside it returns.
func (t *txn) close() error {
	if first, empty := t.gate.close(); first && empty {
		return t.end()
	}
	return nil
}

func (t *txn) mark() (mark, error) {
	t.readMark.Do(func() { t.m, t.markErr = readMark(t.d) })
	return t.m, t.markErr
}

// now is the time by which rows are dead or alive.
func (t *txn) now() (uint64, error) {
	m, err := t.mark()
	return max(m.clock, t.wall), err
}

// sees reports whether a row is alive.
func (t *txn) sees(r row) (bool, error) {
	if r.deadline == 0 {
		return true, nil
	}
	now, err := t.now()
	return r.alive(now), err
}

// row returns a row that is alive, or fault.ErrNotFound.
func (t *txn) row(key []byte) (row, error) {
	if err := t.s.checkKey(key); err != nil {
		return row{}, err
	}
	b, err := t.d.Get(rowKey(key))
	if err != nil {
		return row{}, err
	}
	r, err := parseRow(b)
	if err != nil {
		return row{}, err
	}
	alive, err := t.sees(r)
	if err == nil && !alive {
		err = fault.ErrNotFound
	}
	if err != nil {
		return row{}, err
	}
	return r, nil
}

// stored is a row together with its key, lent.
type stored struct {
	key []byte
	raw []byte // header and value
	row
}

// rows walks the rows of r that are alive. The row is lent until the next one,
// and nil beside an error.
func (t *txn) rows(r Range) iter.Seq2[*stored, error] {
	return func(yield func(*stored, error) bool) {
		var x stored
		for p, err := range t.d.Scan(rowRange(r)) {
			if err == nil && t.gate.closed() {
				err = fmt.Errorf("transaction: %w", fault.ErrClosed)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			x.key, x.raw = p.Key[1:], p.Value
			if x.row, err = parseRow(p.Value); err != nil {
				yield(nil, err)
				return
			}
			if x.deadline != 0 {
				alive, err := t.sees(x.row)
				if err != nil {
					yield(nil, err)
					return
				}
				if !alive {
					continue
				}
			}
			if !yield(&x, nil) {
				return
			}
		}
	}
}

// Get returns the value of key, or fault.ErrNotFound. The value is lent until
// the end of the transaction, and in a [WriteTx] until its next write.
func (t *txn) Get(key []byte) ([]byte, error) {
	if err := t.enter("get"); err != nil {
		return nil, err
	}
	defer t.leave()
	r, err := t.row(key)
	return r.value, wrap("get", err)
}

// MultiGet returns the value of each key, nil where there is none; a value of
// no bytes is not nil. They belong to the caller, and share memory.
func (t *txn) MultiGet(keys [][]byte) ([][]byte, error) {
	if err := t.enter("multi get"); err != nil {
		return nil, err
	}
	defer t.leave()
	values, err := t.multiGet(keys)
	return values, wrap("multi get", err)
}

// multiGet puts all values into one arena. While that grows it moves, so they
// are cut out of it at the end.
func (t *txn) multiGet(keys [][]byte) ([][]byte, error) {
	var arena, at []byte
	spans := make([]struct{ lo, hi int }, len(keys)) // hi 0: no value
	for i, key := range keys {
		if err := t.s.checkKey(key); err != nil {
			return nil, err
		}
		at = append(append(at[:0], spaceRow), key...)
		start := len(arena)
		got, err := appendGet(t.d, arena, at)
		if errors.Is(err, fault.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			got = slices.Grow(got, min(len(got)*len(keys), chunkBytes)) // the others may be as long
		}
		arena = got
		r, err := parseRow(arena[start:])
		if err != nil {
			return nil, err
		}
		alive, err := t.sees(r)
		if err != nil {
			return nil, err
		}
		if alive {
			spans[i].lo, spans[i].hi = len(arena)-len(r.value), len(arena)
		}
	}
	values := make([][]byte, len(keys))
	for i, x := range spans {
		if x.hi > 0 {
			values[i] = arena[x.lo:x.hi:x.hi]
		}
	}
	return values, nil
}

func appendGet(d DriverTx, dst, key []byte) ([]byte, error) {
	if g, ok := d.(Getter); ok {
		return g.AppendGet(dst, key)
	}
	v, err := d.Get(key)
	return append(dst, v...), err
}

// Has reports whether key has a value.
func (t *txn) Has(key []byte) (bool, error) {
	if err := t.enter("has"); err != nil {
		return false, err
	}
	defer t.leave()
	_, err := t.row(key)
	if errors.Is(err, fault.ErrNotFound) {
		return false, nil
	}
	return err == nil, wrap("has", err)
}

// Deadline returns when key ends, the zero time if never, and
// fault.ErrNotFound if it has no value.
func (t *txn) Deadline(key []byte) (time.Time, error) {
	if err := t.enter("deadline"); err != nil {
		return time.Time{}, err
	}
	defer t.leave()
	r, err := t.row(key)
	return instant(r.deadline), wrap("deadline", err)
}

// Scan walks the rows of r in order, as of the moment when the walk begins:
// what a [WriteTx] writes from inside the loop changes nothing in it. A pair
// is lent until the next one. An error is the last thing a walk yields.
func (t *txn) Scan(r Range) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		if err := t.enter("scan"); err != nil {
			yield(Pair{}, err)
			return
		}
		defer t.leave()
		for x, err := range t.rows(r) {
			if err != nil {
				yield(Pair{}, wrap("scan", err))
				return
			}
			if !yield(Pair{x.key, x.value}, nil) {
				return
			}
		}
	}
}

// Count counts the rows of r, by walking them unless the engine can count.
func (t *txn) Count(r Range) (uint64, error) {
	if n, ok, err := t.counted(r); ok || err != nil {
		return n, wrap("count", err)
	}
	n := uint64(0)
	for _, err := range t.Scan(r) {
		if err != nil {
			return 0, fmt.Errorf("count: %w", err)
		}
		n++
	}
	return n, nil
}

// counted counts with a [Counter]: all rows that are there, without the dead
// ones, which the queue of deadlines tells. It reports false if there is no
// counter, or if some row is dead and r is only a part: the queue is not in the
// order of keys.
func (t *txn) counted(r Range) (n uint64, ok bool, err error) {
	c, ok := t.d.(Counter)
	if !ok {
		return 0, false, nil
	}
	if err := t.enter("count"); err != nil {
		return 0, false, err
	}
	defer t.leave()
	now, err := t.now()
	if err != nil {
		return 0, false, err
	}
	dead, err := c.Count([]byte{spaceDeadline}, deadlineKey(now+1, nil))
	if err != nil || dead > 0 && len(r.Lo)+len(r.Hi) > 0 {
		return 0, false, err
	}
	rows := rowRange(r)
	n, err = c.Count(rows.Lo, rows.Hi)
	if err == nil && dead > n {
		err = damaged("%d dead rows of %d", dead, n)
	}
	return n - dead, err == nil, err
}

// Mark is the mark of the state that this transaction sees. In a [WriteTx] it
// includes what the transaction has changed.
func (t *txn) Mark() (Mark, error) {
	if err := t.enter("mark"); err != nil {
		return Mark{}, err
	}
	defer t.leave()
	m, err := t.mark()
	if err != nil {
		return Mark{}, wrap("mark", err)
	}
	return m.public(), nil
}

// NextDeadline is the earliest deadline of all rows that are alive, the zero
// time if none has one.
func (t *txn) NextDeadline() (time.Time, error) {
	if err := t.enter("next deadline"); err != nil {
		return time.Time{}, err
	}
	defer t.leave()
	now, err := t.now()
	if err != nil {
		return time.Time{}, wrap("next deadline", err)
	}
	for p, err := range t.d.Scan(Range{Lo: deadlineKey(now+1, nil), Hi: []byte{spaceDeadline + 1}}) {
		if err != nil {
			return time.Time{}, wrap("next deadline", err)
		}
		deadline, _, err := parseDeadlineKey(p.Key)
		return instant(deadline), wrap("next deadline", err)
	}
	return time.Time{}, nil
}

// Indexes lists the indexes in the order of their names.
func (t *txn) Indexes() ([]IndexInfo, error) {
	if err := t.enter("indexes"); err != nil {
		return nil, err
	}
	defer t.leave()
	c, err := readCatalog(t.d)
	if err != nil {
		return nil, wrap("indexes", err)
	}
	list := make([]IndexInfo, len(c))
	for i, x := range c {
		list[i] = IndexInfo{Index: x.Index, Built: x.ready}
	}
	return list, nil
}

// wrap adds the verb, except to the one error that is an answer.
func wrap(verb string, err error) error {
	if err == nil || err == fault.ErrNotFound { //nolint:errorlint // only the bare value needs no context
		return err
	}
	return fmt.Errorf("%s: %w", verb, err)
}
