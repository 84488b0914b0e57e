//go:build rocksdb

package main

import "testing"

const tags = "rocksdb"

// The seed's fast configuration, RocksDB included, survives kills under load.
func TestServeHighPerformance(t *testing.T) {
	p := newProcess(t, t.TempDir(), "--config", "../../examples/high-performance.yaml")
	p.survives()
}
