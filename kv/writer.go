package kv

import (
	"bytes"
	"errors"

	"github.com/trimarandb/trimaran/fault"
)

// writer is the state of a write transaction, which holds the store's writer
// lock until it ends.
type writer struct {
	txn
	was     mark    // the mark when it began
	indexes catalog // as changed by this transaction
	timed   bool    // some row may have a deadline
	swept   []byte  // the queue has no entry below
	tally   tally
	behind  bool // the last Advance was clamped
	moved   bool // there was an Advance
	dirty   bool
	ident   *Identity // set by this transaction
	err     error     // an engine failed half way through a call: nothing can be committed

	key, row []byte // of the last row that was set, for their memory
}

// tally counts for Stats; it is added to the store's when the transaction
// commits.
type tally struct{ puts, deletes, expired, clamps uint64 }

// broken remembers an engine's failure that may have left a row without its
// index entries, or the other way round.
func (w *writer) broken(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

func (w *writer) put(key, value []byte) error {
	w.dirty = true
	if err := w.d.Put(key, value); err != nil {
		return w.broken(err)
	}
	return nil
}

func (w *writer) del(key []byte) error {
	w.dirty = true
	if err := w.d.Delete(key); err != nil {
		return w.broken(err)
	}
	return nil
}

// tracked reports whether a row has more to it than itself, so that changing
// it needs a look at what was there before.
func (w *writer) tracked() bool { return w.timed || len(w.indexes) > 0 }

// previous returns the row of key, dead or alive, and whether there is one.
func (w *writer) previous(key []byte) (row, bool, error) {
	b, err := w.d.Get(rowKey(key))
	if errors.Is(err, fault.ErrNotFound) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, w.broken(err)
	}
	r, err := parseRow(b)
	if err != nil {
		return row{}, false, w.broken(err)
	}
	return r, true, nil
}

// entriesOf returns the entry of a row in each index, nil where it has none.
func (w *writer) entriesOf(key []byte, r row) [][]byte {
	if len(w.indexes) == 0 {
		return nil
	}
	list := make([][]byte, len(w.indexes))
	for i, x := range w.indexes {
		list[i] = x.entry(key, r.value)
	}
	return list
}

// set writes a row with its deadline and its index entries.
func (w *writer) set(key []byte, r row) error {
	w.timed = w.timed || r.deadline != 0
	var old row
	var before [][]byte
	indexed := false
	if w.tracked() {
		var found bool
		var err error
		if old, found, err = w.previous(key); err != nil {
			return err
		}
		if found {
			if indexed, err = w.sees(old); err != nil {
				return w.broken(err)
			}
			before = w.entriesOf(key, old)
		}
	}
	if err := w.exchange(before, w.entriesOf(key, r), indexed); err != nil {
		return err
	}
	if old.deadline != r.deadline {
		if err := w.requeue(key, old.deadline, r.deadline); err != nil {
			return err
		}
	}
	w.tally.puts++
	w.key = append(append(w.key[:0], spaceRow), key...)
	w.row = appendRow(w.row[:0], r)
	err := w.put(w.key, w.row)
	if cap(w.row) > chunkBytes {
		w.row = nil
	}
	return err
}

// exchange replaces the index entries of a row. Either list may be nil. With
// indexed, the row was alive before and so is in every index that is built; one
// that was dead while an index was built is not.
func (w *writer) exchange(before, after [][]byte, indexed bool) error {
	for i := range max(len(before), len(after)) {
		var was, is []byte
		if before != nil {
			was = before[i]
		}
		if after != nil {
			is = after[i]
		}
		if bytes.Equal(was, is) {
			if is == nil || indexed && w.indexes[i].ready {
				continue
			}
			was = nil
		}
		if was != nil {
			if err := w.del(was); err != nil {
				return err
			}
		}
		if is != nil {
			if err := w.put(is, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// requeue moves a row in the deadline queue; 0 is no place in it.
func (w *writer) requeue(key []byte, was, is uint64) error {
	if was != 0 {
		if err := w.del(deadlineKey(was, key)); err != nil {
			return err
		}
	}
	if is != 0 {
		return w.put(deadlineKey(is, key), nil)
	}
	return nil
}

// remove deletes a row that is there, dead or alive, and all that belongs to
// it. The value of old may be gone after the first write.
func (w *writer) remove(key []byte, old row) error {
	if err := w.exchange(w.entriesOf(key, old), nil, false); err != nil {
		return err
	}
	if err := w.requeue(key, old.deadline, 0); err != nil {
		return err
	}
	return w.del(rowKey(key))
}

// clear removes everything in the engine's range [lo, hi) and nothing that
// belongs to it.
func (w *writer) clear(r Range) error {
	w.dirty = true
	if rd, ok := w.d.(RangeDeleter); ok {
		if err := rd.DeleteRange(r.Lo, r.Hi); err != nil {
			return w.broken(err)
		}
		return nil
	}
	for p, err := range w.d.Scan(r) {
		if err != nil {
			return w.broken(err)
		}
		if err := w.del(p.Key); err != nil {
			return err
		}
	}
	return nil
}
