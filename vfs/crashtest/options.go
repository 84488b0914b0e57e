package crashtest

import (
	"flag"
	"io"
	"runtime"
	"time"

	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Options tune a campaign. Nil and zero fields mean the defaults.
type Options struct {
	// States is how many distinct disk images are enough. Default: one round,
	// which cuts the power after each operation of each workload.
	States int
	// Time is how long is enough. Default: no limit.
	Time time.Duration
	// Seed is that of the first round; each later round has the next one.
	// Default 1.
	Seed uint64
	// Only is a regular expression for names of workloads. Default: all.
	Only string
	// Stride says that the power is cut after each Stride-th operation only,
	// another one for each seed. Default 1, under the race detector 8.
	Stride int
	// Workers play at the same time. Default: as many as there are processors.
	Workers int
	// Depth is how deep crashes lie within recoveries. Default 2, negative: none.
	Depth int
	// Nest says that one of so many crashes is crashed in its recovery, wherever
	// Stride has it. Default 16; more where a recovery does much.
	Nest int
	// Exhaustive is up to how many combinations of what is loose are all tried.
	// Default 64.
	Exhaustive uint64
	// Samples are drawn for each operation and round, torn sectors and garbage
	// among them, where anything is loose. Default 4, negative: none.
	Samples int
	// Faults is how many calls fail in each round of each workload, each in a
	// run of its own; negative: every call that can, in every way. Default 8.
	Faults int
	// Disk is what the simulated disks refuse while a script runs. After a crash
	// they refuse nothing.
	Disk simdisk.Options
	// Save is where the history of a failure is written. Default: nowhere.
	Save vfs.FS
	// Replay is the ID of a failure, or a file in Save: only that is played.
	Replay string
	// Output is told how far the campaign is, if it is a terminal.
	Output io.Writer
}

const (
	defaultDepth      = 2
	defaultNest       = 16
	defaultExhaustive = 64
	defaultSamples    = 4
	defaultFaults     = 8
)

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Seed == 0 {
		out.Seed = 1
	}
	if out.Stride <= 0 {
		out.Stride = race.Either(1, 8)
	}
	if out.Workers <= 0 {
		out.Workers = runtime.GOMAXPROCS(0)
	}
	if out.Depth == 0 {
		out.Depth = defaultDepth
	}
	if out.Nest <= 0 {
		out.Nest = defaultNest
	}
	if out.Exhaustive == 0 {
		out.Exhaustive = defaultExhaustive
	}
	if out.Samples == 0 {
		out.Samples = defaultSamples
	}
	if out.Faults == 0 {
		out.Faults = defaultFaults
	}
	return out
}

// Flags lets the command line of a test set the options, by flags that begin
// with "crash.". Output is told of progress if it is a terminal.
func Flags(fs *flag.FlagSet, output io.Writer) *Options {
	o := &Options{Output: output}
	fs.IntVar(&o.States, "crash.states", 0, "distinct disk images that are enough; 0: one round")
	fs.DurationVar(&o.Time, "crash.time", 0, "time that is enough; 0: no limit")
	fs.Uint64Var(&o.Seed, "crash.seed", 1, "seed of the first round")
	fs.StringVar(&o.Only, "crash.only", "", "regular expression for names of workloads")
	fs.IntVar(&o.Stride, "crash.stride", 0, "cut after each so many operations; 0: each, under the race detector each eighth")
	fs.IntVar(&o.Workers, "crash.workers", 0, "how many play at the same time; 0: one each processor")
	fs.IntVar(&o.Depth, "crash.depth", 0, "crashes within recoveries; 0: two deep, -1: none")
	fs.IntVar(&o.Nest, "crash.nest", 0, "one of so many crashes is crashed in its recovery; 0: 16")
	fs.Uint64Var(&o.Exhaustive, "crash.exhaustive", 0, "up to how many combinations are all tried; 0: 64")
	fs.IntVar(&o.Samples, "crash.samples", 0, "samples drawn after each operation; 0: 4, -1: none")
	fs.IntVar(&o.Faults, "crash.faults", 0, "calls that fail in each round; 0: 8, -1: each in every way")
	fs.StringVar(&o.Replay, "crash.replay", "", "replay a failure: its ID, or the name of its file in -crash.save")
	fs.Func("crash.save", "directory for the histories of failures", func(dir string) (err error) {
		o.Save, err = vfs.At(nil, dir)
		return err
	})
	return o
}
