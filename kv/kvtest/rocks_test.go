//go:build rocksdb && cgo

package kvtest_test

import (
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/rockskv"
)

func onRocks(t testing.TB) []kvtest.Place {
	dir := t.TempDir()
	small := &rockskv.Options{CacheSize: 1 << 20, WriteBufferSize: 64 << 10, MaxWriteBuffers: 2}
	return []kvtest.Place{func() (kv.Driver, error) { return rockskv.Open(dir, small) }}
}
