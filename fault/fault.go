// Package fault holds the errors that every layer shares: a few values that
// callers act on, and one type, [Corruption], for every kind of damage.
//
// Decide with [errors.Is] and [errors.As], never by text. Each layer wraps
// these with what it knows (index, file, offset), so an error reads from the
// call down to its cause.
package fault

import "errors"

// What a caller can act on. Anything else is wrapped as it came, for example
// [io/fs.ErrPermission] from the file system.
var (
	// ErrNotFound: no such entry, key, snapshot or group.
	ErrNotFound = errors.New("not found")
	// ErrClosed: the value was closed, or the transaction was finished.
	ErrClosed = errors.New("closed")
	// ErrCorrupt matches every [*Corruption].
	ErrCorrupt = errors.New("corrupt")
	// ErrReadOnly: a write through something opened for reading.
	ErrReadOnly = errors.New("read only")
	// ErrUnsupported: this driver, build or format version cannot do it.
	ErrUnsupported = errors.New("unsupported")
	// ErrInvalid: the caller's mistake; nothing changed.
	ErrInvalid = errors.New("invalid")
	// ErrCompacted: at or below the base of the log.
	ErrCompacted = errors.New("compacted")
	// ErrFull: bounded memory, disk budget or ENOSPC. Nothing changed; the same
	// call works again when there is room.
	ErrFull = errors.New("full")
	// ErrPoisoned: an earlier write or sync failed. Reads go on, writes fail;
	// reopen to recover.
	ErrPoisoned = errors.New("poisoned by an earlier failure")
	// ErrConflict: somebody else changed what this call relied on.
	ErrConflict = errors.New("conflict")
	// ErrNothingNew: there is nothing to take a snapshot of.
	ErrNothingNew = errors.New("nothing new")
	// ErrLocked: another process, or another open in this one, holds it.
	ErrLocked = errors.New("locked")
)
