package trimaran_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// Maintain removes dead rows in transactions so short that Apply gets its turn
// between them.
func TestMaintainRemovesDeadRows(t *testing.T) {
	const rows = 1000
	n := newNode(t, trimaran.Options{ExpireBatch: 700, MaintainInterval: time.Millisecond})
	start := time.Unix(1_700_000_000, 0)
	write := func(i uint64, fn func(tx *kv.WriteTx) error) {
		e := raftlog.Entry{Index: i, Term: 1, Data: []byte("command")}
		n.check(n.Log().Append(e))
		n.check(n.Apply(t.Context(), []raftlog.Entry{e}, func(tx *kv.WriteTx, _ raftlog.Entry) error { return fn(tx) }))
	}
	write(1, func(tx *kv.WriteTx) error {
		for i := range rows {
			if err := tx.PutUntil(fmt.Append(nil, i), nil, start.Add(time.Second)); err != nil {
				return err
			}
		}
		return tx.Put([]byte("stays"), nil)
	})
	commits := func() uint64 {
		st, err := n.KV().Stats()
		n.check(err)
		return st.Commits
	}
	write(2, func(tx *kv.WriteTx) error { return tx.Advance(start.Add(time.Minute)) })
	before := commits()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Maintain(ctx) }()
	for gone := uint64(0); gone < rows; runtime.Gosched() {
		st, err := n.KV().Stats()
		n.check(err)
		gone = st.Expired
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Maintain = %v, want canceled", err)
	}
	if got := commits() - before; got < 4 {
		t.Errorf("%d dead rows went in %d transactions, want more and shorter ones", rows, got)
	}
	if left, err := n.KV().Count(t.Context(), kv.Range{}); err != nil || left != 1 {
		t.Errorf("%d rows are left, %v, want 1", left, err)
	}
}

// Where nothing changes, rounds of Maintain read nothing of the snapshots; what
// comes or goes beside it is noticed.
func TestIdleMaintainReadsNoSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{DiskSoft: 1 << 40, SnapshotInterval: time.Hour, Retention: snapshot.Policy{Strategy: snapshot.Combined, KeepCount: 2, MaxAge: 24 * time.Hour}})
		var calls atomic.Int64
		n.check(n.Close())
		n.fs = vfs.Hook(n.fs, func(op vfs.Op) error {
			if strings.HasPrefix(op.Name, "snapshots") {
				calls.Add(1)
			}
			return nil
		})
		n.open()
		var ids []snapshot.ID
		for i := uint64(1); i < 4; i++ {
			n.run(i, i+1, 1)
			ids = append(ids, n.snapshot().ID)
		}
		n.rounds()
		used := n.Metrics().DiskUsed
		for range 3 {
			before := calls.Load()
			n.run(n.mark().Index+1, n.mark().Index+2, 1) // not due
			if n.rounds(); calls.Load() != before {
				t.Errorf("%d calls in rounds without a change", calls.Load()-before)
			}
		}
		n.check(n.Snapshots().Remove(t.Context(), ids[0], nil))
		if n.rounds(); n.Metrics().DiskUsed >= used {
			t.Errorf("%d bytes are used, want less than %d: a snapshot was removed", n.Metrics().DiskUsed, used)
		}
		time.Sleep(25 * time.Hour) // the bubble's clock
		n.rounds()
		for _, id := range ids[:2] {
			if _, err := n.Snapshots().Stat(t.Context(), id); id != ids[1] && !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("snapshot %v: %v", id, err)
			}
		}
		if m := n.Metrics(); m.SnapshotsCreated != 4 {
			t.Errorf("%d snapshots, want one more after an hour", m.SnapshotsCreated)
		}
	})
}

// Maintain takes a snapshot when enough bytes were applied.
func TestMaintainSnapshotsByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, trimaran.Options{SnapshotBytes: 10_000})
		large := func(i uint64) {
			e := raftlog.Entry{Index: i, Term: 1, Data: append([]byte("key="), make([]byte, 1000)...)}
			n.check(n.Log().Append(e))
			n.check(n.Apply(t.Context(), []raftlog.Entry{e}, put))
		}
		for i := uint64(1); i < 7; i++ {
			large(i)
		}
		if n.rounds(); n.Metrics().SnapshotsCreated != 0 {
			t.Error("a snapshot after 6 of 10 kB")
		}
		for i := uint64(7); i < 12; i++ {
			large(i)
		}
		if n.rounds(); n.Metrics().SnapshotsCreated != 1 {
			t.Error("no snapshot after 11 of 10 kB")
		}
	})
}

// A snapshot that is not, on the disk, what was written takes the place of
// nothing: the log stays, older snapshots too, and the next attempt succeeds.
func TestSnapshotIsReadBackBeforeTheLogGoes(t *testing.T) {
	n := newNode(t, trimaran.Options{TrailingEntries: -1, Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}})
	n.run(1, 21, 1)
	old := n.snapshot()
	n.check(n.Close())
	sound, harm := n.fs, false
	n.fs = vfs.Hook(sound, func(op vfs.Op) error {
		if !harm || op.Kind != "rename" && op.Kind != "link" || !strings.HasPrefix(op.Name, "snapshots/") {
			return nil
		}
		harm = false
		f, err := sound.OpenWrite(op.Name)
		if err != nil {
			return err
		}
		size, err := f.Size()
		if err == nil {
			_, err = f.WriteAt([]byte("damage"), size/2)
		}
		return errors.Join(err, f.Close())
	})
	n.open()
	n.run(21, 41, 1)
	harm = true
	_, err := n.Snapshot(t.Context(), 0)
	wantErr(t, "Snapshot on a disk that changes what is written", err, fault.ErrCorrupt)
	if meta, err := n.Snapshots().Latest(t.Context()); err != nil || meta.ID != old.ID || n.bounds().Base.Index != 20 {
		t.Errorf("newest %v, %v, log %+v, want the old snapshot and the log after it", meta.ID, err, n.bounds())
	}
	if m := n.snapshot(); m.Index != 40 || n.bounds().Base.Index != 40 {
		t.Errorf("snapshot %+v, log %+v, want both at 40", m, n.bounds())
	}
}
