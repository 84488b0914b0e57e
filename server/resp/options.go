package resp

import (
	"time"

	"github.com/trimarandb/trimaran/server/command"
)

// Options configure [New]. The zero value is ready for use.
type Options struct {
	// MaxClients is the most connections at a time, 10,000 if zero.
	MaxClients int
	// MaxRequest is the most bytes of one request, and of all that MULTI
	// queues, 65 MiB if zero, so that the longest value fits in.
	MaxRequest int
	// IdleTimeout closes a connection that sends nothing for so long, never if
	// zero.
	IdleTimeout time.Duration
	// RequestTimeout is how long the backend may take over a request before the
	// client gets an error, 10 seconds if zero.
	RequestTimeout time.Duration
	// WriteTimeout closes a connection that takes no answers for so long, 30
	// seconds if zero.
	WriteTimeout time.Duration
	// Version is that of the program, for INFO and HELLO.
	Version string
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	setDefault(&out.MaxClients, 10_000)
	setDefault(&out.MaxRequest, command.MaxValue+1<<20)
	setDefault(&out.RequestTimeout, 10*time.Second)
	setDefault(&out.WriteTimeout, 30*time.Second)
	setDefault(&out.Version, "devel")
	return out
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// Frozen in what clients may rely on: the version of Redis whose replies these
// are.
const redisVersion = "7.0.15"

const (
	maxInline   = 16 << 10 // bytes of a line, and of input read at once
	maxBatchOps = 1024     // pipelined writes in one log entry
	maxBatch    = 1 << 20  // bytes after which no more writes join a log entry
	maxOutput   = 64 << 10 // bytes of replies after which they are sent
	maxWatches  = 64 << 10 // keys that a connection watches
)
