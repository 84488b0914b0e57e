package kvtest_test

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/memkv"
)

// handle is one opening of an engine in memory that outlives it, so that the
// cases about reopening have something to find.
type handle struct {
	kv.Driver
	closed atomic.Bool
}

func (h *handle) Unwrap() kv.Driver { return h.Driver }
func (h *handle) Volatile() bool    { return false }

func (h *handle) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	if h.closed.Load() {
		return nil, fmt.Errorf("handle: %w", fault.ErrClosed)
	}
	return h.Driver.Begin(ctx, writable)
}

func (h *handle) Close() error {
	h.closed.Store(true)
	return nil
}

// lasting is a place whose content survives Close, seen through wrap.
func lasting(wrap func(kv.Driver) kv.Driver) kvtest.Place {
	db, err := memkv.New(nil)
	return func() (kv.Driver, error) { return &handle{Driver: wrap(db)}, err }
}

func plain(d kv.Driver) kv.Driver { return d }
