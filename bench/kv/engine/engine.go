// Package engine puts the stores that are compared behind one interface, each
// in a file of its own.
package engine

import (
	"errors"
	"io"
)

// ErrUnsupported says that a store has no such operation.
var ErrUnsupported = errors.New("not supported")

// Options are the same for all that have the notion.
type Options struct {
	Cache       int64 // of blocks
	WriteBuffer int64 // until a table is written; three of them
	Durable     bool  // each commit is synced
}

// Kind is one competitor.
type Kind struct {
	Name    string
	Version string
	// Bare is true for an engine below ours, without what ours adds to it.
	Bare bool
	Open func(dir string, o Options) (Store, error)
}

// Batch is some pairs, each lent until the next.
type Batch func(yield func(key, value []byte) error) error

// Store is an open competitor. Values are lent until the next call.
type Store interface {
	// Write commits a batch, and syncs it if the store was opened so.
	Write(b Batch) error
	// Get returns a value, nil if there is none.
	Get(key []byte) ([]byte, error)
	// MultiGet visits the value of each key.
	MultiGet(keys [][]byte, visit func(i int, value []byte)) error
	// Scan visits n pairs from a key on.
	Scan(from []byte, n int, visit func(key, value []byte)) error
	// Settle ends background work and leaves everything in the last level.
	Settle() error
	io.Closer
}

// Updater is a store with transactions that read what they write.
type Updater interface {
	// Update replaces a value by what change makes of it, once, and tries again
	// on conflicts.
	Update(key []byte, change func(old []byte) []byte) error
}

// Exporter is a store that writes all it holds to one stream, framed and with
// checksums. It returns the bytes of keys and values.
type Exporter interface {
	Export(w io.Writer) (int64, error)
}

// Importer is a store that replaces what it holds in one step.
type Importer interface {
	// Import loads what Export wrote to r, or for a bare engine the pairs, which
	// come in order.
	Import(r io.Reader, pairs Batch) error
}

// All returns the competitors, those under test first.
func All() []Kind {
	all := []Kind{Trimaran(), TrimaranMemory(), Pebble(), Badger(), Bolt(), BTree()}
	return append(all, rocks()...)
}
