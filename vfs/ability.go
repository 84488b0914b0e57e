package vfs

import (
	"errors"
	"os"
)

// Linker is an [FS] in which a file may have more than one name.
type Linker interface {
	// Link gives the file named from a second name. It fails with fs.ErrExist
	// if to is taken, and for directories. The name is durable after SyncDir of
	// its directory; the bytes belong to both names.
	Link(from, to string) error
}

// Link calls fsys.Link if fsys is a [Linker], and fails with
// errors.ErrUnsupported otherwise. Errors are [*os.LinkError].
func Link(fsys FS, from, to string) error {
	if l, ok := fsys.(Linker); ok {
		return l.Link(from, to)
	}
	return &os.LinkError{Op: "link", Old: from, New: to, Err: errors.ErrUnsupported}
}

// Holder is an [FS] that tells who holds a lock, without taking it.
type Holder interface {
	// Holder reports whether a file is locked, and by which process, 0 if that is
	// not known. A file that is not there is not locked, and is not made.
	Holder(name string) (pid int, held bool, err error)
}

// LockHolder calls fsys.Holder if fsys is a [Holder], and fails with
// errors.ErrUnsupported otherwise.
func LockHolder(fsys FS, name string) (pid int, held bool, err error) {
	if h, ok := fsys.(Holder); ok {
		return h.Holder(name)
	}
	return 0, false, fail("lock", name, errors.ErrUnsupported)
}

// Hint is something that the kernel may like to know of a file.
type Hint uint8

const (
	// HintReserve: these bytes will be written, so have room for them. The size
	// stays as it is.
	HintReserve Hint = iota
	// HintWriteBack: begin to write out everything below the end of these bytes.
	// Nothing is durable by it; what failed is told here or by the next sync.
	HintWriteBack
	// HintWriteOut: begin to write out these bytes, and wait for nothing.
	HintWriteOut
	// HintPrefetch: these bytes will be read.
	HintPrefetch
)

// Hinter is a [File] that passes hints on. A hint changes nothing that can be
// read, and makes nothing durable.
type Hinter interface {
	// Hint tells the kernel about n bytes at off. Without a kernel, or with one
	// that does not know this hint, it fails with errors.ErrUnsupported.
	Hint(h Hint, off, n int64) error
}

// Descriptor is a [File] of the operating system.
type Descriptor interface {
	// Fd is the number of the open file, valid until Close.
	Fd() uintptr
}
