// Package gate lets a Close wait for the calls under way and turns away those
// that come later.
package gate

import (
	"math"
	"sync"
	"sync/atomic"
)

const closedBias = math.MinInt64 / 2

// Gate counts calls under way. The zero value is open.
type Gate struct {
	n    atomic.Int64 // calls inside, plus closedBias once closed
	init sync.Once
	shut sync.Once
	idle chan struct{}
	once sync.Once
}

func (g *Gate) drained() chan struct{} {
	g.init.Do(func() { g.idle = make(chan struct{}) })
	return g.idle
}

// Enter reports whether the caller may go on; it then owes a Leave.
func (g *Gate) Enter() bool {
	if g.n.Add(1) > 0 {
		return true
	}
	g.Leave()
	return false
}

// Leave ends what Enter began.
func (g *Gate) Leave() {
	if g.n.Add(-1) == closedBias {
		g.once.Do(func() { close(g.drained()) })
	}
}

// Close turns later calls away, waits for those inside, and reports whether
// this call was the first one. It must not be called between Enter and Leave.
func (g *Gate) Close() bool {
	first := false
	g.shut.Do(func() {
		first = true
		if g.n.Add(closedBias) == closedBias {
			g.once.Do(func() { close(g.drained()) })
		}
	})
	<-g.drained()
	return first
}
