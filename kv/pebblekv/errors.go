package pebblekv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
	"github.com/trimarandb/trimaran/fault"
)

// damaged turns what Pebble calls corruption, and tables that are not there,
// into *fault.Corruption. Other errors stay as they are.
func (g *generation) damaged(err error) error {
	c := &fault.Corruption{Path: g.dir, Offset: -1, Err: err}
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err):
		c.Class = fault.Committed
	case errors.Is(err, fs.ErrNotExist):
		c.Class = fault.Missing
	default:
		return err
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		c.Path = path.Join(g.dir, path.Base(info.Path))
	}
	return c
}

// unopenable is damaged for a store that does not open. Pebble has no type for
// most of what it may find wrong then, but what the file system did not say is
// about the files.
func (g *generation) unopenable(err error) error {
	if v, err := atomicfs.ReadMarker(g.opts.FS, g.dir, "format-version"); err == nil {
		if n, err := strconv.ParseUint(v, 10, 32); err == nil && n > uint64(pebble.FormatNewest) {
			return fmt.Errorf("%s is of Pebble's format version %d, this build knows %d: %w", g.dir, n, pebble.FormatNewest, fault.ErrUnsupported)
		}
	}
	if err := g.damaged(err); errors.Is(err, fault.ErrCorrupt) || g.fate.err() != nil {
		return err
	}
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return err
	}
	return &fault.Corruption{Path: g.dir, Offset: -1, Class: fault.Committed, Reason: "pebble does not open it", Err: err}
}

func errClosed(what string) error { return fmt.Errorf("pebble engine: %s: %w", what, fault.ErrClosed) }
