package config

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// missingRocksDB is why rocksdb cannot be opened, nil if it can.
func missingRocksDB() error {
	return fmt.Errorf("rocksdb is not in this build: build with -tags rocksdb, which needs Debian's librocksdb-dev, or use pebble: %w", fault.ErrUnsupported)
}

func openRocksDB(place, *Data) (kv.Driver, error) { return nil, missingRocksDB() }
