package snapshot

import (
	"context"
	"io"
	"iter"
)

// Bucket is a flat set of named objects: five methods make a backend. Package
// snaptest checks the rules below.
//
// All methods may be called by several goroutines. Names have been checked by
// the store with [CheckName]. After Close every call fails with
// fault.ErrClosed; a second Close is no error. A call whose context is done
// fails with the context's error.
type Bucket interface {
	// Create begins an object, which stays invisible until Commit. Several may
	// be pending under one name: the last to commit stays.
	Create(ctx context.Context, name string) (Pending, error)

	// Open reads an object from byte off to its end; at or past the end the
	// reader is at io.EOF at once, and a negative off is fault.ErrInvalid. An
	// object that is not there is fault.ErrNotFound.
	//
	// The reader ends with io.EOF only at the end of the object; a connection
	// that broke is another error. If the object is removed or replaced
	// meanwhile, the reader delivers the old bytes to their end or fails, and
	// never mixes the two. ctx governs the reads too.
	Open(ctx context.Context, name string, off int64) (io.ReadCloser, error)

	// List yields each committed object once, in any order, with its exact
	// size. What is pending, aborted or left behind by a crash is not listed.
	// An error ends the listing.
	List(ctx context.Context) iter.Seq2[Object, error]

	// Remove removes an object; that is durable on return. An object that is
	// not there is no error.
	Remove(ctx context.Context, name string) error

	// Close gives up what is pending. The store closes its readers first.
	io.Closer
}

// Pending is an object that does not exist yet. It is used by one goroutine at
// a time.
type Pending interface {
	// Write appends; it keeps nothing of p. A full backend is fault.ErrFull.
	io.Writer

	// Commit makes the object durable and visible under its name, replacing
	// what was there at once. After an error the old or the new object is
	// there, whole. A second Commit, and one after Abort, is fault.ErrClosed,
	// as is a Write after either.
	Commit(ctx context.Context) error

	// Abort gives the object up and frees what it took. It may be called
	// twice, and does nothing after Commit.
	Abort() error
}

// Object is what List tells of one object.
type Object struct {
	Name string
	Size int64
}

// Stater is an optional ability of a bucket: the description of one object
// without listing all. fault.ErrNotFound if it is not there.
type Stater interface {
	Stat(ctx context.Context, name string) (Object, error)
}

// Volatile is an optional ability of a bucket: it says that nothing survives
// the process. Buckets without it are taken to be durable.
type Volatile interface{ Volatile() bool }

// As finds an optional ability in b or in what it wraps: each bucket that has
// a method Unwrap() Bucket is asked for the next.
func As[T any](b Bucket) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		w, ok := b.(interface{ Unwrap() Bucket })
		if !ok {
			break
		}
		b = w.Unwrap()
	}
	var none T
	return none, false
}

const maxName = 128

// CheckName refuses a name that no bucket needs to support: anything but 1 to
// 128 letters, digits, dots, hyphens and underscores of ASCII, the first of
// them a letter or digit. The error is fault.ErrInvalid. Names that differ
// only in case are never used together.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > maxName {
		return invalid("object name of %d bytes, want 1 to %d", len(name), maxName)
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '-' || c == '_'):
		default:
			return invalid("object name %q holds a character that is not allowed", name)
		}
	}
	return nil
}
