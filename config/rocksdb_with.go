//go:build rocksdb

package config

// missingRocksDB is nil: this build has it.
func missingRocksDB() error { return nil }
