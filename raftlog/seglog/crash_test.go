package seglog_test

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/logtest"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

// onDisk opens seglog with an identity that is the same in each run.
func onDisk(o seglog.Options) logtest.OpenOn {
	return func(fsys vfs.FS) (raftlog.Driver, error) {
		o := o
		o.FS, o.Rand, o.Background = fsys, rand.NewChaCha8([32]byte{1}), inline
		return seglog.Open("log", &o)
	}
}

// Equal seeds make equal disk images, so that a failure can be replayed.
func TestCrashRepeats(t *testing.T) {
	var images [2]uint64
	for i := range images {
		o := crashtest.Options{Only: "async|mixed", Stride: race.Either(8, 64), Seed: 7}
		r, err := crashtest.Run(t.Context(), &o, logtest.CrashWorkloads(onDisk(seglog.Options{SegmentSize: 4000}), nil)...)
		if err != nil {
			t.Fatal(err)
		}
		images[i] = r.Images
	}
	if images[0] != images[1] {
		t.Errorf("two runs with one seed made different images: digests %x and %x", images[0], images[1])
	}
}

// A disk that is full for good keeps what was acknowledged.
func TestCrashFullDisk(t *testing.T) {
	o := *crash
	o.Disk.Capacity = 24 << 10
	logtest.Crash(t, onDisk(seglog.Options{SegmentSize: 4000}), nil, &o)
}

func TestCrash(t *testing.T) {
	logtest.Crash(t, onDisk(seglog.Options{SegmentSize: 4000}), nil, crash)
}

func TestCrashAligned(t *testing.T) {
	o := *crash
	o.Stride = cmp.Or(o.Stride, race.Either(4, 32))
	logtest.Crash(t, onDisk(seglog.Options{SegmentSize: 20_000, AlignCommits: true}), nil, &o)
}

func TestCrashUnsynced(t *testing.T) {
	logtest.Crash(t, onDisk(seglog.Options{SegmentSize: 4000, Sync: seglog.SyncNever}), &logtest.CrashOptions{AckedBySync: true}, crash)
}
