package seglog_test

import (
	"flag"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/logtest"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

var seed = flag.Uint64("seed", 0, "seed of the random walk; 0 takes one from the clock")

// opener opens seglog in a new directory in memory, which keeps everything
// across opens and costs no syncs.
func opener(o seglog.Options) logtest.Open {
	o.FS = vfs.NewMem()
	return func() (raftlog.Driver, error) { return seglog.Open("log", &o) }
}

func TestContract(t *testing.T) {
	for name, o := range map[string]seglog.Options{
		"default":        {},
		"small segments": {SegmentSize: 1000},
		"always":         {Sync: seglog.SyncAlways},
		"aligned":        {AlignCommits: true, SegmentSize: 20_000},
		"no caches":      {TailCache: -1, IndexCache: -1, SegmentSize: 1000},
		"trusted memory": {TrustMemory: true, TailCache: 4096},
		"interval":       {Sync: seglog.SyncInterval, FlushInterval: time.Millisecond},
		"never":          {Sync: seglog.SyncNever, SegmentSize: 5000},
	} {
		t.Run(name, func(t *testing.T) {
			logtest.Run(t, func(testing.TB) logtest.Open { return opener(o) })
		})
	}
}

func TestContractOnDisk(t *testing.T) {
	logtest.Run(t, func(t testing.TB) logtest.Open {
		dir := t.TempDir()
		return func() (raftlog.Driver, error) { return seglog.Open(dir, nil) }
	})
}

func TestRandom(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with -seed %d", s)
	for name, o := range map[string]seglog.Options{
		"large segments": {},
		"small segments": {SegmentSize: 2000},
		"aligned":        {AlignCommits: true, SegmentSize: 20_000, TailCache: 10_000, IndexCache: -1},
		"unsynced":       {SegmentSize: 20000, Sync: seglog.SyncNever},
	} {
		t.Run(name, func(t *testing.T) {
			if err := logtest.Random(opener(o), s, 2000); err != nil {
				t.Error(err)
			}
		})
	}
}
