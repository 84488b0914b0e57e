package kvtest_test

import (
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

func TestCrash(t *testing.T) {
	o := *crash
	o.Stride = 2
	kvtest.Crash(t, openFile(noBug), &o)
}

// A campaign that finds nothing proves nothing unless it finds these.
func TestCrashFindsBugs(t *testing.T) {
	for _, b := range []flaw{noWrite, noFileSync, noDirSync, inPlace, syncRepeated, errorIgnored, markApart, lateSwitch, notTransacted, keeps} {
		t.Run(string(b), func(t *testing.T) {
			o := &crashtest.Options{Stride: 3, Faults: -1, Workers: 1}
			ws := kvtest.CrashWorkloads(openFile(b))
			_, err := crashtest.Run(t.Context(), o, ws...)
			var f, again *crashtest.Failure
			if !errors.As(err, &f) {
				t.Fatalf("the campaign = %v, want a failure", err)
			}
			t.Log(f.Err)
			err = crashtest.Replay(t.Context(), o, f.ID(), ws...)
			if !errors.As(err, &again) || again.Digest != f.Digest || again.Stage != f.Stage {
				t.Errorf("replay of %s = %v, want the same failure", f.ID(), err)
			}
		})
	}
}

// Equal seeds make equal disk images, to the byte.
func TestCrashRepeats(t *testing.T) {
	var images [2]uint64
	for i := range images {
		o := crashtest.Options{Stride: 8, Seed: 7, Only: "random|imports"}
		r, err := crashtest.Run(t.Context(), &o, kvtest.CrashWorkloads(openFile(noBug))...)
		if err != nil {
			t.Fatal(err)
		}
		images[i] = r.Images
	}
	if images[0] != images[1] {
		t.Errorf("two runs with one seed made different images: digests %x and %x", images[0], images[1])
	}
}
