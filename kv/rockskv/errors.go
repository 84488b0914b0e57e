//go:build rocksdb && cgo

package rockskv

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// What RocksDB's errors begin with; there is nothing else to tell them by.
const (
	textCorruption = "Corruption"
	textIO         = "IO error"
	textNoSpace    = "IO error: No space left on device"
	textNoFile     = "IO error: No such file or directory"
)

// damaged turns what RocksDB calls corruption, and tables that are not there,
// into *fault.Corruption.
func (g *generation) damaged(err error) error {
	if err == nil {
		return nil
	}
	c := &fault.Corruption{Path: g.dir, Offset: -1, Err: err}
	switch text := err.Error(); {
	case strings.HasPrefix(text, textCorruption):
		c.Class = fault.Committed
	case strings.HasPrefix(text, textNoFile):
		c.Class = fault.Missing
	default:
		return err
	}
	return c
}

// unopenable is damaged for a store that does not open: what the file system
// did not say is about the files.
func (g *generation) unopenable(err error) error {
	if strings.HasPrefix(err.Error(), textIO) {
		return full(g.damaged(err))
	}
	return &fault.Corruption{Path: g.dir, Offset: -1, Class: fault.Committed, Reason: "rocksdb does not open it", Err: err}
}

// full marks an error that says that the disk is full.
func full(err error) error {
	if err != nil && (vfs.IsFull(err) || strings.HasPrefix(err.Error(), textNoSpace)) {
		return fmt.Errorf("%w: %w", fault.ErrFull, err)
	}
	return err
}

func errClosed(what string) error { return fmt.Errorf("rocksdb engine: %s: %w", what, fault.ErrClosed) }

// fate is the first failure after which nothing may be written.
type fate struct{ cause atomic.Pointer[failure] }

type failure struct{ err error }

func (f *fate) fail(err error) { f.cause.CompareAndSwap(nil, &failure{err}) }

// poisoned is nil while there is no failure.
func (f *fate) poisoned() error {
	if c := f.cause.Load(); c != nil {
		return fmt.Errorf("%w: %w", fault.ErrPoisoned, c.err)
	}
	return nil
}
