package trimaran_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/vfs"
)

// lasting is an engine in memory that outlives the store above it.
type lasting struct{ kv.Driver }

func (l lasting) Unwrap() kv.Driver { return l.Driver }
func (lasting) Volatile() bool      { return false }
func (lasting) Close() error        { return nil }

// node is the disk of one node, and what is open on it.
type node struct {
	t      *testing.T
	fs     vfs.FS
	engine kv.Driver
	o      trimaran.Options
	*trimaran.Storage
}

func newNode(t *testing.T, o trimaran.Options) *node {
	t.Helper()
	engine, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, fs: vfs.NewMem(), engine: lasting{engine}, o: o}
	n.open()
	t.Cleanup(func() {
		if n.Storage == nil {
			return // it could not be opened
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func openLog(fsys vfs.FS) (*seglog.Store, error) {
	return seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 4096, Background: func(work func()) { work() }})
}

// parts opens the three layers alone.
func (n *node) parts() (*raftlog.Log, *snapshot.Store, *kv.Store, io.Closer) {
	n.t.Helper()
	store, err := openLog(n.fs)
	n.check(err)
	log, err := store.Log(raftlog.Group{})
	n.check(err)
	bucket, err := dirbucket.Open("snapshots", &dirbucket.Options{FS: n.fs})
	n.check(err)
	snaps, err := snapshot.New(bucket, &snapshot.Options{NoMembership: true})
	n.check(err)
	data, err := kv.New(n.engine, &kv.Options{Sync: kv.SyncNever})
	n.check(err)
	return log, snaps, data, store
}

func (n *node) check(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) tryOpen() error {
	log, snaps, data, store := n.parts()
	o := n.o
	o.Closers = []io.Closer{store}
	s, err := trimaran.New(log, snaps, data, &o)
	n.Storage = s
	return err
}

func (n *node) open() {
	n.t.Helper()
	n.check(n.tryOpen())
}

func (n *node) reopen() {
	n.t.Helper()
	n.check(n.Close())
	n.open()
}

// edit changes the layers of a closed node one by one, as a crash or an
// operator would leave them.
func (n *node) edit(change func(*raftlog.Log, *snapshot.Store, *kv.Store)) {
	n.t.Helper()
	log, snaps, data, store := n.parts()
	change(log, snaps, data)
	n.check(errors.Join(log.Close(), snaps.Close(), data.Close(), store.Close()))
}

func command(i, term uint64) raftlog.Entry {
	return raftlog.Entry{Index: i, Term: term, Data: fmt.Appendf(nil, "key-%d=%d of term %d", i%10, i, term)}
}

func put(tx *kv.WriteTx, e raftlog.Entry) error {
	key, value, _ := bytes.Cut(e.Data, []byte("="))
	return tx.Put(key, value)
}

// run appends and applies [lo, hi).
func (n *node) run(lo, hi, term uint64) {
	n.t.Helper()
	var es []raftlog.Entry
	for i := lo; i < hi; i++ {
		es = append(es, command(i, term))
	}
	n.check(n.Log().Append(es...))
	n.check(n.Apply(n.t.Context(), es, put))
}

func (n *node) mark() kv.Mark {
	n.t.Helper()
	m, err := n.KV().Mark(n.t.Context())
	n.check(err)
	return m
}

func (n *node) bounds() raftlog.Bounds {
	n.t.Helper()
	b, err := n.Log().Bounds()
	n.check(err)
	return b
}

func (n *node) digest() string {
	n.t.Helper()
	d, err := n.KV().Digest(n.t.Context(), kv.Range{})
	n.check(err)
	return d.Root.String()
}

func (n *node) snapshot() snapshot.Meta {
	n.t.Helper()
	m, err := n.Snapshot(n.t.Context(), 0)
	n.check(err)
	return m
}

func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s = %v, want %v", what, err, target)
	}
}

func TestApplyMovesTheMarkWithTheData(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	n.run(1, 11, 1)
	if m := n.mark(); m.Index != 10 || m.Term != 1 {
		t.Errorf("mark = %+v, want index 10 term 1", m)
	}
	before := n.digest()
	calls := 0
	n.check(n.Apply(t.Context(), []raftlog.Entry{command(9, 1), command(10, 1)}, func(*kv.WriteTx, raftlog.Entry) error {
		calls++
		return nil
	}))
	if calls != 0 || n.digest() != before {
		t.Errorf("a replay called fn %d times", calls)
	}
	wantErr(t, "Apply with a gap", n.Apply(t.Context(), []raftlog.Entry{command(12, 1)}, put), fault.ErrInvalid)
	boom := errors.New("boom")
	err := n.Apply(t.Context(), []raftlog.Entry{command(11, 1), command(12, 1)}, func(tx *kv.WriteTx, e raftlog.Entry) error {
		if e.Index == 12 {
			return boom
		}
		return put(tx, e)
	})
	wantErr(t, "Apply whose fn fails", err, boom)
	if n.mark().Index != 10 || n.digest() != before {
		t.Errorf("a failed batch left something: mark %+v", n.mark())
	}
	func() {
		defer func() { _ = recover() }()
		_ = n.Apply(t.Context(), []raftlog.Entry{command(11, 1)}, func(*kv.WriteTx, raftlog.Entry) error { panic("in fn") })
	}()
	n.run(11, 12, 1) // the panic left no lock
}

func TestApplyGuardsTheTransaction(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	n.check(n.Apply(t.Context(), []raftlog.Entry{command(1, 1)}, func(tx *kv.WriteTx, _ raftlog.Entry) error {
		wantErr(t, "Commit inside fn", tx.Commit(), fault.ErrInvalid)
		wantErr(t, "Rollback inside fn", tx.Rollback(), fault.ErrInvalid)
		wantErr(t, "SetMark inside fn", tx.SetMark(kv.Mark{Index: 9, Term: 1}), fault.ErrInvalid)
		return tx.SetMembership([]byte("inside"))
	}))
	if m := n.mark(); string(m.Membership) != "inside" || m.MembershipIndex != 1 {
		t.Errorf("mark = %+v, want the membership of entry 1", m)
	}
	n.check(n.Apply(t.Context(), []raftlog.Entry{{Index: 2, Term: 1, Kind: raftlog.Configuration, Data: []byte("from the log")}}, put))
	if m := n.mark(); string(m.Membership) != "from the log" || m.MembershipIndex != 2 {
		t.Errorf("mark = %+v, want the membership of entry 2", m)
	}
	data, ok := n.KV().(*kv.Store)
	if !ok {
		t.Fatal("KV is no *kv.Store")
	}
	wantErr(t, "Put beside Apply", data.Put(t.Context(), []byte("k"), nil), fault.ErrInvalid)
}

func TestApplySkipsWhatIsNoCommand(t *testing.T) {
	n := newNode(t, trimaran.Options{SkipsNonCommands: true})
	noop := raftlog.Entry{Index: 1, Term: 1, Kind: raftlog.NoOp}
	n.check(n.Log().Append(noop, command(2, 1), command(3, 1), command(4, 1)))
	n.check(n.Apply(t.Context(), []raftlog.Entry{command(2, 1)}, put))
	wantErr(t, "Apply that leaves a command out", n.Apply(t.Context(), []raftlog.Entry{command(4, 1)}, put), fault.ErrInvalid)
	n.check(n.Apply(t.Context(), []raftlog.Entry{command(3, 1), command(4, 1)}, put))
}

func TestSnapshotIsOfWhatItHolds(t *testing.T) {
	n := newNode(t, trimaran.Options{TrailingEntries: 5})
	_, err := n.Snapshot(t.Context(), 0)
	wantErr(t, "Snapshot of nothing", err, fault.ErrNothingNew)
	n.run(1, 101, 1)
	meta := n.snapshot()
	if meta.Index != 100 || meta.Term != 1 || meta.Entries != 10 {
		t.Errorf("snapshot = %+v, want index 100 term 1 with 10 rows", meta)
	}
	if b := n.bounds(); b.Base.Index != 95 || b.Last != 100 {
		t.Errorf("log = %+v, want base 95: five entries trail", b)
	}
	_, err = n.Snapshot(t.Context(), 0)
	wantErr(t, "Snapshot again", err, fault.ErrNothingNew)

	// Entries applied while it is written are not in it.
	n.run(101, 102, 1)
	p, err := n.BeginSnapshot(t.Context())
	n.check(err)
	n.run(102, 110, 1)
	if p.Info().Index != 101 {
		t.Errorf("captured index = %d, want 101", p.Info().Index)
	}
	n.check(p.Release())
	m := n.Metrics()
	if m.SnapshotsCreated != 1 || m.LogCompactions != 1 || m.AppliedEntries != 109 || m.AppliedIndex != 109 || m.TotalOperations != m.Log.Writes+m.AppliedBatches || m.Log.Writes == 0 {
		t.Errorf("metrics = %+v", m)
	}
}

func TestSnapshotWaitsForAnIndex(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	n.run(1, 3, 1)
	done := make(chan uint64, 1)
	go func() {
		m, err := n.Snapshot(t.Context(), 5)
		if err != nil {
			t.Error(err)
		}
		done <- m.Index
	}()
	n.run(3, 8, 1)
	if index := <-done; index < 5 {
		t.Errorf("snapshot at %d, want 5 at least", index)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.Snapshot(ctx, 100)
	wantErr(t, "Snapshot of an index that never comes", err, context.Canceled)
}

func TestRestoreReplacesTheState(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	n.run(1, 51, 1)
	old := n.snapshot()
	digest := n.digest()
	n.run(51, 61, 1)
	wantErr(t, "Restore of the past", n.Restore(t.Context(), old.ID, nil), fault.ErrConflict)
	var done, total int64
	n.check(n.Restore(t.Context(), old.ID, &trimaran.RestoreOptions{Force: true, Progress: func(d, of int64) { done, total = d, of }}))
	if n.digest() != digest || n.mark().Index != 50 {
		t.Errorf("restored mark = %+v", n.mark())
	}
	if done != total || total != old.Size {
		t.Errorf("progress ended at %d of %d, want %d", done, total, old.Size)
	}
	if b := n.bounds(); b.Last != 60 {
		t.Errorf("log = %+v, want its suffix kept: it holds entry 50", b)
	}
	n.reopen()
	if n.digest() != digest || n.mark().Index != 50 {
		t.Error("the restored state is not there after a reopen")
	}
}

// install sends the newest snapshot of one node to another.
func install(from, to *node, o *trimaran.RestoreOptions) error {
	from.t.Helper()
	m, err := from.Snapshots().Latest(from.t.Context())
	from.check(err)
	r, err := from.Snapshots().Stream(from.t.Context(), m.ID)
	from.check(err)
	defer r.Close()
	_, err = to.Install(to.t.Context(), r, o)
	return err
}

func TestInstallOntoEveryKindOfLog(t *testing.T) {
	leader := newNode(t, trimaran.Options{})
	leader.run(1, 101, 2)
	leader.snapshot()
	for name, tc := range map[string]struct {
		prepare    func(n *node)
		base, last uint64
	}{
		"empty":           {func(*node) {}, 100, 100},
		"shorter":         {func(n *node) { n.run(1, 50, 2) }, 100, 100},
		"conflicting":     {func(n *node) { n.run(1, 50, 1); n.check(n.Log().Append(entriesOf(50, 200, 1)...)) }, 100, 100},
		"matching suffix": {func(n *node) { n.run(1, 50, 2); n.check(n.Log().Append(entriesOf(50, 121, 2)...)) }, 0, 120},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, trimaran.Options{})
			tc.prepare(n)
			n.check(install(leader, n, nil))
			if b := n.bounds(); b.Base.Index != tc.base || b.Last != tc.last || n.digest() != leader.digest() {
				t.Errorf("log = %+v, want base %d, last %d", b, tc.base, tc.last)
			}
			last := n.bounds().Last
			if last == 100 { // the next append works (D-12, hashicorp/raft #697)
				n.run(101, 103, 2)
			}
			n.reopen()
			if m := n.mark(); m.Index < 100 || n.Recovered().LogReset {
				t.Errorf("after a reopen: mark %+v, %+v", m, n.Recovered())
			}
		})
	}
}

func entriesOf(lo, hi, term uint64) (es []raftlog.Entry) {
	for i := lo; i < hi; i++ {
		es = append(es, command(i, term))
	}
	return es
}

// A reader that fails in the middle leaves the old state serving.
func TestFailedRestoreLeavesTheOldState(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	n.run(1, 21, 1)
	digest := n.digest()
	p, err := n.BeginRestore(t.Context(), snapshot.Info{Index: 99, Term: 1}, nil)
	n.check(err)
	var export bytes.Buffer
	if _, err := n.KV().Export(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	wantErr(t, "Load", p.Load(t.Context(), io.MultiReader(bytes.NewReader(export.Bytes()[:export.Len()/2]), failing{boom})), boom)
	n.check(p.Abort())
	if n.digest() != digest || n.mark().Index != 20 {
		t.Errorf("mark = %+v after a failed restore", n.mark())
	}
	n.run(21, 22, 1)
}

// A snapshot that is sent and breaks off, wherever it does, leaves the old state
// serving, also while it is read, and nothing among the snapshots.
func TestFailedInstallLeavesTheOldState(t *testing.T) {
	sent := container(t)
	n := newNode(t, trimaran.Options{})
	n.run(1, 21, 1)
	digest, log := n.digest(), n.bounds()
	boom := errors.New("boom")
	for at := 0; at < len(sent); at += max(1, len(sent)/40) {
		serving := readerFunc(func([]byte) (int, error) {
			if n.digest() != digest {
				t.Error("another state is served while a snapshot is read")
			}
			return 0, boom
		})
		_, err := n.Install(t.Context(), io.MultiReader(bytes.NewReader(sent[:at]), serving), nil)
		wantErr(t, "Install", err, boom)
	}
	for meta, err := range n.Snapshots().All(t.Context()) {
		t.Errorf("snapshot %v, %v was left", meta.ID, err)
	}
	if n.digest() != digest || n.mark().Index != 20 || n.bounds() != log {
		t.Errorf("mark %+v, log %+v after installs that failed", n.mark(), n.bounds())
	}
	n.run(21, 22, 1)
	_, err := n.Install(t.Context(), bytes.NewReader(sent), nil)
	n.check(err)
	if n.mark().Index != 100 {
		t.Errorf("mark %+v after an install", n.mark())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestHealth(t *testing.T) {
	n := newNode(t, trimaran.Options{})
	n.run(1, 3, 1)
	n.snapshot()
	if h := n.Health(t.Context()); h.Overall != trimaran.Healthy || !h.MayVote {
		t.Errorf("health = %+v, want healthy", h)
	}
	for _, want := range []trimaran.State{trimaran.Healthy, trimaran.Degraded, trimaran.Unhealthy} {
		var got trimaran.State
		text, err := want.MarshalText()
		if err := errors.Join(err, got.UnmarshalText(text)); err != nil || got != want {
			t.Errorf("UnmarshalText(%s) = %v, %v", text, got, err)
		}
	}
	count := 0
	for h := range n.Watch(t.Context(), 1) {
		if count++; count == 3 || h.Overall != trimaran.Healthy {
			break
		}
	}
	if count != 3 {
		t.Errorf("Watch yielded %d times before it was left", count)
	}
	n.check(n.Close())
	if h := n.Health(t.Context()); h.Overall != trimaran.Unhealthy || !strings.Contains(h.Log.Reason, "closed") || h.MayVote {
		t.Errorf("health of a closed node = %+v", h)
	}
}
