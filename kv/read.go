package kv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"time"
)

// Reader is the half of a [Store] that changes nothing.
type Reader interface {
	BeginRead(ctx context.Context) (*ReadTx, error)
	View(ctx context.Context, fn func(*ReadTx) error) error
	Get(ctx context.Context, key []byte) ([]byte, error)
	MultiGet(ctx context.Context, keys [][]byte) ([][]byte, error)
	Has(ctx context.Context, key []byte) (bool, error)
	Deadline(ctx context.Context, key []byte) (time.Time, error)
	Scan(ctx context.Context, r Range) iter.Seq2[Pair, error]
	Page(ctx context.Context, o PageOptions) (Page, error)
	Query(ctx context.Context, q Query) (Page, error)
	Indexes(ctx context.Context) ([]IndexInfo, error)
	Mark(ctx context.Context) (Mark, error)
	NextDeadline(ctx context.Context) (time.Time, error)
	Count(ctx context.Context, r Range) (uint64, error)
	Digest(ctx context.Context, r Range) (Digest, error)
	Capture(ctx context.Context) (*Capture, error)
	Export(ctx context.Context, w io.Writer) (Summary, error)
	Stats() (Stats, error)
}

var _ Reader = (*Store)(nil)

// BeginRead starts a snapshot of what is committed now. It never waits for a
// writer.
func (s *Store) BeginRead(ctx context.Context) (*ReadTx, error) {
	if err := s.enter("begin read"); err != nil {
		return nil, err
	}
	defer s.leave()
	t, err := s.beginRead(ctx)
	return t, wrap("begin read", err)
}

func (s *Store) beginRead(ctx context.Context) (*ReadTx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := s.d.Begin(ctx, false)
	if err != nil {
		return nil, err
	}
	t := &ReadTx{txn{s: s, d: d, wall: s.wallClock()}}
	t.end = func() error { return s.finish(&t.txn) }
	if err := s.start(&t.txn); err != nil {
		_ = d.Rollback() // nothing was read
		return nil, err
	}
	return t, nil
}

// wallClock is the latest time that Options.Clock has told, 0 without one.
func (s *Store) wallClock() uint64 {
	if s.o.Clock == nil {
		return 0
	}
	n, err := nanos(s.o.Clock())
	for {
		last := s.wall.Load()
		if err != nil || n <= last || s.wall.CompareAndSwap(last, n) {
			return max(last, n)
		}
	}
}

// View calls fn with a snapshot and closes it afterwards, also when fn panics.
// It returns what fn returns.
func (s *Store) View(ctx context.Context, fn func(*ReadTx) error) error {
	t, err := s.BeginRead(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	return fn(t)
}

// peek calls fn with a snapshot that ends with the call.
func (s *Store) peek(ctx context.Context, verb string, fn func(*txn) error) error {
	if err := s.enter(verb); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	d, err := s.d.Begin(ctx, false)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	defer d.Rollback()
	return fn(&txn{s: s, d: d, wall: s.wallClock()})
}

// Get returns the value of key, or fault.ErrNotFound. It belongs to the
// caller.
func (s *Store) Get(ctx context.Context, key []byte) (value []byte, err error) {
	if s.get != nil {
		r, err := s.direct(ctx, key)
		if err != nil || r.deadline == 0 {
			return r.value, wrap("get", err)
		}
	}
	err = s.peek(ctx, "get", func(t *txn) error {
		lent, err := t.Get(key)
		value = bytes.Clone(lent)
		return err
	})
	return value, err
}

// direct reads a row without a snapshot. Whether one with a deadline is alive
// only a snapshot tells, with row and clock of the same moment.
func (s *Store) direct(ctx context.Context, key []byte) (row, error) {
	if err := s.enter("get"); err != nil {
		return row{}, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return row{}, err
	}
	if err := s.checkKey(key); err != nil {
		return row{}, err
	}
	b, err := s.get.AppendGet(nil, rowKey(key))
	if err != nil {
		return row{}, err
	}
	return parseRow(b)
}

// MultiGet returns the value of each key in one snapshot, nil where there is
// none; a value of no bytes is not nil. They belong to the caller, and share
// memory.
func (s *Store) MultiGet(ctx context.Context, keys [][]byte) (values [][]byte, err error) {
	err = s.peek(ctx, "multi get", func(t *txn) error { values, err = t.MultiGet(keys); return err })
	return values, err
}

// Has reports whether key has a value.
func (s *Store) Has(ctx context.Context, key []byte) (has bool, err error) {
	err = s.peek(ctx, "has", func(t *txn) error { has, err = t.Has(key); return err })
	return has, err
}

// Deadline returns when key ends, the zero time if never, and
// fault.ErrNotFound if it has no value.
func (s *Store) Deadline(ctx context.Context, key []byte) (end time.Time, err error) {
	err = s.peek(ctx, "deadline", func(t *txn) error { end, err = t.Deadline(key); return err })
	return end, err
}

// Scan walks the rows of r in order, in one snapshot taken when the walk
// begins, until ctx is over. A pair is lent until the next one. An error is
// the last thing a walk yields.
func (s *Store) Scan(ctx context.Context, r Range) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		t, err := s.BeginRead(ctx)
		if err == nil {
			err = t.enter("scan")
		}
		if err != nil {
			yield(Pair{}, err)
			return
		}
		defer t.Close()
		defer t.leave()
		for x, err := range t.rows(r) {
			if err == nil {
				err = ctx.Err()
			}
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

// Page reads one page. Each page of a Store is a snapshot of its own; for
// pages of one state use those of a [ReadTx].
func (s *Store) Page(ctx context.Context, o PageOptions) (page Page, err error) {
	err = s.peek(ctx, "page", func(t *txn) error { page, err = t.Page(o); return err })
	return page, err
}

// Query reads one page of rows through an index, as [ReadTx.Query] does. Each
// page of a Store is a snapshot of its own.
func (s *Store) Query(ctx context.Context, q Query) (page Page, err error) {
	err = s.peek(ctx, "query", func(t *txn) error { page, err = t.Query(q); return err })
	return page, err
}

// Indexes lists the indexes in the order of their names.
func (s *Store) Indexes(ctx context.Context) (list []IndexInfo, err error) {
	err = s.peek(ctx, "indexes", func(t *txn) error { list, err = t.Indexes(); return err })
	return list, err
}

// Mark is the mark of the committed state.
func (s *Store) Mark(ctx context.Context) (m Mark, err error) {
	err = s.peek(ctx, "mark", func(t *txn) error { m, err = t.Mark(); return err })
	return m, err
}

// NextDeadline is the earliest deadline of all rows that are alive, the zero
// time if none has one.
func (s *Store) NextDeadline(ctx context.Context) (next time.Time, err error) {
	err = s.peek(ctx, "next deadline", func(t *txn) error { next, err = t.NextDeadline(); return err })
	return next, err
}

// Count counts the rows of r, by walking them unless the engine can count, as
// the one in memory can.
func (s *Store) Count(ctx context.Context, r Range) (n uint64, err error) {
	counted := false
	err = s.peek(ctx, "count", func(t *txn) error { n, counted, err = t.counted(r); return err })
	if counted || err != nil {
		return n, wrap("count", err)
	}
	for _, err := range s.Scan(ctx, r) {
		if err != nil {
			return 0, fmt.Errorf("count: %w", err)
		}
		n++
	}
	return n, nil
}
