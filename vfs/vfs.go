// Package vfs is the seam between storage and disk: the few file operations
// that storage needs, the real disk, and one in memory.
//
// An [FS] is a file tree below one root. Names are slash separated and
// relative, as in [io/fs]; nothing outside the root can be named, also not
// through a symbolic link. Files are created with mode 0600 and directories
// with 0700, whatever the umask.
//
// What is durable when a call returns is the disk's business only after the
// matching sync: bytes and size of a file after [File.Sync] or
// [File.SyncData], a name that was created, renamed or removed after
// [FS.SyncDir] of its directory. A sync that failed must not be repeated: the
// kernel may by then call the lost pages clean.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

var (
	// ErrLocked: FS.Lock found the file locked by somebody else.
	ErrLocked = errors.New("locked by another process")
	// ErrName: a name that is not valid below the root.
	ErrName = errors.New("name must be relative, slash separated and without dots")
)

// FS is a file tree. All methods may be called by several goroutines. Errors
// are [*fs.PathError] and match [fs.ErrNotExist], [fs.ErrExist] and
// [fs.ErrPermission] as they do in package os.
type FS interface {
	// Create makes a new file for reading and writing, and fails with
	// fs.ErrExist if the name is taken.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Mkdir makes one directory.
	Mkdir(name string) error
	// Rename moves a file or directory within the tree; a file replaces a file.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// List returns the entries of a directory in the order of their names.
	List(dir string) ([]Info, error)
	// Stat describes one name.
	Stat(name string) (Info, error)
	// SyncDir makes the names in one directory durable.
	SyncDir(dir string) error
	// Lock creates the file if need be and locks it until the closer is closed
	// or the process ends. ErrLocked says who holds it, when that is known.
	Lock(name string) (io.Closer, error)
	// Sub is the tree below a directory. Closing either leaves the other open.
	Sub(dir string) (FS, error)
	// Space tells how much room there is.
	Space() (Space, error)
	// Close releases the root. Files stay open.
	Close() error
}

// File is an open file. ReadAt and WriteAt may run in parallel.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is the current length in bytes.
	Size() (int64, error)
	// Truncate cuts the file, or extends it with zeros.
	Truncate(size int64) error
	// Sync makes bytes, size and attributes durable (fsync).
	Sync() error
	// SyncData makes bytes and size durable (fdatasync).
	SyncData() error
}

// Info describes a name in a directory.
type Info struct {
	Name string // the last element
	Size int64  // 0 for directories
	Dir  bool
}

// Space is room in bytes. A limit that nobody set reads as the largest int64.
type Space struct{ Free, Total int64 }

func checkName(op, name string) error {
	if fs.ValidPath(name) {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: ErrName}
}
