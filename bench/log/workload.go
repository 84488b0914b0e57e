package main

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// workload is one row of the comparison. It treats every competitor alike:
// who lacks an ability answers peer.ErrUnsupported and is left out.
type workload struct {
	name    string
	title   string
	columns []column
	targets []target
	// subjectOnly: the target is a figure, not a ratio, and building the state
	// takes long.
	subjectOnly bool
	// logsOnly leaves the device out, which has no such operation.
	logsOnly bool
	rounds   func(plan) int // the plan's Rounds if nil
	start    func(b *bench, k peer.Kind) (*session, error)
}

func heavy(p plan) int  { return p.Heavy }
func copies(p plan) int { return p.Copies }

// session is one competitor in one workload, through all rounds.
type session struct {
	round func() (sample, error)
	close func() error
}

// sample is what one round gave: columns by name.
type sample map[string]float64

// column is one measured quantity. The first of a workload is the one that is
// compared.
type column struct {
	name   string
	unit   string
	format func(float64) string
	higher bool // more is better
	floor  bool // the least of the rounds counts: others can only add to it
}

func count(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (c column) header() string {
	if c.unit == "" {
		return c.name
	}
	return c.name + ", " + c.unit
}

var (
	colMean   = column{name: "mean", unit: "us", format: count}
	colP50    = column{name: "p50", unit: "us", format: count}
	colP99    = column{name: "p99", unit: "us", format: count}
	colAllocs = column{name: "allocs/op", format: count}
	colBytes  = column{name: "alloc B/op", format: count}
)

func selected(all []workload, match func(string) bool) []workload {
	var some []workload
	for _, w := range all {
		if match(w.name) {
			some = append(some, w)
		}
	}
	return some
}

// workloads in the order of the table, at the sizes of p.
func workloads(p plan) []workload {
	var all []workload
	for _, s := range shapes {
		all = append(all, s.workload())
	}
	return append(all, writersWorkload(), groupsWorkload(p), asyncWorkload(), relaxedWorkload(),
		replayWorkload(p), randomWorkload(p), openWorkload(p), killedWorkload(p), openGroupsWorkload(p),
		heapWorkload(p), dropWorkload(p), deviceWorkload(), fileWorkload(p))
}

func unsupported(err error) bool { return errors.Is(err, peer.ErrUnsupported) }
