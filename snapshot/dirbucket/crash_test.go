package dirbucket_test

import (
	"flag"
	"os"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

func simulated(fsys vfs.FS) (snapshot.Bucket, error) {
	return dirbucket.Open("snapshots", &dirbucket.Options{FS: fsys})
}

func TestCrash(t *testing.T) { snaptest.Crash(t, simulated, crash) }

// bare has no abilities: transfers are staged elsewhere, and nothing but Open
// of the bucket syncs its directory before it is listed.
type bare struct{ snapshot.Bucket }

func TestCrashBare(t *testing.T) {
	o := *crash
	if o.Only == "" {
		o.Only = "publish|overlap|remove"
	}
	snaptest.Crash(t, func(fsys vfs.FS) (snapshot.Bucket, error) {
		b, err := simulated(fsys)
		if err != nil {
			return nil, err
		}
		return bare{b}, nil
	}, &o)
}

// On a disk that is full after a few snapshots, at the write or at the sync.
func TestCrashFull(t *testing.T) {
	for _, late := range []bool{false, true} {
		o := *crash
		o.Disk = simdisk.Options{Capacity: 28 << 10, LateFull: late}
		if o.Only == "" {
			o.Only = "publish|combined|receive"
		}
		snaptest.Crash(t, simulated, &o)
	}
}
