//go:build !(rocksdb && cgo)

package kvtest_test

import (
	"testing"

	"github.com/trimarandb/trimaran/kv/kvtest"
)

func onRocks(testing.TB) []kvtest.Place { return nil }
