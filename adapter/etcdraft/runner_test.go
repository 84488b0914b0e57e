package etcdraft_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// one is the configuration of a group of one that is ticked by hand.
var one = raft.Config{ID: 1, ElectionTick: 5, HeartbeatTick: 1, MaxSizePerMsg: 4096, MaxInflightMsgs: 64}

func single() *etcdraft.RunnerOptions {
	return &etcdraft.RunnerOptions{TickInterval: -1, Peers: []raft.Peer{{ID: 1}}}
}

func start(t *testing.T, s *etcdraft.Storage, m etcdraft.Machine) *etcdraft.Runner {
	t.Helper()
	r, err := etcdraft.Start(&one, s, m, nobody{}, single())
	check(t, err)
	t.Cleanup(func() { check(t, r.Close()) })
	return r
}

// elect makes r the leader, and waits until it has applied that.
func elect(t *testing.T, r *etcdraft.Runner) {
	t.Helper()
	for r.Applied() < 1 { // the members
		r.Tick()
	}
	check(t, r.With(func(n *raft.RawNode) error { return n.Campaign() }))
	ready := make(chan error, 1)
	go func() { ready <- r.ReadIndex(t.Context()) }()
	for {
		select {
		case err := <-ready:
			check(t, err)
			return
		default:
			r.Tick()
		}
	}
}

// broken fails to apply a command.
type broken struct{ *table }

var errBroken = errors.New("broken")

func (m broken) Apply(ctx context.Context, entries []etcdraft.Committed) error {
	for _, e := range entries {
		if string(e.GetData()) == "break" {
			return errBroken
		}
	}
	return m.table.Apply(ctx, entries)
}

func newTable() *table { return &table{Data: map[string]string{}} }

func TestMachineThatFailsHalts(t *testing.T) {
	r := start(t, open(t, vfs.NewMem()), broken{newTable()})
	elect(t, r)
	check(t, r.Propose([]byte("break")))
	<-r.Done()
	for _, err := range []error{r.Err(), r.Propose([]byte("x")), r.ReadIndex(t.Context()), r.Wait(t.Context(), 100)} {
		if !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, errBroken) {
			t.Errorf("after a failure: %v, want ErrPoisoned and the cause", err)
		}
	}
}

func TestPanicOfRaftHalts(t *testing.T) {
	r := start(t, open(t, vfs.NewMem()), newTable())
	err := r.With(func(n *raft.RawNode) error {
		n.Advance(raft.Ready{}) // not with AsyncStorageWrites, says raft
		return nil
	})
	<-r.Done()
	if !errors.Is(err, fault.ErrPoisoned) || r.Err() == nil {
		t.Errorf("%v, then %v, want ErrPoisoned", err, r.Err())
	}
}

func TestClosedRunner(t *testing.T) {
	r := start(t, open(t, vfs.NewMem()), newTable())
	check(t, r.Close())
	for _, err := range []error{r.Propose([]byte("x")), r.ReadIndex(t.Context()), r.Wait(t.Context(), 100)} {
		if !errors.Is(err, fault.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	}
	if err := r.Err(); err != nil {
		t.Errorf("a closed runner did not halt: %v", err)
	}
}

// ahead contains more than its log.
type ahead struct{ *table }

func (ahead) Applied() (uint64, *raftpb.ConfState, error) { return 9, &raftpb.ConfState{}, nil }

func TestStartRefuses(t *testing.T) {
	s := open(t, vfs.NewMem())
	for name, c := range map[string]struct {
		conf *raft.Config
		m    etcdraft.Machine
		want error
	}{
		"no configuration":          {nil, newTable(), fault.ErrInvalid},
		"no machine":                {&one, nil, fault.ErrInvalid},
		"machine ahead of its log":  {&one, ahead{newTable()}, fault.ErrCorrupt},
		"configuration without id":  {&raft.Config{ElectionTick: 5, HeartbeatTick: 1}, newTable(), nil},
		"configuration of no sense": {&raft.Config{ID: 1}, newTable(), nil},
	} {
		r, err := etcdraft.Start(c.conf, s, c.m, nobody{}, single())
		if r != nil || err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A full disk is waited for, tick by tick, and nothing is lost.
func TestFullDiskIsWaitedFor(t *testing.T) {
	var full atomic.Bool
	var refused atomic.Int64
	s := open(t, vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
		if full.Load() && op.Kind == "write" {
			refused.Add(1)
			return syscall.ENOSPC
		}
		return nil
	}))
	m := newTable()
	r := start(t, s, m)
	elect(t, r)
	full.Store(true)
	check(t, r.Propose([]byte("key=value")))
	for refused.Load() < 3 {
		r.Tick()
	}
	if (state{get: m.get}).has("key=value") {
		t.Error("applied before it was durable")
	}
	full.Store(false)
	for !(state{get: m.get}).has("key=value") {
		r.Tick()
		check(t, r.Err())
	}
}

// What a crash between the publishing of a snapshot and the write of the log
// leaves is finished by the next open.
func TestInstallCutShort(t *testing.T) {
	fsys := vfs.NewMem()
	p, err := openParts(fsys)
	check(t, err)
	check(t, p.Save(hard(2, 1, 2), from(1, 1, 1, 2), nil))
	publish(t, p.snaps, 50, 4)
	check(t, p.close())
	p, err = openParts(fsys)
	check(t, err)
	holds(t, p.Storage, 50, 4, nil)
	check(t, p.close())
}

// publish makes a snapshot beside the adapter.
func publish(t *testing.T, snaps *snapshot.Store, index, term uint64) {
	t.Helper()
	w, err := snaps.Create(t.Context(), snapshot.Info{Index: index, Term: term, Membership: []byte{1, 8, 1}}, nil)
	check(t, err)
	_, err = w.Commit()
	check(t, err)
}

func TestSnapshotOfAnotherHistory(t *testing.T) {
	fsys := vfs.NewMem()
	p, err := openParts(fsys)
	check(t, err)
	check(t, p.Save(hard(3, 1, 4), from(1, 1, 1, 1, 1, 3), nil))
	publish(t, p.snaps, 3, 2) // entry 3 is committed with term 1
	check(t, p.close())
	if p, err = openParts(fsys); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("open: %v, want ErrCorrupt", errors.Join(err, p.close()))
	}
}

func TestLostSnapshot(t *testing.T) {
	fsys := vfs.NewMem()
	p, err := openParts(fsys)
	check(t, err)
	check(t, p.Save(hard(1, 1, 3), from(1, 1, 1, 1), nil))
	made, err := p.CreateSnapshot(2, nil, []byte("x"))
	check(t, err)
	check(t, p.Compact(2))
	latest, err := p.snaps.Latest(t.Context())
	check(t, err)
	check(t, p.snaps.Remove(t.Context(), latest.ID, &snapshot.RemoveOptions{Force: true}))
	if _, err := p.Snapshot(); err != raft.ErrSnapshotTemporarilyUnavailable { //nolint:errorlint // raft compares
		t.Errorf("snapshot %v is gone: %v, want exactly ErrSnapshotTemporarilyUnavailable", made, err)
	}
	check(t, p.close())
	if p, err = openParts(fsys); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("open: %v, want ErrCorrupt", errors.Join(err, p.close()))
	}
}

func TestSnapshotStreams(t *testing.T) {
	a, b := newCluster(t, composite, 1), newCluster(t, composite, 1)
	a.propose(3)
	a.snapshot()
	from, to := a.node(1).storage, b.node(1).storage
	snap, err := from.Snapshot()
	check(t, err)
	stream := func() *bytes.Buffer {
		r, err := from.OpenSnapshot(t.Context(), snap)
		check(t, err)
		defer r.Close()
		var buf bytes.Buffer
		_, err = buf.ReadFrom(r)
		check(t, err)
		return &buf
	}
	whole := stream()
	got, err := to.ReceiveSnapshot(t.Context(), snap, stream())
	check(t, err)
	if bytes.Equal(got.GetData(), snap.GetData()) || got.GetMetadata().GetIndex() != snap.GetMetadata().GetIndex() {
		t.Errorf("received %v as %v", snap, got)
	}
	if newest, err := to.Snapshot(); err != nil || newest.GetMetadata().GetIndex() != 0 {
		t.Errorf("a snapshot that raft has not taken is the newest: %v, %v", newest, err)
	}
	other := shot(99, 9, string(snap.GetData()), 1)
	if _, err := to.ReceiveSnapshot(t.Context(), other, stream()); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("another snapshot than announced: %v, want ErrInvalid", err)
	}
	if _, err := to.ReceiveSnapshot(t.Context(), snap, bytes.NewReader(whole.Bytes()[:whole.Len()-1])); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("a stream that ends early: %v, want ErrCorrupt", err)
	}
	for _, nonsense := range []string{"", "x", "../../escape", strings.Repeat("0", 50)} {
		if _, err := from.OpenSnapshot(t.Context(), shot(3, 1, nonsense, 1)); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("reference %q: %v, want ErrInvalid", nonsense, err)
		}
	}
	if err := to.Save(nil, nil, other); !errors.Is(err, fault.ErrNotFound) && !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("save of a snapshot that was not received: %v", err)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	l := etcdraft.NewLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	l.Debugf("%v", panics{}) // not formatted
	l.Debug(panics{})
	l.Info("a", 1)
	l.Warningf("b %d", 2)
	for name, call := range map[string]func(){"panic": func() { l.Panicf("c %d", 3) }, "fatal": func() { l.Fatal("d") }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s returned", name)
				}
			}()
			call()
		}()
	}
	for _, want := range []string{"level=INFO msg=a1\n", "level=WARN msg=\"b 2\"\n", "level=ERROR msg=\"c 3\"\n", "level=ERROR msg=d\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

type panics struct{}

func (panics) String() string { panic("formatted") }
