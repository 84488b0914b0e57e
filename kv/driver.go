package kv

import (
	"context"
	"io"
	"iter"
)

// Pair is a key and its value.
type Pair struct{ Key, Value []byte }

// Range is the keys in [Lo, Hi), in the order of their bytes; an empty Hi has
// no upper bound. Reverse walks it from the end. A range whose Lo is not
// below its Hi is empty.
type Range struct {
	Lo, Hi  []byte
	Reverse bool
}

// Prefix is the range of all keys that begin with p.
func Prefix(p []byte) Range { return Range{Lo: p, Hi: successor(p)} }

// successor is the least key above every key that begins with p, nil when
// there is none.
func successor(p []byte) []byte {
	for n := len(p); n > 0; n-- {
		if p[n-1] != 0xff {
			hi := append([]byte(nil), p[:n]...)
			hi[n-1]++
			return hi
		}
	}
	return nil
}

// Driver is an engine: ordered bytes with transactions. [Store] never has two
// writable transactions open at once, and ends all of them before Close.
type Driver interface {
	// Begin starts a transaction. A readable one is a snapshot of what was
	// committed before; it neither waits for a writer nor makes one wait, and
	// its methods may be called by several goroutines.
	Begin(ctx context.Context, writable bool) (DriverTx, error)
	// Sync makes everything durable that was committed before the call. After
	// an error nothing is known of it, and the store is not written any more.
	Sync() error
	io.Closer
}

// DriverTx is one transaction of an engine. Keys and values passed in belong
// to the caller again when the call returns. Keys are never empty; they may
// be 80 KiB long. Values may be empty.
type DriverTx interface {
	// Get returns the value of key as this transaction sees it, its own writes
	// included, and fault.ErrNotFound if there is none. The value is lent until
	// the transaction's next write or its end.
	Get(key []byte) ([]byte, error)
	// Scan walks the pairs of r in order. They are those of the moment when
	// the walk begins, the transaction's own writes included: later writes,
	// also from inside the loop, change nothing in it. A pair is lent until
	// the next one. An error is the last thing a walk yields.
	Scan(r Range) iter.Seq2[Pair, error]
	// Put sets a value. fault.ErrFull means that this call changed nothing.
	Put(key, value []byte) error
	// Delete removes a key; it is no error if there is none.
	Delete(key []byte) error
	// Commit makes all writes visible at once, and ends the transaction also
	// when it fails. Durable they are after the next Sync. After fault.ErrFull
	// nothing has changed; after any other error nobody knows.
	Commit() error
	// Rollback ends the transaction and forgets its writes; it does nothing
	// after Commit or Rollback. A readable transaction is ended by Rollback.
	Rollback() error
}

// As finds an ability of a driver, also below wrappers that have an
// Unwrap() Driver method.
func As[T any](d Driver) (T, bool) {
	for d != nil {
		if t, ok := any(d).(T); ok {
			return t, true
		}
		u, ok := d.(interface{ Unwrap() Driver })
		if !ok {
			break
		}
		d = u.Unwrap()
	}
	var zero T
	return zero, false
}

// RangeDeleter is a [DriverTx] that removes [lo, hi) in less time than key by
// key. It is an ability of the transaction, not of the driver.
type RangeDeleter interface {
	DeleteRange(lo, hi []byte) error
}

// Getter is a [DriverTx] that appends the value of a key to dst, as Get sees
// it, for a caller who keeps it. As an ability of the driver it answers what is
// committed, without a transaction, where one key is all that is asked for. The
// store looks for it at the driver itself, not below wrappers.
type Getter interface {
	AppendGet(dst, key []byte) ([]byte, error)
}

// Counter is a [DriverTx] that counts the keys in [lo, hi) in less time than a
// walk takes.
type Counter interface {
	Count(lo, hi []byte) (uint64, error)
}

// Engine is a driver that has a name for [Stats].
type Engine interface{ Engine() string }

// Volatile is a driver that may forget everything when it is closed.
type Volatile interface{ Volatile() bool }

// Compacter is a driver that can be told to give space back and to make
// later reads cheaper.
type Compacter interface {
	Compact(ctx context.Context) error
}

// Quieter is a driver whose work in the background can wait for a while. After
// Quiet it waits until the function that Quiet returned is called, except where
// commits would have to wait for it.
type Quieter interface {
	Quiet() (loud func())
}

// Sizer is a driver that knows how much it holds, cheaply.
type Sizer interface {
	Size() (Size, error)
}

// Size is what a [Sizer] knows; the rest is zero. Pairs and Bytes count
// everything stored: rows, also dead ones, deadlines, index entries, marks.
type Size struct {
	Pairs, Bytes int64 // Bytes: keys and values
	Estimated    bool  // Pairs is about as much: what was overwritten or removed may count still
	Memory, Disk int64 // taken by the engine

	CacheHits, CacheMisses int64 // reads of blocks since the engine was opened
}

// Generations is a driver that can build a whole new content beside the live
// one and exchange them in one durable step. What is left of a generation
// that was never switched to is gone after the next open.
type Generations interface {
	// Fresh starts an empty generation that nobody sees.
	Fresh(ctx context.Context) (Ingester, error)
}

// Ingester takes the content of a fresh generation. It is used by one
// goroutine.
type Ingester interface {
	// Put adds a pair. No key comes twice. The rows, by far the most of it,
	// come in ascending order; in between come few keys of other name spaces in
	// any order.
	Put(key, value []byte) error
	// Sync makes the pairs put so far durable, still unseen.
	Sync() error
	// Switch makes the generation the content, durably. Transactions begun
	// before keep what they saw. A crash leaves the old content or the new one,
	// never a mixture. No writable transaction is open during the call. After
	// fault.ErrFull nothing has changed; after any other error nobody knows.
	Switch() error
	// Discard drops a generation that was not switched to, and does nothing
	// after Switch or Discard.
	Discard() error
}
