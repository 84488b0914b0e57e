package command

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// Reader is what reading operations need of a transaction: [kv.ReadTx] and
// [kv.WriteTx] have it.
type Reader interface {
	Get(key []byte) ([]byte, error)
	Has(key []byte) (bool, error)
	Deadline(key []byte) (time.Time, error)
	Count(r kv.Range) (uint64, error)
	Scan(r kv.Range) iter.Seq2[kv.Pair, error]
	Mark() (kv.Mark, error)
}

// Read runs an operation that changes nothing. The time left to a key is
// counted from now, or from the state's clock if that is later. Replies hold
// copies. It fails with fault.ErrInvalid for an operation that writes or is
// not well formed, and otherwise only as tx does.
func Read(tx Reader, now time.Time, o *Op) (Reply, error) {
	if err := o.Check(); err != nil {
		return Reply{}, fmt.Errorf("read: %w", err)
	}
	if o.Writes() {
		return Reply{}, fmt.Errorf("read: %v writes: %w", o.Code, fault.ErrInvalid)
	}
	r, err := (&reading{tx: tx, now: now}).run(o)
	if err != nil {
		return Reply{}, fmt.Errorf("%v: %w", o.Code, err)
	}
	return r, nil
}

// reading runs reads of one command and counts the bytes of their replies.
type reading struct {
	tx    Reader
	now   time.Time
	bytes int
}

func (r *reading) run(o *Op) (Reply, error) {
	switch o.Code {
	case Get:
		return r.get(o.Args[0])
	case MGet:
		return r.mget(o.Args)
	case Exists:
		return r.exists(o.Args)
	case Strlen:
		value, _, err := r.value(o.Args[0])
		return number(int64(len(value))), err
	case TTL:
		return r.left(o.Args[0], time.Second)
	case PTTL:
		return r.left(o.Args[0], time.Millisecond)
	case Type:
		return r.kind(o.Args[0])
	case DBSize:
		n, err := r.tx.Count(kv.Range{})
		return number(int64(n)), err
	default:
		return r.keys(o.Args[0])
	}
}

// value returns the lent value of key and whether it has one.
func (r *reading) value(key []byte) ([]byte, bool, error) {
	value, err := r.tx.Get(key)
	if errors.Is(err, fault.ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}

func (r *reading) get(key []byte) (Reply, error) {
	value, found, err := r.value(key)
	if err != nil || !found {
		return Reply{}, err
	}
	return r.bulk(value), nil
}

// bulk copies a value into a reply.
func (r *reading) bulk(value []byte) Reply {
	r.bytes += len(value)
	return Reply{Kind: Bulk, Bulk: append([]byte{}, value...)}
}

// perReply is what a reply in a list costs beside its bytes, about.
const perReply = 64

// full reports whether the command has no room for more replies.
func (r *reading) full() bool { return r.bytes >= MaxReply }

func (r *reading) mget(keys [][]byte) (Reply, error) {
	list := make([]Reply, len(keys))
	r.bytes += perReply * len(keys)
	for i, key := range keys {
		var err error
		if list[i], err = r.get(key); err != nil {
			return Reply{}, err
		}
		if r.full() {
			return failure(errReplySize), nil
		}
	}
	return Reply{Kind: Array, Array: list}, nil
}

func (r *reading) exists(keys [][]byte) (Reply, error) {
	n := int64(0)
	for _, key := range keys {
		has, err := r.tx.Has(key)
		if err != nil {
			return Reply{}, err
		}
		if has {
			n++
		}
	}
	return number(n), nil
}

// left is the time until the key's deadline, rounded as Redis does: -1 without
// a deadline, -2 without a value.
func (r *reading) left(key []byte, unit time.Duration) (Reply, error) {
	deadline, err := r.tx.Deadline(key)
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return number(-2), nil
	case err != nil:
		return Reply{}, err
	case deadline.IsZero():
		return number(-1), nil
	}
	m, err := r.tx.Mark()
	if err != nil {
		return Reply{}, err
	}
	from := r.now
	if m.Clock.After(from) {
		from = m.Clock
	}
	ms := max(0, deadline.Sub(from).Milliseconds())
	if unit == time.Second {
		return number((ms + 500) / 1000), nil
	}
	return number(ms), nil
}

func (r *reading) kind(key []byte) (Reply, error) {
	has, err := r.tx.Has(key)
	if err != nil {
		return Reply{}, err
	}
	if has {
		return Reply{Kind: Status, Text: "string"}, nil
	}
	return Reply{Kind: Status, Text: "none"}, nil
}

func (r *reading) keys(pattern []byte) (Reply, error) {
	p := Compile(pattern)
	list := []Reply{}
	for row, err := range r.tx.Scan(p.Range()) {
		if err != nil {
			return Reply{}, err
		}
		if !p.Match(row.Key) {
			continue
		}
		list = append(list, Reply{Kind: Bulk, Bulk: bytes.Clone(row.Key)})
		if r.bytes += perReply + len(row.Key); r.full() {
			return failure(errReplySize), nil
		}
	}
	return Reply{Kind: Array, Array: list}, nil
}
