package kvtest

import (
	"cmp"
	"testing"

	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// OpenOn opens the engine under test in a file tree, where it does all its file
// I/O. On a tree that an earlier call filled, whole or as a crash left it, it
// finds what was there. Buffers that are small let a campaign see many of
// their ends.
type OpenOn func(fsys vfs.FS) (kv.Driver, error)

// crashFaults is how many calls fail in each workload and round.
const crashFaults = 2

// Crash cuts the power under a store over the engine and lets calls of its disk
// fail, as the scripts of [CrashWorkloads] go on. It fails t where what was
// acknowledged as durable is lost, where a transaction or an import is there in
// part, where the store does not open, or where its mark, rows, indexes and
// digest are not those of one moment.
//
//	var crash = crashtest.Flags(flag.CommandLine, os.Stderr)
//
//	func TestCrash(t *testing.T) { kvtest.Crash(t, open, crash) }
//
// Without states and time in the options it makes one round, which takes
// seconds; Stride is 16 by default, 96 under the race detector, and Faults 2. A
// failure says how to replay it: by its ID, or, where goroutines of the engine
// do not repeat themselves, by the history that -crash.save kept. An engine
// that is [kv.Volatile] has to come up empty.
func Crash(t testing.TB, open OpenOn, o *crashtest.Options) {
	t.Helper()
	var c crashtest.Options
	if o != nil {
		c = *o
	}
	c.Stride = cmp.Or(c.Stride, race.Either(16, 96)) // to open an engine takes a millisecond
	c.Faults = cmp.Or(c.Faults, crashFaults)
	crashtest.Test(t, &c, CrashWorkloads(open)...)
}
