package trimaran_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// crash takes -crash.states, -crash.seed, -crash.replay and the like. Without
// them a campaign runs for a quarter of a minute.
var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

// TestCrash has segment log, snapshot directory and Pebble on one simulated
// disk, and cuts its power.
func TestCrash(t *testing.T) {
	o := *crash
	if o.States == 0 && o.Time == 0 {
		o.Time = 15 * time.Second
		if testing.Short() {
			o.Time = 2 * time.Second
		}
	}
	setUnset(&o.Exhaustive, 8) // a script has many points, and each look takes milliseconds
	setUnset(&o.Samples, 2)
	setUnset(&o.Faults, 4)
	if o.States > 0 { // time to look at more points of each script
		setUnset(&o.Stride, 8)
	}
	setUnset(&o.Stride, 32)
	setUnset(&o.Nest, 64)
	var all []crashtest.Workload
	for _, p := range crashProfiles {
		all = append(all, crashtest.Workload{Name: p.name, Faults: true, New: func(seed uint64) crashtest.Script { return newCrashScript(p, seed) }})
	}
	crashtest.Test(t, &o, all...)
}

func setUnset[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
