package crashtest

import (
	"errors"
	"sync/atomic"

	"github.com/trimarandb/trimaran/vfs"
)

// ErrFrozen is what a frozen tree answers.
var ErrFrozen = errors.New("the power is gone")

// Freezable returns fsys and a function after which every call on what was
// opened through it fails, and changes nothing: a store that was not closed can
// then be closed without a trace.
func Freezable(fsys vfs.FS) (_ vfs.FS, freeze func()) {
	var frozen atomic.Bool
	return vfs.Hook(fsys, func(vfs.Op) error {
		if frozen.Load() {
			return ErrFrozen
		}
		return nil
	}), func() { frozen.Store(true) }
}
