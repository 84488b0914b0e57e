package pebblekv

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// maxBatch is how much a transaction may write. Pebble's own limit is 4 GiB,
// and a panic.
const maxBatch = 3 << 30

// entryCost bounds what an entry of a batch takes beside its bytes.
const entryCost = 16

// writeTx is a batch. It gets an index when it is read after a write: that
// costs more than the write, and most transactions read first or not at all.
type writeTx struct {
	db    *DB
	g     *generation
	batch *pebble.Batch // nil when the transaction has ended
}

var _ kv.RangeDeleter = (*writeTx)(nil)

func (t *writeTx) check(more int) error {
	switch {
	case t.batch == nil:
		return errClosed("transaction")
	case int64(t.batch.Len())+int64(more)+entryCost > maxBatch:
		return fmt.Errorf("pebble engine: a transaction of more than %d bytes: %w", int64(maxBatch), fault.ErrInvalid)
	}
	return nil
}

func (t *writeTx) Get(key []byte) ([]byte, error) {
	if err := t.check(0); err != nil {
		return nil, err
	}
	r, err := t.reader()
	if err != nil {
		return nil, err
	}
	return t.g.get(r, nil, key)
}

// reader is what the transaction sees: while it has written nothing, what is
// committed, which nobody else changes.
func (t *writeTx) reader() (pebble.Reader, error) {
	if t.batch.Empty() {
		return t.g.db, nil
	}
	if !t.batch.Indexed() {
		indexed := t.g.db.NewIndexedBatch()
		if err := indexed.Apply(t.batch, nil); err != nil {
			return nil, errors.Join(t.g.damaged(err), indexed.Close())
		}
		if err := t.batch.Close(); err != nil {
			return nil, errors.Join(t.g.damaged(err), indexed.Close())
		}
		t.batch = indexed
	}
	return t.batch, nil
}

func (t *writeTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	return t.g.scan(r.Reverse, func() (*pebble.Iterator, func(), error) {
		if err := t.check(0); err != nil {
			return nil, nil, err
		}
		seen, err := t.reader()
		if err != nil {
			return nil, nil, err
		}
		return t.db.iterator(t.g, seen, r)
	})
}

func (t *writeTx) Put(key, value []byte) error {
	if err := t.check(len(key) + len(value)); err != nil {
		return err
	}
	return t.batch.Set(key, value, nil)
}

func (t *writeTx) Delete(key []byte) error {
	if err := t.check(len(key)); err != nil {
		return err
	}
	return t.batch.Delete(key, nil)
}

// DeleteRange removes [lo, hi) by one mark, whatever is in it.
func (t *writeTx) DeleteRange(lo, hi []byte) error {
	if err := t.check(len(lo) + len(hi)); err != nil {
		return err
	}
	if len(hi) == 0 {
		return fmt.Errorf("pebble engine: delete a range without an end: %w", fault.ErrInvalid)
	}
	if bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	return t.batch.DeleteRange(lo, hi, nil)
}

// Commit makes the writes visible. They are in the log in the order of their
// commits; the next Sync makes them durable.
func (t *writeTx) Commit() error {
	if err := t.check(0); err != nil {
		return err
	}
	batch := t.batch
	t.batch = nil
	defer t.db.end(t.g, true)
	if err := t.commit(batch); err != nil {
		return fmt.Errorf("pebble engine: commit: %w", err)
	}
	return nil
}

func (t *writeTx) commit(batch *pebble.Batch) error {
	if batch.Empty() {
		return batch.Close()
	}
	again := t.g.fate.full()
	if err := t.db.room.admit(int64(batch.Len()), again); err != nil {
		_ = batch.Close() // it was not applied
		return err
	}
	if err := t.g.await(); err != nil {
		_ = batch.Close() // it was not applied
		return err
	}
	err := t.g.write(func() error { return batch.Commit(pebble.NoSync) })
	t.db.renew(t.g)
	if err != nil {
		return err // the batch may still be Pebble's
	}
	return batch.Close()
}

// Rollback forgets the writes.
func (t *writeTx) Rollback() error {
	if t.batch == nil {
		return nil
	}
	err := t.batch.Close()
	t.batch = nil
	t.db.end(t.g, true)
	return err
}
