// Package peer puts the logs that are compared, and the raw device below them,
// behind one interface, each in a file of its own.
package peer

import (
	"errors"
	"fmt"
	"io"
)

// ErrUnsupported says that a log has no such operation.
var ErrUnsupported = errors.New("not supported")

// Kind is one competitor.
type Kind struct {
	Name    string
	Version string // of the module, or what the device is asked for
	// Verifies is true where a checksum is checked on each entry that is read.
	Verifies bool
	// Limit is true for the device itself: what it does is no log's work, but
	// nothing can be faster than the way it does it.
	Limit bool
	// Open opens the log in dir and makes it if need be.
	Open func(dir string, o Options) (Log, error)
}

// Options are what a workload may ask for at Open.
type Options struct {
	// Relaxed acknowledges before the sync.
	Relaxed bool
	// Whole is true for a log that keeps all it is given and is read back. The
	// device alone needs to know: it writes into a ring otherwise.
	Whole bool
}

// Log is an open competitor. Indexes start at 1, terms do not change. One
// goroutine calls a method at a time, but DropFront may run beside Append.
type Log interface {
	// Append stores payloads at first and the indexes that follow, in one write
	// that is durable on return, unless the log was opened relaxed. The memory
	// is the caller's again.
	Append(first uint64, payloads [][]byte) error
	// Read hands the entries of [lo, hi) to visit, in order, each lent for the
	// call, in the way that the log itself offers for many entries.
	Read(lo, hi uint64, visit func(index uint64, payload []byte) error) error
	// Get returns one entry, lent until the next call.
	Get(index uint64) ([]byte, error)
	// DropFront removes what is below index.
	DropFront(index uint64) error
	// DropBack removes index and what follows, so that index comes next.
	DropBack(index uint64) error
	io.Closer
}

// Writer appends one entry after another, for one goroutine; each is durable
// on return.
type Writer interface{ Append(payload []byte) error }

// Concurrent is a Log with group commit of its own.
type Concurrent interface {
	// Writers returns n writers that may append at the same time, spread over
	// groups logs that share the files. next is the index that comes next in a
	// single one.
	Writers(n, groups int, next uint64) ([]Writer, error)
}

// Async is a Log that returns before the write and tells when it is durable.
type Async interface {
	// AppendAsync queues one entry. done is called in the order of the calls;
	// the memory is the log's until then.
	AppendAsync(index uint64, payload []byte, done func(error)) error
}

// Syncer is a Log that can be asked to make durable what it acknowledged.
type Syncer interface{ Sync() error }

// All returns the competitors, the log under test first.
func All() []Kind {
	return []Kind{Trimaran(), RaftWAL(), BoltDB(), Etcd(), Tidwall(), Tan(), Pebble(), Raw()}
}

func errMissing(index uint64) error { return fmt.Errorf("entry %d is missing", index) }
