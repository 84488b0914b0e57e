package snaptest

import (
	"math/rand/v2"

	"github.com/trimarandb/trimaran/snapshot"
)

// profile is a kind of crash script.
type profile struct {
	name    string
	codecs  []snapshot.Codec // default: two that cost little
	twins   bool             // several snapshots of one state
	large   bool             // what comes from elsewhere has a few chunks
	options snapshot.Options
	steps   func(*rand.Rand) []crashStep
}

func (p *profile) retains() bool {
	return p.options.Retention != snapshot.Policy{} || p.options.MaxSnapshots > 0
}

var (
	write      crashStep = (*crashPlayer).write
	reopened   crashStep = (*crashPlayer).reopen
	killed     crashStep = (*crashPlayer).kill
	removed    crashStep = (*crashPlayer).remove
	forced     crashStep = (*crashPlayer).force
	readerOpen crashStep = (*crashPlayer).openReader
	readerDone crashStep = (*crashPlayer).closeReader
	pinned     crashStep = (*crashPlayer).pin
	released   crashStep = (*crashPlayer).release
	chunk      crashStep = (*crashPlayer).put
	received   crashStep = (*crashPlayer).receive
	brokenOff  crashStep = (*crashPlayer).breakOff
	superseded crashStep = (*crashPlayer).supersede
	forsaken   crashStep = (*crashPlayer).forsake
	installed  crashStep = (*crashPlayer).install
	identified crashStep = (*crashPlayer).setIdentity
	begun      crashStep = (*crashPlayer).openWriter
	committed  crashStep = (*crashPlayer).commitWriter
	discarded  crashStep = (*crashPlayer).discardWriter
)

func pruned(s snapshot.Strategy) crashStep {
	return func(p *crashPlayer) error { return p.prune(byEach(s)) }
}

func always(steps ...crashStep) func(*rand.Rand) []crashStep {
	return func(*rand.Rand) []crashStep { return steps }
}

// retaining publishes under a policy that the store applies by itself, reads
// so that not the oldest is the least recent, and applies it by a call too.
func retaining(s snapshot.Strategy) profile {
	return profile{
		name:    "retain-" + s.String(),
		options: snapshot.Options{Retention: byEach(s), MaxSnapshots: 4},
		steps:   always(write, write, readerOpen, write, readerDone, write, reopened, write, pruned(s), killed, write),
	}
}

var profiles = []profile{
	{
		name:   "publish",
		codecs: []snapshot.Codec{snapshot.CodecZstd, snapshot.CodecNone, snapshot.CodecGzip, snapshot.CodecLZ4},
		steps:  always(write, write, write, identified, write, begun, discarded, reopened, write),
	},
	{name: "overlap", steps: always((*crashPlayer).overlap, begun, reopened, begun, begun, killed, (*crashPlayer).overlap)},
	retaining(snapshot.KeepLatest),
	retaining(snapshot.KeepByAge),
	retaining(snapshot.Combined),
	retaining(snapshot.SizeBasedLRU),
	{
		name: "prune",
		steps: always(write, write, write, write, pruned(snapshot.Combined), readerOpen, pinned, pruned(snapshot.KeepLatest),
			readerDone, write, pruned(snapshot.SizeBasedLRU), released, write, pruned(snapshot.KeepByAge)),
	},
	{
		name: "remove",
		steps: always(write, write, write, removed, forced, write, readerOpen, pinned, removed, removed, readerDone, released, write, write,
			pinned, pinned, readerOpen, forced, removed, reopened, write, pinned, forced, killed, forced, forced, forced, write),
	},
	{
		name:  "receive",
		large: true,
		steps: always(received, chunk, brokenOff, chunk, reopened, received, chunk, killed, received, chunk, forsaken, chunk, superseded, received),
	},
	{name: "install", twins: true, steps: always(write, installed, installed, write, killed, installed, pruned(snapshot.KeepLatest))},
	{name: "mixed", twins: true, steps: mixed},
}

// mixed draws steps from all that there are.
func mixed(rng *rand.Rand) []crashStep {
	from := []crashStep{
		write, write, write, write, begun, begun, committed, committed, discarded, installed, received, received, chunk, chunk,
		brokenOff, superseded, forsaken, removed, removed, forced, readerOpen, readerDone, pinned, released, identified, reopened, killed,
	}
	for s := snapshot.KeepLatest; s <= snapshot.SizeBasedLRU; s++ {
		from = append(from, pruned(s))
	}
	steps := make([]crashStep, 14)
	for i := range steps {
		steps[i] = from[rng.IntN(len(from))]
	}
	return steps
}
