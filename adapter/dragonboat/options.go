package dragonboat

import (
	"log/slog"

	"github.com/trimarandb/trimaran/vfs"
)

// Options tune a LogDB or a Machine. Nil and zero fields mean the defaults.
type Options struct {
	// FS is where directories are. Default: the real disk.
	FS vfs.FS
	// Logger hears what is worth knowing and no caller is told. Default: nobody.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}
