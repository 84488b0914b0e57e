package kv

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// BeginWrite starts the write transaction, waiting for the one before it to
// end, for ctx, or for Close. While an export gets less than two thirds of the
// speed that it could have, it also pauses, for an eighth of the time for which
// transactions held the lock and 10 ms at most. It fails with fault.ErrPoisoned
// after an earlier failure of the engine.
func (s *Store) BeginWrite(ctx context.Context) (*WriteTx, error) {
	if s.bound.Load() {
		return nil, errBound("begin write")
	}
	return s.beginWrite(ctx, scopeOwner)
}

func errBound(verb string) error {
	return fmt.Errorf("%s: the store is bound, its data changes through its applier only: %w", verb, fault.ErrInvalid)
}

func (s *Store) beginWrite(ctx context.Context, held scope) (*WriteTx, error) {
	if err := s.enter("begin write"); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.acquire(ctx); err != nil {
		return nil, wrap("begin write", err)
	}
	err := s.pause(ctx)
	var t *writer
	if err == nil {
		t, err = s.lockedWrite(ctx)
	}
	if err != nil {
		s.release()
		return nil, wrap("begin write", err)
	}
	return &WriteTx{writer: t, scope: held}, nil
}

// acquire takes the writer lock.
func (s *Store) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return fmt.Errorf("store: %w", fault.ErrClosed)
	}
}

func (s *Store) release() { <-s.lock }

// lockedWrite starts a write transaction, which gives the lock back when it
// ends.
func (s *Store) lockedWrite(ctx context.Context) (*writer, error) {
	if err := s.sync.poisoned(); err != nil {
		return nil, err
	}
	d, err := s.d.Begin(ctx, true)
	if err != nil {
		return nil, err
	}
	w := &writer{txn: txn{s: s, d: d, wall: s.wallClock(), m: s.mark}, was: s.mark, indexes: s.indexes, timed: s.timed, swept: s.swept}
	w.readMark.Do(func() {})
	watched := s.pace.watch()
	w.end = func() error {
		defer s.release()
		watched()
		return s.finish(&w.txn)
	}
	if err := s.start(&w.txn); err != nil {
		_ = d.Rollback() // nothing was written
		return nil, err
	}
	return w, nil
}

// adopt takes over what a committed transaction has changed. The writer lock
// is held.
func (s *Store) adopt(w *writer) {
	s.mark, s.indexes, s.timed, s.swept = w.m, w.indexes, w.timed, w.swept
	if w.ident != nil {
		s.ident.Store(w.ident)
	}
	s.counts.add(w)
}

// settle returns when commit n is as durable as the policy promises.
func (s *Store) settle(n uint64) error {
	switch s.o.Sync {
	case SyncBatch, SyncAlways:
		return s.sync.wait(n, s.o.Sync == SyncBatch)
	default:
		return nil
	}
}

// flush syncs what SyncInterval has left until Close.
func (s *Store) flush() {
	defer close(s.stopped)
	tick := time.NewTicker(s.o.FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-tick.C:
			if s.sync.pending() {
				_ = s.sync.all() // a failure poisons the store
			}
		}
	}
}

// Update calls fn with a write transaction and commits it, or rolls it back
// when fn fails or panics. It returns what fn returns, or the error of the
// commit. Commit and Rollback are fault.ErrInvalid inside fn.
func (s *Store) Update(ctx context.Context, fn func(*WriteTx) error) error {
	if s.bound.Load() {
		return errBound("update")
	}
	return s.update(ctx, fn)
}

func (s *Store) update(ctx context.Context, fn func(*WriteTx) error) error {
	t, err := s.beginWrite(ctx, scopeUpdate)
	if err != nil {
		return err
	}
	defer func() { _ = t.close() }() // what failed before counts
	if err := fn(t); err != nil {
		return err
	}
	return t.commit()
}

// Put sets the value of key and takes away its deadline, if it had one.
func (s *Store) Put(ctx context.Context, key, value []byte) error {
	return s.Update(ctx, func(t *WriteTx) error { return t.Put(key, value) })
}

// PutTTL is [WriteTx.PutTTL] in a transaction of its own.
func (s *Store) PutTTL(ctx context.Context, key, value []byte, ttl time.Duration) error {
	return s.Update(ctx, func(t *WriteTx) error { return t.PutTTL(key, value, ttl) })
}

// PutUntil is [WriteTx.PutUntil] in a transaction of its own.
func (s *Store) PutUntil(ctx context.Context, key, value []byte, deadline time.Time) error {
	return s.Update(ctx, func(t *WriteTx) error { return t.PutUntil(key, value, deadline) })
}

// Delete removes key; it is no error if it has no value.
func (s *Store) Delete(ctx context.Context, key []byte) error {
	return s.Update(ctx, func(t *WriteTx) error { return t.Delete(key) })
}

// DeleteRange removes every row of r.
func (s *Store) DeleteRange(ctx context.Context, r Range) error {
	return s.Update(ctx, func(t *WriteTx) error { return t.DeleteRange(r) })
}

// CompareAndSwap is [WriteTx.CompareAndSwap] in a transaction of its own.
func (s *Store) CompareAndSwap(ctx context.Context, key, expect, value []byte) (swapped bool, err error) {
	err = s.Update(ctx, func(t *WriteTx) error { swapped, err = t.CompareAndSwap(key, expect, value); return err })
	return swapped && err == nil, err
}

// Increment is [WriteTx.Increment] in a transaction of its own.
func (s *Store) Increment(ctx context.Context, key []byte, delta int64) (sum int64, err error) {
	err = s.Update(ctx, func(t *WriteTx) error { sum, err = t.Increment(key, delta); return err })
	return sum, err
}

// Expire removes dead rows in a transaction of its own, as [WriteTx.Expire]
// does.
func (s *Store) Expire(ctx context.Context, limit int) (n int, err error) {
	err = s.Update(ctx, func(t *WriteTx) error { n, err = t.Expire(limit); return err })
	return n, err
}

// CreateIndex declares an index and builds it, in many short transactions. If
// it is interrupted, calling it again with the same index goes on where it
// stopped. A name that is taken otherwise is fault.ErrConflict.
func (s *Store) CreateIndex(ctx context.Context, x Index) error {
	err := s.Update(ctx, func(t *WriteTx) error {
		if i, found := t.indexes.find(x.Name); found && t.indexes[i].unbuilt(x) {
			return nil
		}
		return t.CreateIndex(x)
	})
	for done := false; err == nil && !done; {
		err = s.Update(ctx, func(t *WriteTx) error { done, err = t.BuildIndex(x.Name, 0); return err })
	}
	return err
}

// unbuilt reports whether x is this index and not yet built.
func (x *definition) unbuilt(y Index) bool {
	return !x.ready && y.check() == nil && bytes.Equal(appendDefinition(nil, &definition{Index: x.Index}), appendDefinition(nil, &definition{Index: y}))
}

// DropIndex removes an index and its entries.
func (s *Store) DropIndex(ctx context.Context, name string) error {
	return s.Update(ctx, func(t *WriteTx) error { return t.DropIndex(name) })
}
