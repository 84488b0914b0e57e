package snaptest

import (
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// OpenOn opens the bucket under test in a file tree. On a tree that an earlier
// call filled, whole or as a crash left it, it finds what was committed, unless
// the bucket is volatile. A bucket that has a method Staging() (vfs.FS, error)
// says by it where transfers are kept; for others it is a directory beside it.
type OpenOn func(fsys vfs.FS) (snapshot.Bucket, error)

// Crash cuts the power under a store on the bucket, after each operation of the
// scripts that CrashWorkloads makes and within the recoveries, and fails t
// where what is left is not what was promised. A bucket on a file tree is done
// when its tests have this beside Run:
//
//	var crash = crashtest.Flags(flag.CommandLine, os.Stderr)
//
//	func TestCrash(t *testing.T) {
//		snaptest.Crash(t, func(fsys vfs.FS) (snapshot.Bucket, error) {
//			return mybucket.Open("snapshots", &mybucket.Options{FS: fsys})
//		}, crash)
//	}
//
// Nil options, or such that set no limit, play each script once. Everything
// random comes from the seed, so a failure is replayed to the same bytes by its
// ID, if the bucket itself repeats.
func Crash(t testing.TB, open OpenOn, o *crashtest.Options) {
	t.Helper()
	crashtest.Test(t, o, CrashWorkloads(open)...)
}

// CrashWorkloads are the scripts of Crash: publishing with each codec, writers
// that overlap or are given up, retention by each strategy, removal with and
// without force, under pins and open readers too, transfers that are broken off
// and taken up, installation, and all of it mixed.
//
// A state is a set of snapshots. A crash leaves the set from before or after
// one single publication or removal: every snapshot that was acknowledged is
// there, whole and with the bytes that were written; none that is not
// published can be seen; none that was removed comes back; no predecessor is
// gone before its successor is durable. Nothing listed is damaged, nothing is
// left behind that a clean bucket would not have, and nothing is logged. What
// was staged is used or asked for again. Where a call of the disk fails, the
// call of the store fails with its error or fault.ErrFull, what it took is
// freed, everything else is as it was, and the same call then succeeds; after
// fault.ErrPoisoned, once the bucket was opened anew.
func CrashWorkloads(open OpenOn) []crashtest.Workload {
	var all []crashtest.Workload
	for _, p := range profiles {
		all = append(all, crashtest.Workload{
			Name:   p.name,
			Faults: true,
			New:    func(seed uint64) crashtest.Script { return newCrashScript(open, p, seed) },
		})
	}
	return all
}
