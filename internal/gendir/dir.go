// Package gendir is a directory of generations, of which the one that a pointer
// names is the content. The pointer is replaced as a whole and durably, so a
// crash leaves the one content or the other.
//
//	dir/
//	  LOCK              held while the directory is open
//	  GENERATION        the pointer: one line
//	  gen-00000001/     a generation
//
// CRC is the CRC-32C of the line before it:
//
//	trimaran-kv 1 pebble live 00000001 CRC
//	            |    |    |       the generation
//	            |    |    live, or new while the first one is being made
//	            |    engine
//	            version of this layout
package gendir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// Dir is such a directory, held by one process. One goroutine uses it at a
// time.
type Dir struct {
	Logger *slog.Logger // hears of what was left behind

	fs     vfs.FS
	engine string
	lock   io.Closer
	first  pointer // what Open found or made
}

// Open takes hold of the directory that fsys is, for an engine of that name.
// Whatever an import or a crash left beside the content is gone when it
// returns. A directory in which there is nothing gets a pointer to a first
// generation, which the caller has to make: so a generation without a pointer
// is always a loss. Errors to test for: fault.ErrLocked, fault.ErrInvalid for
// that of another engine, *fault.Corruption for damage and for a directory that
// is not ours (class Foreign), fault.ErrUnsupported for a newer format.
func Open(fsys vfs.FS, engine string, logger *slog.Logger) (*Dir, error) {
	d := &Dir{Logger: logger, fs: fsys, engine: engine}
	if err := d.refuseForeign(); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(lockName)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("the store is open elsewhere: %w: %w", fault.ErrLocked, err)
	}
	if err != nil {
		return nil, err
	}
	d.lock = lock
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close lets go of the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// Found is the generation that was the content when the directory was opened.
// If it is fresh it is to be made, and complete after [Dir.Switch].
func (d *Dir) Found() (gen uint64, fresh bool) { return d.first.gen, d.first.state == stateNew }

// Switch makes a generation, which has to be durable, the content, durably.
// After an error it also says whether the content is certainly the one before.
func (d *Dir) Switch(gen uint64) (unchanged bool, err error) { return d.write(stateLive, gen) }

// refuseForeign looks before it leaves a lock file in somebody else's
// directory.
func (d *Dir) refuseForeign() error {
	infos, err := d.fs.List(".")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(infos, func(i vfs.Info) bool { return i.Name == pointerName }) {
		return nil
	}
	for _, info := range infos {
		switch {
		case info.Name == lockName || info.Name == pointerName+vfs.TempSuffix:
		case isName(info.Name) && info.Dir:
			return &fault.Corruption{Path: pointerName, Offset: -1, Class: fault.Missing, Reason: "there is " + info.Name + ", and nothing says whether it is the content"}
		default:
			return &fault.Corruption{Path: info.Name, Offset: -1, Class: fault.Foreign, Reason: "the directory is not empty and not a store of this engine"}
		}
	}
	return nil
}

// prepare reads the pointer, or makes the first one, and leaves one generation,
// or none if that was being made for the first time: it is made again.
func (d *Dir) prepare() (err error) {
	if d.first, err = d.read(); errors.Is(err, fs.ErrNotExist) {
		d.first = pointer{d.engine, stateNew, 1}
		_, err = d.write(stateNew, 1)
	}
	if err != nil {
		return err
	}
	if d.first.state == stateNew {
		return d.sweep("")
	}
	live := Name(d.first.gen)
	if _, err := d.fs.Stat(live); errors.Is(err, fs.ErrNotExist) {
		return &fault.Corruption{Path: live, Offset: -1, Class: fault.Missing, Reason: pointerName + " names it"}
	} else if err != nil {
		return err
	}
	return d.sweep(live)
}

// sweep removes every generation but one.
func (d *Dir) sweep(live string) error {
	infos, err := d.fs.List(".")
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(infos, func(info vfs.Info) bool {
		return info.Name != pointerName+vfs.TempSuffix && (!isName(info.Name) || !info.Dir || info.Name == live)
	})
	if len(left) == 0 {
		return nil
	}
	// A process whose sync of the pointer failed may have left one that is not
	// durable: a crash would then bring back the one before, which may name what
	// is removed here.
	if err := d.fs.SyncDir("."); err != nil {
		return err
	}
	for _, info := range left {
		d.Logger.Info("removing what an import or a crash left behind", "file", info.Name)
		if err := vfs.RemoveAll(d.fs, info.Name); err != nil {
			return err
		}
	}
	return d.fs.SyncDir(".")
}
