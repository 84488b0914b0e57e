package trimaran_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

func TestLeaseKeepsTheLog(t *testing.T) {
	n := newNode(t, trimaran.Options{TrailingEntries: -1})
	n.run(1, 11, 1)
	release, err := n.KeepLog(4, 1<<40)
	n.check(err)
	n.snapshot()
	if b := n.bounds(); b.Base.Index != 3 {
		t.Errorf("base = %d, want 3: entry 4 is leased", b.Base.Index)
	}
	release()
	n.run(11, 12, 1)
	n.snapshot()
	if b := n.bounds(); b.Base.Index != 11 {
		t.Errorf("base = %d, want 11", b.Base.Index)
	}
	_, err = n.KeepLog(4, 1<<40)
	wantErr(t, "KeepLog of what is gone", err, fault.ErrCompacted)
}

// A lease ends at each of its limits, and only the one that is beyond it.
func TestLeaseHasLimits(t *testing.T) {
	const entry = 20 // bytes that none is shorter than
	for name, tc := range map[string]struct {
		o    trimaran.Options
		wait time.Duration
		base uint64 // after a snapshot at 100
		left int
	}{
		"none reached":   {trimaran.Options{TrailingEntries: -1}, 0, 9, 2},
		"time":           {trimaran.Options{TrailingEntries: -1}, 2 * time.Hour, 100, 0},
		"entries":        {trimaran.Options{TrailingEntries: -1, LeaseEntries: 50}, 0, 79, 1},
		"entries beyond": {trimaran.Options{TrailingEntries: 41, LeaseEntries: 50}, 0, 9, 2}, // the margin does not count
		"bytes":          {trimaran.Options{TrailingEntries: -1, LeaseBytes: 50 * entry}, 0, 79, 1},
		"a snapshot up":  {trimaran.Options{TrailingEntries: -1, LeaseEntries: 1}, 0, 100, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, tc.o)
				n.run(1, 101, 1)
				var releases []func()
				for _, from := range []uint64{10, 80} {
					release, err := n.KeepLog(from, time.Hour)
					n.check(err)
					releases = append(releases, release)
				}
				time.Sleep(tc.wait) // the bubble's clock
				n.snapshot()
				if b, m := n.bounds(), n.Metrics(); b.Base.Index != tc.base || m.Leases != tc.left || m.LeasesEnded != uint64(2-tc.left) {
					t.Errorf("base %d, leases %d and %d that ended, want %d, %d and %d", b.Base.Index, m.Leases, m.LeasesEnded, tc.base, tc.left, 2-tc.left)
				}
				for _, release := range releases {
					release() // also of what ended
				}
				if m := n.Metrics(); m.Leases != 0 || m.LeasesEnded != uint64(2-tc.left) {
					t.Errorf("metrics %+v after the releases", m)
				}
			})
		})
	}
}

// What the disk budget takes, in its order: the soft limit snapshots and the
// trailing entries, the hard limit leases, before anything is refused.
func TestBudgetEndsLeasesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{DiskSoft: 1, TrailingEntries: 100})
		for i := uint64(1); i < 201; i++ {
			e := raftlog.Entry{Index: i, Term: 1, Data: append([]byte("key="), make([]byte, 1000)...)}
			n.check(n.Log().Append(e))
			n.check(n.Apply(t.Context(), []raftlog.Entry{e}, put))
		}
		_, err := n.KeepLog(50, time.Hour)
		n.check(err)
		n.snapshot()
		if b := n.bounds(); b.Base.Index != 49 {
			t.Fatalf("log %+v, want base 49: 50 is leased", b)
		}
		n.rounds()
		if b, m := n.bounds(), n.Metrics(); b.Base.Index != 49 || m.Leases != 1 {
			t.Errorf("above the soft limit: log %+v, leases %d, want base 49 and the lease", b, m.Leases)
		}
		used := n.Metrics().DiskUsed
		n.o.DiskSoft, n.o.DiskHard = 0, used
		n.reopen()
		_, err = n.KeepLog(50, time.Hour)
		n.check(err)
		n.rounds()
		if m := n.Metrics(); m.Leases != 1 || m.Full {
			t.Errorf("below the hard limit: %+v", m)
		}
		n.run(201, 501, 1)
		n.rounds()
		if b, m := n.bounds(), n.Metrics(); b.Base.Index != 200 || m.Leases != 0 || m.Full {
			t.Errorf("above the hard limit: log %+v, leases %d, full %t, want base 200, none, false", b, m.Leases, m.Full)
		}
	})
}
