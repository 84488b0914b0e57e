//go:build !rocksdb || !cgo

package rockskv

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// DB is the engine in a build that has it.
type DB struct{ kv.Driver }

// Open fails: this build has no RocksDB. The error is fault.ErrInvalid for
// options that make no sense, fault.ErrUnsupported otherwise.
func Open(_ string, o *Options) (*DB, error) {
	if _, err := o.withDefaults(); err != nil {
		return nil, fmt.Errorf("open rocksdb engine: %w", err)
	}
	return nil, fmt.Errorf("open rocksdb engine: this build has no RocksDB: install the Debian package librocksdb-dev and build with CGO_ENABLED=1 and -tags rocksdb, or use the engine pebble: %w", fault.ErrUnsupported)
}
