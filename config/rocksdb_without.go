//go:build !rocksdb

package config

import "github.com/trimarandb/trimaran/kv/rockskv"

// missingRocksDB is the refusal of this build. Without RocksDB, rockskv opens
// nothing and says what to do about it.
func missingRocksDB() error {
	_, err := rockskv.Open("", nil)
	return err
}
