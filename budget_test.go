package trimaran_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// rounds lets Maintain run for a while of the bubble's clock.
func (n *node) rounds() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2500*time.Millisecond)
	defer cancel()
	wantErr(n.t, "Maintain", n.Maintain(ctx), context.DeadlineExceeded)
}

// Above the soft limit all snapshots but the newest go, and the trailing
// entries of the log.
func TestSoftLimitSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{DiskSoft: 1, TrailingEntries: 100})
		n.run(1, 21, 1)
		n.snapshot()
		n.run(21, 41, 1)
		m := n.snapshot()
		if b := n.bounds(); b.Base.Index != 0 {
			t.Fatalf("log %+v, want it whole", b)
		}
		n.rounds()
		for meta, err := range n.Snapshots().All(t.Context()) {
			if n.check(err); meta.ID != m.ID {
				t.Errorf("snapshot %v is still there", meta.ID)
			}
		}
		if b := n.bounds(); b.Base.Index != 40 {
			t.Errorf("log %+v, want base 40", b)
		}
		n.check(n.Admit())
	})
}

// Above the hard limit nothing that takes room is admitted, while votes are
// saved and what is committed is applied; below it again it is.
func TestHardLimitRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{DiskHard: 1 << 40, TrailingEntries: 100})
		n.run(1, 21, 1)
		m := n.snapshot()
		n.rounds()
		n.check(n.Admit())
		n.o.DiskHard = n.Metrics().DiskUsed - m.StoredSize/2
		n.reopen()
		n.rounds()
		wantErr(t, "Admit", n.Admit(), fault.ErrFull)
		h := n.Health(t.Context())
		if h.Room.State != trimaran.Degraded || h.Overall != trimaran.Degraded || h.DiskUsed <= n.o.DiskHard || !n.Metrics().Full || !h.MayVote {
			t.Errorf("health %+v, want that there is no room", h)
		}
		n.check(n.Log().Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("x")}}}))
		n.run(21, 22, 1)
		n.check(n.Snapshots().Remove(t.Context(), m.ID, &snapshot.RemoveOptions{Force: true}))
		n.rounds()
		n.check(n.Admit())
		if h := n.Health(t.Context()); h.Overall != trimaran.Healthy {
			t.Errorf("health %+v, want healthy", h)
		}
	})
}

// While the data has no room for what is committed nothing more is admitted;
// the same Apply works when there is room.
func TestApplyWithoutRoom(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	e := command(1, 1)
	n.check(n.Log().Append(e))
	full := func(*kv.WriteTx, raftlog.Entry) error { return fault.ErrFull }
	wantErr(t, "Apply", n.Apply(t.Context(), []raftlog.Entry{e}, full), fault.ErrFull)
	wantErr(t, "Admit", n.Admit(), fault.ErrFull)
	other := errors.New("of another kind")
	wantErr(t, "Apply", n.Apply(t.Context(), []raftlog.Entry{e}, func(*kv.WriteTx, raftlog.Entry) error { return other }), other)
	wantErr(t, "Admit", n.Admit(), fault.ErrFull)
	n.check(n.Apply(t.Context(), []raftlog.Entry{e}, put))
	n.check(n.Admit())
	if m := n.mark(); m.Index != 1 {
		t.Errorf("mark %+v, want 1", m)
	}
}

// Health waits for each part as long as it was told, and answers without it.
func TestHealthHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		n := newNode(t, trimaran.Options{ProbeTimeout: time.Minute, Space: func() (int64, error) { <-hang; return 7, nil }})
		start := time.Now()
		h := n.Health(t.Context())
		if h.Room.State != trimaran.Unhealthy || h.Data.State != trimaran.Healthy || !h.MayVote || time.Since(start) != time.Minute {
			t.Errorf("health %+v after %v, want all but the disk after a minute", h, time.Since(start))
		}
		close(hang)
		synctest.Wait()
		if h := n.Health(t.Context()); h.DiskFree != 7 || h.Overall != trimaran.Healthy {
			t.Errorf("health %+v, want 7 bytes free", h)
		}
	})
}

// The catch-up margin is how far the log reaches behind the newest snapshot.
func TestHealthTellsTheCatchUpMargin(t *testing.T) {
	n := newNode(t, trimaran.Options{TrailingEntries: 30})
	n.run(1, 101, 1)
	if h := n.Health(t.Context()); h.CatchUp != 0 {
		t.Errorf("margin %d without a snapshot", h.CatchUp)
	}
	n.snapshot()
	if h := n.Health(t.Context()); h.CatchUp != 30 {
		t.Errorf("margin %d, want 30", h.CatchUp)
	}
}

func TestLimitsMustMakeSense(t *testing.T) {
	for _, o := range []trimaran.Options{{DiskSoft: -1}, {DiskHard: -1}, {LeaseBytes: -1}, {SnapshotBytes: -1}, {DiskSoft: 2, DiskHard: 1}} {
		n := newNode(t, trimaran.Options{})
		n.check(n.Close())
		n.o = o
		wantErr(t, "New", n.tryOpen(), fault.ErrInvalid)
	}
}
