package memkv_test

import (
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/memkv"
)

func place(testing.TB) kvtest.Place {
	return func() (kv.Driver, error) { return memkv.New(nil) }
}

func TestContract(t *testing.T) { kvtest.Run(t, place) }
