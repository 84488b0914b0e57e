package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"

	"github.com/trimarandb/trimaran/kv"
)

// counting counts what a store asks of its engine.
type counting struct {
	kv.Driver
	gets, walks int
}

func (c *counting) Unwrap() kv.Driver { return c.Driver }

func (c *counting) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	t, err := c.Driver.Begin(ctx, writable)
	if err != nil {
		return nil, err
	}
	return &countingTx{t, c}, nil
}

type countingTx struct {
	kv.DriverTx
	c *counting
}

func (t *countingTx) Get(key []byte) ([]byte, error) {
	t.c.gets++
	return t.DriverTx.Get(key)
}

func (t *countingTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	t.c.walks++
	return t.DriverTx.Scan(r)
}

// captureConstant takes captures of few rows and of many. Whoever walks, counts
// or copies rows asks the engine more often, or takes more memory: the keys of
// the many rows alone are a megabyte.
func captureConstant(ctx context.Context, place Place) error {
	const few, many, memory = 10, 20_000, 256 << 10
	var c *counting
	p := &probe{ctx: ctx, place: func() (kv.Driver, error) {
		d, err := place()
		c = &counting{Driver: d}
		return c, err
	}}
	p.open()
	if p.err != nil {
		return p.err
	}
	rows := func(lo, hi int) {
		p.update(func(t *kv.WriteTx) error {
			for i := lo; i < hi; i++ {
				if err := t.Put(fmt.Appendf(bytes.Repeat([]byte("k"), 50), "%06d", i), []byte("value")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// The least of several tries is without what an engine does behind a back.
	capture := func() (gets, walks int, allocated uint64) {
		allocated = 1 << 62
		for range 10 {
			var before, after runtime.MemStats
			c.gets, c.walks = 0, 0
			runtime.ReadMemStats(&before)
			held, err := p.s.Capture(ctx)
			runtime.ReadMemStats(&after)
			p.ok("Capture", err)
			if err != nil {
				break
			}
			gets, walks, allocated = c.gets, c.walks, min(allocated, after.TotalAlloc-before.TotalAlloc)
			p.ok("Release", held.Release())
		}
		return gets, walks, allocated
	}
	rows(0, few)
	gets, walks, _ := capture()
	rows(few, many)
	gets2, walks2, allocated := capture()
	same(p, fmt.Sprintf("gets of the engine for a capture of %d rows", many), gets2, gets)
	same(p, "walks for a capture", walks+walks2, 0)
	if allocated > memory {
		p.failf("a capture of %d rows took %d bytes of memory, want less than %d", many, allocated, memory)
	}
	return first(p.err, p.s.Close())
}
