package main

import (
	"errors"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
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

func (c column) header() string {
	if c.unit == "" {
		return c.name
	}
	return c.name + ", " + c.unit
}

var (
	colMean   = column{name: "mean", unit: "us", format: sheet.Count}
	colP50    = column{name: "p50", unit: "us", format: sheet.Count}
	colP99    = column{name: "p99", unit: "us", format: sheet.Count}
	colAllocs = column{name: "allocs/op", format: sheet.Count}
	colBytes  = column{name: "alloc B/op", format: sheet.Count}
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
