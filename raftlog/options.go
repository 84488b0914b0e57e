package raftlog

import "time"

// Options tune a Log. Nil and zero fields mean the defaults.
type Options struct {
	// MaxEntrySize bounds Data plus Ext of one entry, in bytes.
	// Default DefaultMaxEntrySize.
	MaxEntrySize int
	// MaxPending bounds the bytes of WriteAsync batches that are not yet
	// acknowledged; a larger batch goes alone. Default 64 MiB.
	MaxPending int64
	// Now is the clock behind the throughput in Stats. Default time.Now.
	Now func() time.Time
}

const defaultMaxPending = 64 << 20

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.MaxEntrySize <= 0 {
		out.MaxEntrySize = DefaultMaxEntrySize
	}
	if out.MaxPending <= 0 {
		out.MaxPending = defaultMaxPending
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	return out
}
