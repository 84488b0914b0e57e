//go:build rocksdb && cgo

package kvtest_test

import (
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/rockskv"
)

const withRocks = true

func openRocks(dir string) (kv.Driver, error) {
	return rockskv.Open(dir, &rockskv.Options{CacheSize: 1 << 20, WriteBufferSize: 64 << 10, MaxWriteBuffers: 2})
}
