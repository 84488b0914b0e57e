package membucket_test

import (
	"flag"
	"os"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

var crash = crashtest.Flags(flag.CommandLine, os.Stderr)

// Snapshots end with the process, and transfers are staged on the disk: what a
// crash leaves of these is an obstacle to none.
func TestCrash(t *testing.T) {
	snaptest.Crash(t, func(vfs.FS) (snapshot.Bucket, error) { return membucket.New(nil), nil }, crash)
}
