//go:build rocksdb && cgo

package rockskv

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// maxBatch is how much a transaction may write. RocksDB's own limit is 4 GiB.
const maxBatch = 3 << 30

// writeTx keeps its writes in Go until it commits.
type writeTx struct {
	db   *DB
	g    *generation
	over overlay
	done bool
}

var _ kv.RangeDeleter = (*writeTx)(nil)

func (t *writeTx) check(more int) error {
	switch {
	case t.done:
		return errClosed("transaction")
	case t.over.bytes+int64(more) > maxBatch:
		return fmt.Errorf("rocksdb engine: a transaction of more than %d bytes: %w", int64(maxBatch), fault.ErrInvalid)
	}
	return nil
}

func (t *writeTx) Get(key []byte) ([]byte, error) {
	if err := t.check(0); err != nil {
		return nil, err
	}
	n := t.over.get(key)
	switch {
	case n != nil && !n.gone:
		return n.value, nil
	case n != nil || t.over.hides(key) != nil:
		return nil, fault.ErrNotFound
	}
	return t.g.get(t.g.read, nil, key)
}

func (t *writeTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	return t.g.scan(r, func() (source, error) {
		if err := t.check(0); err != nil {
			return source{}, err
		}
		return source{read: t.g.read, over: t.over, end: t.db.hold(t.g, nil)}, nil
	})
}

func (t *writeTx) Put(key, value []byte) error {
	if err := t.check(len(key) + len(value)); err != nil {
		return err
	}
	t.over.put(key, value, false)
	return nil
}

func (t *writeTx) Delete(key []byte) error {
	if err := t.check(len(key)); err != nil {
		return err
	}
	t.over.put(key, nil, true)
	return nil
}

// DeleteRange removes [lo, hi) by one mark, whatever is in it.
func (t *writeTx) DeleteRange(lo, hi []byte) error {
	if err := t.check(len(lo) + len(hi)); err != nil {
		return err
	}
	if len(hi) == 0 {
		return fmt.Errorf("rocksdb engine: delete a range without an end: %w", fault.ErrInvalid)
	}
	if bytes.Compare(lo, hi) < 0 {
		t.over.deleteRange(lo, hi)
	}
	return nil
}

// Commit makes the writes visible. They are in the log in the order of their
// commits; the next Sync makes them durable.
func (t *writeTx) Commit() error {
	if err := t.check(0); err != nil {
		return err
	}
	t.done = true
	defer t.db.end(t.g, true)
	if t.over.writes == 0 {
		return nil
	}
	if err := t.commit(t.over.batch()); err != nil {
		return fmt.Errorf("rocksdb engine: commit: %w", err)
	}
	return nil
}

func (t *writeTx) commit(b batch) error {
	if err := t.g.fate.poisoned(); err != nil {
		return err
	}
	if err := t.db.room.admit(int64(len(b))); err != nil {
		return err
	}
	_ = t.g.apply(b, t.g.write) // in the fate
	t.db.renew(t.g)
	return t.g.fate.poisoned()
}

// Rollback forgets the writes.
func (t *writeTx) Rollback() error {
	if !t.done {
		t.done = true
		t.db.end(t.g, true)
	}
	return nil
}
