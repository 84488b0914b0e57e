package rockskv

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/trimarandb/trimaran/fault"
)

const (
	defaultCache        = 64 << 20
	defaultWriteBuffer  = 64 << 20
	defaultWriteBuffers = 3

	minWriteBuffer  = 64 << 10
	maxWriteBuffer  = 1 << 30
	maxWriteBuffers = 1 << 10

	styleLevel     = "level"
	styleUniversal = "universal"
	styleFIFO      = "fifo"
)

// Options configure [Open]. Nil and zero fields mean the defaults.
type Options struct {
	// CacheSize is the size in bytes of the cache of table blocks, shared by the
	// live content and one being imported. Default 64 MiB.
	CacheSize int64
	// WriteBufferSize is how many bytes of writes are kept in memory, and in the
	// write-ahead log, before they become a table. Default 64 MiB; 64 KiB to
	// 1 GiB.
	WriteBufferSize int64
	// MaxWriteBuffers is how many of those may exist: when as many are full,
	// commits wait for a table to be written. Default 3, at least 2.
	MaxWriteBuffers int
	// CompactionStyle is how tables are merged: "level", the default, for the
	// least space; "universal" for the fewest bytes written; "fifo" not at all,
	// for stores that are small or soon replaced. RocksDB's fifo drops the
	// oldest rows of a store that grows; here it never does.
	CompactionStyle string
	// Logger hears of what went wrong behind a caller's back. Default: nobody.
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
	case !slices.Contains([]string{styleLevel, styleUniversal, styleFIFO}, c.CompactionStyle):
		return c, fmt.Errorf("compaction style %q: want level, universal or fifo: %w", c.CompactionStyle, fault.ErrInvalid)
	}
	return c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
