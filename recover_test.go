package trimaran_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// emptyData is what a data store that was lost, or lives in memory, comes back
// as.
func (n *node) emptyData() {
	n.t.Helper()
	engine, err := memkv.New(nil)
	n.check(err)
	n.engine = lasting{engine}
}

func TestRecover(t *testing.T) {
	reset := func(p raftlog.Position) func(*testing.T, *node) {
		return func(t *testing.T, n *node) {
			n.edit(func(l *raftlog.Log, _ *snapshot.Store, _ *kv.Store) { n.check(l.Reset(p)) })
		}
	}
	for name, tc := range map[string]struct {
		owner    trimaran.Owner
		crash    func(t *testing.T, n *node)
		refused  string // part of the error, empty if it opens
		restored bool
		logReset bool
		mark     uint64
		last     uint64
	}{
		"all in order": {crash: func(*testing.T, *node) {}, mark: 60, last: 60},
		"data lost":    {crash: func(_ *testing.T, n *node) { n.emptyData() }, restored: true, mark: 50, last: 60},
		"data lost, and snapshots": {crash: func(t *testing.T, n *node) {
			n.emptyData()
			n.edit(func(_ *raftlog.Log, s *snapshot.Store, _ *kv.Store) {
				m, err := s.Latest(t.Context())
				n.check(errors.Join(err, s.Remove(t.Context(), m.ID, &snapshot.RemoveOptions{Force: true})))
			})
		}, refused: "data holds entries up to 0, the log begins at 51"},
		"log lost": {crash: reset(raftlog.Position{}), refused: "data holds entries up to 60, the log ends at 0"},
		"log of another history": {crash: func(t *testing.T, n *node) {
			n.edit(func(l *raftlog.Log, _ *snapshot.Store, _ *kv.Store) {
				n.check(l.Write(raftlog.Batch{TruncateFrom: 55, Entries: entriesOf(55, 70, 9)}))
			})
		}, refused: "of different histories"},
		"restore cut short before the log followed": {crash: func(t *testing.T, n *node) {
			n.emptyData()
			other := newNode(t, trimaran.Options{})
			other.run(1, 101, 1)
			m := other.snapshot()
			r, err := other.Snapshots().Stream(t.Context(), m.ID)
			n.check(err)
			n.edit(func(_ *raftlog.Log, s *snapshot.Store, k *kv.Store) {
				meta, err := s.Install(t.Context(), r, nil)
				n.check(err)
				payload, err := s.Open(t.Context(), meta.ID)
				n.check(err)
				_, err = k.Import(t.Context(), payload, nil)
				n.check(errors.Join(err, payload.Close()))
			})
		}, logReset: true, mark: 100, last: 100},
		"install cut short before the data followed": {crash: func(t *testing.T, n *node) {
			other := newNode(t, trimaran.Options{})
			other.run(1, 101, 1)
			m := other.snapshot()
			r, err := other.Snapshots().Stream(t.Context(), m.ID)
			n.check(err)
			n.edit(func(_ *raftlog.Log, s *snapshot.Store, _ *kv.Store) {
				_, err := s.Install(t.Context(), r, nil)
				n.check(err)
			})
		}, restored: true, mark: 100, last: 100},
		"library: a snapshot above the mark counts": {owner: trimaran.OwnerLibrary, crash: func(t *testing.T, n *node) {
			n.emptyData()
		}, restored: true, mark: 50, last: 60},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, trimaran.Options{TrailingEntries: -1, Owner: tc.owner})
			n.run(1, 51, 1)
			n.snapshot()
			n.run(51, 61, 1)
			n.check(n.Close())
			tc.crash(t, n)
			err := n.tryOpen()
			if tc.refused != "" {
				if !errors.Is(err, fault.ErrCorrupt) || !strings.Contains(err.Error(), tc.refused) {
					t.Errorf("open = %v, want a refusal that says %q", err, tc.refused)
				}
				n.restart()
				return
			}
			n.check(err)
			r := n.Recovered()
			if got := r.Restored != (snapshot.ID{}); got != tc.restored || r.LogReset != tc.logReset {
				t.Errorf("report = %+v, want restored %t, log reset %t", r, tc.restored, tc.logReset)
			}
			if n.mark().Index != tc.mark || n.bounds().Last != tc.last {
				t.Errorf("mark %d, last %d, want %d, %d", n.mark().Index, n.bounds().Last, tc.mark, tc.last)
			}
			n.reopen() // a second time there is nothing left to do
			if r := n.Recovered(); r.Restored != (snapshot.ID{}) || r.LogReset {
				t.Errorf("second open: %+v, want nothing done", r)
			}
		})
	}
}

// restart opens the node on empty parts, so that its cleanup finds it open.
func (n *node) restart() {
	n.t.Helper()
	n.emptyData()
	n.fs = vfs.NewMem()
	n.open()
}

// A damaged newest snapshot is passed over; with KeepFallback the log still
// reaches back to the one before it.
func TestDamagedNewestSnapshot(t *testing.T) {
	for keep, opens := range map[bool]bool{true: true, false: false} {
		n := newNode(t, trimaran.Options{TrailingEntries: -1, KeepFallback: keep})
		n.run(1, 51, 1)
		n.snapshot()
		n.run(51, 101, 1)
		newest := n.snapshot()
		digest := n.digest()
		n.check(n.Close())
		n.emptyData()
		damage(t, n, newest.ID)
		err := n.tryOpen()
		if (err == nil) != opens {
			t.Errorf("KeepFallback %t: open = %v", keep, err)
		}
		if err != nil {
			n.restart()
			continue
		}
		if r := n.Recovered(); len(r.Damaged) != 1 || r.Damaged[0] != newest.ID || n.mark().Index != 50 {
			t.Errorf("report = %+v, mark %d, want the older snapshot", r, n.mark().Index)
		}
		n.check(n.Apply(t.Context(), entriesOf(51, 101, 1), put))
		if n.digest() != digest {
			t.Error("replay after the fallback gives another state")
		}
	}
}

func damage(t *testing.T, n *node, id snapshot.ID) {
	t.Helper()
	f, err := n.fs.OpenWrite("snapshots/" + id.String() + ".snap")
	n.check(err)
	size, err := f.Size()
	n.check(err)
	n.check(f.Truncate(size - 10))
	n.check(f.Close())
}

func TestMaintain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{SnapshotEntries: 10, TrailingEntries: -1, Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- n.Maintain(ctx) }()
		for lo := uint64(1); lo < 100; lo += 11 {
			n.run(lo, lo+11, 1)
			time.Sleep(1500 * time.Millisecond) // the bubble's clock
			synctest.Wait()
		}
		cancel()
		wantErr(t, "Maintain", <-stopped, context.Canceled)
		if m := n.Metrics(); m.SnapshotsCreated != 9 || m.LogCompactions != 9 {
			t.Errorf("metrics = %+v, want 9 snapshots and compactions", m)
		}
		count := 0
		for _, err := range n.Snapshots().All(t.Context()) {
			n.check(err)
			count++
		}
		if count != 1 {
			t.Errorf("%d snapshots kept, want 1", count)
		}
	})
}
