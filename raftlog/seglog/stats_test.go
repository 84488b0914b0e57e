package seglog_test

import (
	"testing"
	"time"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

// The log says how long each sync took, and how many entries it carried.
func TestSyncHistograms(t *testing.T) {
	now := time.Unix(0, 0)
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.NewMem(), Background: inline, Now: func() time.Time {
		now = now.Add(700 * time.Microsecond)
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	entries := []raftlog.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}, {Index: 3, Term: 1}}
	for _, b := range []raftlog.Batch{{Entries: entries[:1]}, {Entries: entries[1:]}, {Stable: []raftlog.StableKV{{Key: "vote"}}}} {
		if err := s.Write(raftlog.GroupBatch{Batch: b}); err != nil {
			t.Fatal(err)
		}
	}
	size, err := s.Size(raftlog.Group{})
	if err != nil {
		t.Fatal(err)
	}
	times, sizes := raftlog.Histogram{10: 3}, raftlog.Histogram{0: 2, 1: 1}
	if size.Syncs != 3 || size.Synced != 3 || size.SyncTimes != times || size.SyncSizes != sizes {
		t.Errorf("Size = %+v, want times %v and sizes %v", size, times, sizes)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
