//go:build !(rocksdb && cgo)

package kvtest_test

import (
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

const withRocks = false

func openRocks(string) (kv.Driver, error) { return nil, fault.ErrUnsupported }
