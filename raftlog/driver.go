package raftlog

import (
	"context"
	"io"
)

// Driver keeps the logs of many groups and owns their commit, so that groups
// share a sync. All methods may be called by several goroutines. Package
// logtest checks what is said here; a driver is done when logtest.Run passes.
//
// Batches have passed Batch.Validate, from the front or from the driver itself.
// The driver runs Shape.Check where it fixes the order of batches, for only
// there is the answer certain.
type Driver interface {
	// Submit writes all batches or none, after everything submitted before; no
	// group may appear twice. With done nil it returns when the write is
	// acknowledged: visible to reads and, as the sync policy says, durable.
	// Otherwise it returns when the write is queued, and done is called exactly
	// once, in the order of submission; after an error from Submit itself it is
	// not called. The batches' memory is the driver's until then. done may read
	// and submit with a done of its own; it must not wait for a write.
	//
	// What is refused, Submit refuses itself, and it changes nothing. A write
	// that fails later takes those queued behind it along. Errors to expect: what Shape.Check
	// reports, fault.ErrFull (nothing changed, try again with room),
	// fault.ErrPoisoned, fault.ErrClosed.
	Submit(batches []GroupBatch, done func(error)) error
	// Bounds of the acknowledged log; zero for an unknown group.
	Bounds(g Group) (Bounds, error)
	// Read returns the entries of [lo, hi) from the first on, as many as have
	// maxBytes of payload together, and at least one. It fills the memory that
	// dst brings along (see Arena). On damage it returns the intact entries
	// before it together with a *fault.Corruption.
	Read(dst []Entry, g Group, lo, hi, maxBytes uint64) ([]Entry, error)
	// Term of an entry or of the base, as Shape.Term has it.
	Term(g Group, index uint64) (uint64, error)
	// Stable returns a copy of an acknowledged value, or fault.ErrNotFound.
	Stable(g Group, key string) ([]byte, error)
	// Groups lists, in order, the groups that hold anything.
	Groups() ([]Group, error)
	// Remove forgets a group with its entries and stable keys, durably. Removing
	// an unknown group does nothing.
	Remove(g Group) error
	// Sync makes durable what was acknowledged before it, whatever the policy.
	Sync() error
	// Close ends the commits under way and releases everything.
	io.Closer
}

// Sizer tells what a group and the store below it occupy.
type Sizer interface{ Size(g Group) (Size, error) }

// Verifier reads everything it holds, of all groups, and checks it.
type Verifier interface {
	Verify(ctx context.Context, o *VerifyOptions) (VerifyReport, error)
}

// Releaser is told up to which index a group's entries may be dropped when
// memory runs out.
type Releaser interface {
	Release(g Group, index uint64) error
}

// Volatile reports that nothing survives the process.
type Volatile interface{ Volatile() bool }

// As finds an optional ability in d or in what d wraps, by way of
// Unwrap() Driver.
func As[T any](d Driver) (T, bool) {
	for d != nil {
		if t, ok := d.(T); ok {
			return t, true
		}
		w, ok := d.(interface{ Unwrap() Driver })
		if !ok {
			break
		}
		d = w.Unwrap()
	}
	var zero T
	return zero, false
}
