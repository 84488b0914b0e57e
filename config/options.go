package config

import (
	"log/slog"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// Options are what a program says and no file can. Zero fields mean the
// defaults.
type Options struct {
	// Storage are the options of the composite: who drives it, when it takes
	// snapshots. Where its Retention is zero it has that of the file, where its
	// Logger is nil the one below; its Closers are closed after those of the
	// layers.
	Storage trimaran.Options
	// FS is where the directory is. Default: the real disk. RocksDB knows no
	// other.
	FS vfs.FS
	// Extractors and Reindex are those of kv.Options.
	Extractors []kv.Extractor
	Reindex    bool
	// NoMembership is that of snapshot.Options.
	NoMembership bool
	// Logger hears of what goes on in all layers. Default: nobody.
	Logger *slog.Logger
}
