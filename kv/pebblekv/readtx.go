package pebblekv

import (
	"fmt"
	"iter"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// readTx is a snapshot. Writes to it are fault.ErrReadOnly.
type readTx struct {
	db *DB
	g  *generation

	mu   sync.RWMutex // over view: Pebble panics when a closed one is used
	view *view        // nil when the transaction has ended
}

func (t *readTx) Get(key []byte) ([]byte, error) { return t.AppendGet(nil, key) }

// AppendGet is Get for a caller who has memory.
func (t *readTx) AppendGet(dst, key []byte) ([]byte, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.view == nil {
		return nil, errClosed("transaction")
	}
	return t.g.get(t.view.snap, dst, key)
}

func (t *readTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	return t.g.scan(r.Reverse, func() (*pebble.Iterator, func(), error) {
		t.mu.RLock()
		defer t.mu.RUnlock()
		if t.view == nil {
			return nil, nil, errClosed("transaction")
		}
		return t.db.iterator(t.g, t.view.snap, r)
	})
}

func (t *readTx) Put(_, _ []byte) error { return t.readOnly() }
func (t *readTx) Delete([]byte) error   { return t.readOnly() }
func (t *readTx) Commit() error         { return t.readOnly() }

func (t *readTx) readOnly() error {
	return fmt.Errorf("pebble engine: transaction: %w", fault.ErrReadOnly)
}

// Rollback ends the snapshot. Walks under way go on.
func (t *readTx) Rollback() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.view == nil {
		return nil
	}
	err := t.db.unsee(t.g, t.view)
	t.view = nil
	t.db.end(t.g, false)
	return err
}
