package main

import (
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/bench/kv/engine"
)

const (
	keySize   = 16
	valueSize = 200
	batchSize = 1000
	scanSize  = 1000
	manyKeys  = 100 // of a multi-get
)

// plan is the size of a run. Cache and buffers are to the keys as they are in
// the full one.
type plan struct {
	Name   string
	Keys   int
	Rounds int
	Heavy  int           // rounds of what takes long
	Cell   time.Duration // of one store in one round
	Cache  int64
	Buffer int64
}

var (
	quick    = plan{Name: "quick", Keys: 5_000, Rounds: 1, Heavy: 1, Cell: 5 * time.Millisecond, Cache: 1 << 20, Buffer: 256 << 10}
	standard = plan{Name: "standard", Keys: 250_000, Rounds: 7, Heavy: 5, Cell: 150 * time.Millisecond, Cache: 32 << 20, Buffer: 8 << 20}
	full     = plan{Name: "full", Keys: 2_000_000, Rounds: 7, Heavy: 3, Cell: 400 * time.Millisecond, Cache: 256 << 20, Buffer: 64 << 20}
)

func (p plan) String() string {
	return fmt.Sprintf("%s: %d keys of %d bytes, values of %d; block cache %d MiB, write buffers %d MiB; %d rounds of %v, %d of what takes long",
		p.Name, p.Keys, keySize, valueSize, p.Cache>>20, p.Buffer>>20, p.Rounds, p.Cell, p.Heavy)
}

func (p plan) options() engine.Options {
	return engine.Options{Cache: p.Cache, WriteBuffer: p.Buffer}
}

func (p plan) durable() engine.Options {
	o := p.options()
	o.Durable = true
	return o
}
