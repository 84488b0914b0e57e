package simdisk

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"

	"github.com/trimarandb/trimaran/vfs"
)

// Options set what a disk refuses. Nil and zero fields mean nothing.
type Options struct {
	// Capacity is how many bytes fit, counted in blocks of 4 KiB with one for
	// each directory. Default: no limit.
	Capacity int64
	// LateFull lets writes beyond the capacity pass and syncs of files that need
	// more blocks fail, as where these are only given away when pages are
	// written out.
	LateFull bool
	// LoseNames lets a failed sync of a directory lose names as that of a file
	// loses bytes.
	LoseNames bool
}

// ShortWrite is for the function of Disk.Fail to return for a write: the first N
// bytes are written, and then it fails with Err.
type ShortWrite struct {
	N   int
	Err error
}

func (s *ShortWrite) Error() string { return s.Err.Error() }
func (s *ShortWrite) Unwrap() error { return s.Err }

// Disk is a simulated disk. All methods may be called by several goroutines.
type Disk struct {
	base *Image // what was durable when the history began

	mu      sync.Mutex
	o       Options
	live    *tree
	history []*record
	fail    func(vfs.Op) error
}

// New returns an empty disk.
func New(o *Options) *Disk {
	return newImage().Disk(o)
}

// FS is the root of the tree. Closing it leaves other roots of the disk open.
func (d *Disk) FS() vfs.FS { return &root{d: d, at: rootID, base: "."} }

// Ops is how many operations the history has. What changes nothing, as a read,
// is not among them.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.history)
}

// Op describes operation i.
func (d *Disk) Op(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.history[i].String()
}

// Fail sets the function that is asked before each call, reads included, with
// the kinds and names of vfs.Hook; nil asks nobody. An error from it is
// returned by the call, which does nothing else, but for two: a sync that fails
// loses what it should have written (see the package comment), and a write that
// fails with a *ShortWrite writes some. The function may block, and holds up
// only the call that it was asked about.
func (d *Disk) Fail(fn func(vfs.Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fn
}

// SetCapacity makes room, or takes it: what is there stays. 0 is no limit.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.o.Capacity = bytes
}

func (d *Disk) ask(op vfs.Op) error {
	d.mu.Lock()
	fail := d.fail
	d.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(op)
}

// do makes r happen. d.mu is held.
func (d *Disk) do(r *record) {
	d.live.apply(r)
	d.history = append(d.history, r)
}

// room is how many bytes are left. d.mu is held.
func (d *Disk) room() int64 {
	if d.o.Capacity == 0 {
		return 1 << 62
	}
	return max(0, d.o.Capacity-d.live.used)
}

// space checks that a new name, of dirs new directories, has a place.
func (d *Disk) space(dirs int) error {
	if d.o.Capacity > 0 && !d.o.LateFull && d.room() < max(1, int64(dirs)*blockSize) {
		return syscall.ENOSPC
	}
	return nil
}

func pathError(op, name string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
