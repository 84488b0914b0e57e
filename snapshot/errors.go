package snapshot

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// invalid is a caller's mistake, with the reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrInvalid)...)
}

// place says where bytes come from and what damage to them means.
type place struct {
	path  string
	class fault.Class
}

// stored is the place of a published container: its bytes were acknowledged.
func stored(id ID) place { return place{path: id.object(), class: fault.Committed} }

func (p place) damaged(off int64, format string, args ...any) error {
	return &fault.Corruption{Path: p.path, Offset: off, Class: p.class, Reason: fmt.Sprintf(format, args...)}
}

func (p place) broken(off int64, reason string, err error) error {
	return &fault.Corruption{Path: p.path, Offset: off, Class: p.class, Reason: reason, Err: err}
}

// full marks a file system that has no room with fault.ErrFull.
func full(err error) error {
	if vfs.IsFull(err) && !errors.Is(err, fault.ErrFull) {
		return fmt.Errorf("%w: %w", fault.ErrFull, err)
	}
	return err
}
