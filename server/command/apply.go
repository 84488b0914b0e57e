package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// Apply runs an encoded command in the write transaction of its log entry.
// What it changes and answers depends on data and the state alone. The
// transaction is neither committed nor marked: that is the caller's, and may
// cover several commands.
//
// An error means that data cannot be read (*fault.Corruption, or
// fault.ErrUnsupported from a newer version) or that the engine failed. Either
// way nothing of the transaction may be kept, and the node must stop applying.
func Apply(tx *kv.WriteTx, data []byte) (Result, error) {
	c, err := Decode(data)
	if err != nil {
		return Result{}, fmt.Errorf("apply: %w", err)
	}
	if !c.Clock.IsZero() {
		if err := tx.Advance(c.Clock); err != nil {
			return Result{}, fmt.Errorf("apply: %w", err)
		}
	}
	for _, w := range c.Watches {
		is, err := FingerprintOf(tx, w.Key)
		if err != nil {
			return Result{}, fmt.Errorf("apply: %w", err)
		}
		if is != w.Was {
			return Result{Aborted: true}, nil
		}
	}
	replies := make([]Reply, len(c.Ops))
	w := &writing{tx: tx, reading: reading{tx: tx}}
	for i := range c.Ops {
		if replies[i], err = w.run(&c.Ops[i]); err != nil {
			return Result{}, fmt.Errorf("apply %v: %w", c.Ops[i].Code, err)
		}
	}
	return Result{Replies: replies}, nil
}

// writing runs the operations of one command.
type writing struct {
	tx *kv.WriteTx
	reading
}

// run answers one operation. When earlier replies have filled the room for all,
// it does nothing and says so.
func (w *writing) run(o *Op) (Reply, error) {
	if w.full() {
		return failure(errReplySize), nil
	}
	switch o.Code {
	case Set:
		return w.set(o)
	case GetDel:
		return w.getDel(o.Args[0])
	case Del:
		return w.del(o.Args)
	case MSet:
		return OK(), w.putAll(o.Args)
	case MSetNX:
		return w.msetNX(o.Args)
	case IncrBy:
		return w.incrBy(o.Args[0], o.N)
	case Append:
		return w.append(o.Args[0], o.Args[1])
	case ExpireAt:
		return w.expireAt(o)
	case Persist:
		return w.persist(o.Args[0])
	case Flush:
		return OK(), w.tx.DeleteRange(kv.Range{})
	default:
		return w.reading.run(o)
	}
}

// put sets a value with its deadline, the zero time for none.
func (w *writing) put(key, value []byte, deadline time.Time) error {
	if deadline.IsZero() {
		return w.tx.Put(key, value)
	}
	return w.tx.PutUntil(key, value, deadline)
}

// deadline returns the deadline of key, the zero time if it has none or no
// value, and whether it has a value.
func (w *writing) deadline(key []byte) (time.Time, bool, error) {
	at, err := w.tx.Deadline(key)
	if errors.Is(err, fault.ErrNotFound) {
		return time.Time{}, false, nil
	}
	return at, err == nil, err
}
