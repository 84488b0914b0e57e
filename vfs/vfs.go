// Package vfs is the seam between storage and disk: the few file operations
// that storage needs, the real disk, and one in memory.
//
// An [FS] is a file tree below one root. Names are slash separated and
// relative, as in [io/fs]; nothing outside the root can be named, also not
// through a symbolic link. Files are created with mode 0600 and directories
// with 0700, so nobody else can read them whatever the umask.
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
	"os"
	"strings"
)

var (
	// ErrLocked: FS.Lock found the file locked by another process, or by
	// another call in this one.
	ErrLocked = errors.New("already locked")
	// ErrName: a name that is not valid below the root, or that is the root
	// where an entry is needed.
	ErrName = errors.New("name must be relative, slash separated and without empty, . or .. elements")
)

// FS is a file tree. All methods may be called by several goroutines. Errors
// are [*fs.PathError], of Rename [*os.LinkError], and match [fs.ErrNotExist],
// [fs.ErrExist], [fs.ErrPermission] and [fs.ErrClosed] as they do in package
// os. Only List, Stat, SyncDir and Sub take ".", the root.
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
	// Rename moves a file or directory within the tree. A file replaces a
	// file; a directory is never replaced.
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
	// The file stays, for whoever removes it lets a second holder in.
	Lock(name string) (io.Closer, error)
	// Sub is the tree below a directory, which it follows when that is
	// renamed. Closing either leaves the other open.
	Sub(dir string) (FS, error)
	// Space tells how much room there is.
	Space() (Space, error)
	// Close releases the root; later calls fail with fs.ErrClosed. Files and
	// locks stay open. A second Close does nothing.
	Close() error
}

// File is an open file. ReadAt and WriteAt may run in parallel. After Close
// every call fails with fs.ErrClosed, Close too.
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

// checkName accepts what names something below the root, or the root itself.
func checkName(op, name string) error {
	if fs.ValidPath(name) && !strings.ContainsRune(name, 0) {
		return nil
	}
	return fail(op, name, ErrName)
}

// checkEntry is checkName for what lives in a directory, so not the root.
func checkEntry(op, name string) error {
	if name == "." {
		return fail(op, name, ErrName)
	}
	return checkName(op, name)
}

// checkPair is checkEntry for both names of a rename or link.
func checkPair(op, from, to string) error {
	if checkEntry(op, from) != nil || checkEntry(op, to) != nil {
		return &os.LinkError{Op: op, Old: from, New: to, Err: ErrName}
	}
	return nil
}

func fail(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }
