package kv

import (
	"math"
	"sync/atomic"
)

// closedBias is added to a gate's count when it closes.
const closedBias = math.MinInt64 / 2

// gate counts the calls inside a store or a transaction and turns callers
// away once it is closed. Whoever makes it closed and empty, and nobody else,
// is told so and does what has to be done then.
type gate struct{ n atomic.Int64 }

// enter reports whether the caller may go on; it then owes a leave.
func (g *gate) enter() bool {
	for {
		n := g.n.Load()
		if n < 0 {
			return false
		}
		if g.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends what enter began, and reports whether it left the gate closed
// and empty.
func (g *gate) leave() bool { return g.n.Add(-1) == closedBias }

// close turns later callers away. The first call has first true, and empty
// true if nobody was inside.
func (g *gate) close() (first, empty bool) {
	for {
		n := g.n.Load()
		if n < 0 {
			return false, false
		}
		if g.n.CompareAndSwap(n, n+closedBias) {
			return true, n == 0
		}
	}
}

// seize closes the gate if it is open and empty, and reports whether it did.
func (g *gate) seize() bool { return g.n.CompareAndSwap(0, closedBias) }

func (g *gate) closed() bool { return g.n.Load() < 0 }
