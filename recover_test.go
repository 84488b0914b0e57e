package trimaran_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
		undone   bool
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
			n.open()
			switchTo(t, n, 101)
			n.check(n.Close())
		}, logReset: true, mark: 100, last: 100},
		"restore cut short after data that nobody explains": {crash: func(t *testing.T, n *node) {
			n.open()
			switchTo(t, n, 101)
			n.check(n.Log().Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: "trimaran/intent"}}}))
			n.check(n.Close())
		}, refused: "data holds entries up to 100, the log ends at 60"},
		"restore cut short before the data was switched": {crash: func(t *testing.T, n *node) {
			n.engine = stubborn{n.engine}
			n.open()
			p := load(t, n, 101)
			wantErr(t, "Switch", p.Switch(t.Context()), errStubborn)
			wantErr(t, "Close", n.Close(), errStubborn)
		}, undone: true, mark: 60, last: 60},
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
			if got := r.Restored != (snapshot.ID{}); got != tc.restored || r.LogReset != tc.logReset || (r.Undone.Index != 0) != tc.undone {
				t.Errorf("report = %+v, want restored %t, log reset %t, undone %t", r, tc.restored, tc.logReset, tc.undone)
			}
			if n.mark().Index != tc.mark || n.bounds().Last != tc.last {
				t.Errorf("mark %d, last %d, want %d, %d", n.mark().Index, n.bounds().Last, tc.mark, tc.last)
			}
			n.reopen() // a second time there is nothing left to do
			if r := n.Recovered(); r.Restored != (snapshot.ID{}) || r.LogReset || r.Undone.Index != 0 || r.Finished.Index != 0 {
				t.Errorf("second open: %+v, want nothing done", r)
			}
		})
	}
}

// load begins to restore the state of a node that applied [1, hi).
func load(t *testing.T, n *node, hi uint64) *trimaran.PendingRestore {
	t.Helper()
	other := newNode(t, trimaran.Options{})
	other.run(1, hi, 1)
	var export bytes.Buffer
	_, err := other.KV().Export(t.Context(), &export)
	n.check(err)
	p, err := n.BeginRestore(t.Context(), snapshot.Info{Index: hi - 1, Term: 1}, &trimaran.RestoreOptions{Force: true})
	n.check(err)
	n.check(p.Load(t.Context(), &export))
	return p
}

func switchTo(t *testing.T, n *node, hi uint64) *trimaran.PendingRestore {
	t.Helper()
	p := load(t, n, hi)
	n.check(p.Switch(t.Context()))
	return p
}

// stubborn is an engine that never switches generations.
type stubborn struct{ kv.Driver }

var errStubborn = errors.New("stubborn")

func (s stubborn) Unwrap() kv.Driver { return s.Driver }
func (s stubborn) Volatile() bool    { return false }

func (s stubborn) Fresh(ctx context.Context) (kv.Ingester, error) {
	g, ok := kv.As[kv.Generations](s.Driver)
	if !ok {
		return nil, fault.ErrUnsupported
	}
	next, err := g.Fresh(ctx)
	return stubbornLoad{next}, err
}

type stubbornLoad struct{ kv.Ingester }

func (stubbornLoad) Switch() error { return errStubborn }

// restart opens the node on empty parts, so that its cleanup finds it open.
func (n *node) restart() {
	n.t.Helper()
	n.emptyData()
	n.fs = vfs.NewMem()
	n.open()
}

// A damaged newest snapshot is passed over, also when that shows only while it
// is read; with KeepFallback the log still reaches back to the one before it.
func TestDamagedNewestSnapshot(t *testing.T) {
	for name, harm := range map[string]func(vfs.File, int64) error{
		"cut": func(f vfs.File, size int64) error { return f.Truncate(size - 10) },
		"in a chunk": func(f vfs.File, size int64) error {
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, size/2); err != nil {
				return err
			}
			b[0] ^= 1
			_, err := f.WriteAt(b, size/2)
			return err
		},
	} {
		for keep, opens := range map[bool]bool{true: true, false: false} {
			t.Run(fmt.Sprintf("%s, fallback %t", name, keep), func(t *testing.T) {
				n := newNode(t, trimaran.Options{TrailingEntries: -1, KeepFallback: keep})
				n.run(1, 51, 1)
				n.snapshot()
				n.run(51, 101, 1)
				newest := n.snapshot()
				digest := n.digest()
				n.check(n.Close())
				n.emptyData()
				damage(n, newest.ID, harm)
				err := n.tryOpen()
				if !opens {
					wantErr(t, "open", err, fault.ErrCorrupt)
					n.restart()
					return
				}
				n.check(err)
				if r := n.Recovered(); len(r.Damaged) != 1 || r.Damaged[0] != newest.ID || n.mark().Index != 50 {
					t.Errorf("report = %+v, mark %d, want the older snapshot", r, n.mark().Index)
				}
				n.check(n.Apply(t.Context(), entriesOf(51, 101, 1), put))
				if n.digest() != digest {
					t.Error("replay after the fallback gives another state")
				}
			})
		}
	}
}

func damage(n *node, id snapshot.ID, harm func(f vfs.File, size int64) error) {
	n.t.Helper()
	f, err := n.fs.OpenWrite("snapshots/" + id.String() + ".snap")
	n.check(err)
	size, err := f.Size()
	n.check(err)
	n.check(harm(f, size))
	n.check(f.Close())
}

// A library labels a snapshot with no-ops that it never showed. As long as the
// log tells that they are no more, a restart does not load the whole state.
func TestSnapshotAheadByNoOps(t *testing.T) {
	for kind, restored := range map[raftlog.Kind]bool{raftlog.NoOp: false, raftlog.Normal: true} {
		n := newNode(t, trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true})
		n.run(1, 4, 1)
		n.check(n.Log().Append(raftlog.Entry{Index: 4, Term: 2, Kind: kind}, raftlog.Entry{Index: 5, Term: 2, Kind: raftlog.NoOp}))
		p, err := n.BeginSnapshot(t.Context())
		n.check(err)
		info := p.Info()
		info.Index, info.Term = 5, 2
		w, err := n.Snapshots().Create(t.Context(), info, nil)
		n.check(err)
		_, err = p.WriteTo(w)
		n.check(err)
		_, err = w.Commit()
		n.check(errors.Join(err, p.Commit(t.Context()), p.Release()))
		digest := n.digest()
		n.reopen()
		if m := n.mark(); m.Index != 5 || m.Term != 2 || n.digest() != digest || n.Recovered().Restored.IsZero() == restored {
			t.Errorf("%v: mark %+v, %+v, want index 5, restored %t", kind, m, n.Recovered(), restored)
		}
	}
}

// What is compacted and in no snapshot any more hangs on the data alone: the
// next round of maintenance takes a snapshot, whatever the policy says.
func TestMaintainCoversABareLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{TrailingEntries: -1})
		n.run(1, 51, 1)
		m := n.snapshot()
		n.run(51, 53, 1)
		n.check(n.Snapshots().Remove(t.Context(), m.ID, &snapshot.RemoveOptions{Force: true}))
		n.reopen()
		if !n.Recovered().Bare {
			t.Errorf("report = %+v, want bare", n.Recovered())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		wantErr(t, "Maintain", n.Maintain(ctx), context.DeadlineExceeded)
		n.reopen()
		if n.Recovered().Bare {
			t.Error("no snapshot was taken")
		}
	})
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

// A restore that goes back while a snapshot is being written finds the log that
// it needs: compaction stays below the mark.
func TestCompactionBesideARestore(t *testing.T) {
	n := newNode(t, trimaran.Options{TrailingEntries: -1})
	n.run(1, 21, 1)
	old := n.snapshot()
	n.run(21, 41, 1)
	p, err := n.BeginSnapshot(t.Context())
	n.check(err)
	defer func() { n.check(p.Release()) }()
	w, err := n.Snapshots().Create(t.Context(), p.Info(), nil)
	n.check(err)
	_, err = p.WriteTo(w)
	n.check(err)
	_, err = w.Commit()
	n.check(err)
	n.check(n.Restore(t.Context(), old.ID, &trimaran.RestoreOptions{Force: true}))
	n.check(p.Commit(t.Context()))
	if b := n.bounds(); b.Base.Index != 20 || b.Last != 40 {
		t.Errorf("log = %+v, want base 20, last 40: the data is at 20", b)
	}
}
