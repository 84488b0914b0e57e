package pebblekv

import (
	"fmt"
	"log/slog"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

const (
	defaultCache        = 64 << 20
	defaultWriteBuffer  = 64 << 20
	defaultWriteBuffers = 3

	minWriteBuffer  = 64 << 10
	maxWriteBuffer  = 1 << 30
	maxWriteBuffers = 1 << 10

	styleLevel = "level"
)

// Options configure [Open]. Nil and zero fields mean the defaults.
type Options struct {
	// FS is where dir is, and where all of Pebble's files are. Default: the
	// real disk.
	FS vfs.FS
	// CacheSize is the size in bytes of the cache of table blocks, shared by the
	// live content and one being imported. Default 64 MiB.
	CacheSize int64
	// WriteBufferSize is how many bytes of writes are kept in memory, and in one
	// file of the write-ahead log, before they become a table. Default 64 MiB;
	// 64 KiB to 1 GiB.
	WriteBufferSize int64
	// MaxWriteBuffers is how many of those may be full, beside the one that is
	// being filled: then commits wait for a table to be written, and are
	// fault.ErrFull if tables find no room. As many log files and two more are
	// kept on disk for use again. Default 3, at least 2.
	MaxWriteBuffers int
	// CompactionStyle is how tables are merged. Pebble knows "level" only, which
	// is the default.
	CompactionStyle string
	// Logger hears of what went wrong behind a caller's back and, at debug
	// level, of what Pebble does. Default: nobody.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	setDefault(&c.CacheSize, defaultCache)
	setDefault(&c.WriteBufferSize, defaultWriteBuffer)
	setDefault(&c.MaxWriteBuffers, defaultWriteBuffers)
	setDefault(&c.CompactionStyle, styleLevel)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.CacheSize < 0:
		return c, fmt.Errorf("cache of %d bytes: %w", c.CacheSize, fault.ErrInvalid)
	case c.WriteBufferSize < minWriteBuffer || c.WriteBufferSize > maxWriteBuffer:
		return c, fmt.Errorf("write buffer of %d bytes, want %d to %d: %w", c.WriteBufferSize, minWriteBuffer, maxWriteBuffer, fault.ErrInvalid)
	case c.MaxWriteBuffers < 2 || c.MaxWriteBuffers > maxWriteBuffers:
		return c, fmt.Errorf("%d write buffers, want 2 to %d: %w", c.MaxWriteBuffers, maxWriteBuffers, fault.ErrInvalid)
	case c.CompactionStyle != styleLevel:
		return c, fmt.Errorf("compaction style %q: pebble knows %q only: %w", c.CompactionStyle, styleLevel, fault.ErrInvalid)
	}
	return c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
