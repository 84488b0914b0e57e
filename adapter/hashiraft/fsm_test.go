package hashiraft_test

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// deliver stores entries and applies them, as raft does.
func deliver(t *testing.T, a *hashiraft.Adapter, logs []*raft.Log) []any {
	t.Helper()
	check(t, a.Logs().SetUint64([]byte("CurrentTerm"), logs[len(logs)-1].Term))
	check(t, a.Logs().StoreLogs(logs))
	return a.FSM().ApplyBatch(logs)
}

func TestApplyBatch(t *testing.T) {
	s := memory(t)
	a := adapt(t, s)
	logs := commands(1, 4, 1)
	logs[1] = &raft.Log{Index: 2, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(voters)}
	check(t, a.Logs().StoreLogs(logs))
	got := a.FSM().ApplyBatch(logs[:3])
	if len(got) != 3 || got[0] != int64(1) || got[1] != nil || got[2] != int64(2) {
		t.Fatalf("responses %v, want 1, nil, 2", got)
	}
	got = a.FSM().ApplyBatch(logs[1:]) // the first two again
	if len(got) != 3 || got[0] != nil || got[1] != nil || got[2] != int64(3) {
		t.Fatalf("responses to a replay %v, want nil, nil, 3", got)
	}
	mark, err := s.KV().Mark(t.Context())
	check(t, err)
	if mark.Index != 4 || mark.MembershipIndex != 2 {
		t.Errorf("mark is %+v", mark)
	}
}

func TestBarriersAreSkipped(t *testing.T) {
	a := adapt(t, memory(t))
	logs := commands(1, 5, 1)
	logs[1].Type, logs[2].Type = raft.LogNoop, raft.LogBarrier
	check(t, a.Logs().StoreLogs(logs))
	for _, r := range a.FSM().ApplyBatch([]*raft.Log{logs[0], logs[3], logs[4]}) {
		if err, bad := r.(error); bad {
			t.Fatal(err)
		}
	}
	check(t, a.Err())
}

func TestHalt(t *testing.T) {
	s := memory(t)
	a := adapt(t, s)
	logs := commands(1, 3, 1)
	logs[1].Data = []byte("nonsense")
	var halted *hashiraft.Halted
	for _, r := range deliver(t, a, logs) {
		if err, bad := r.(error); !bad || !errors.As(err, &halted) || !errors.Is(err, fault.ErrPoisoned) || halted.Index != 1 {
			t.Errorf("response %v, want *Halted before 1", r)
		}
	}
	if r, bad := a.FSM().Apply(command(4, 1)).(error); !bad || !errors.As(r, &halted) {
		t.Errorf("response after the halt %v", r)
	}
	if _, err := a.FSM().Snapshot(); !errors.As(err, &halted) {
		t.Errorf("snapshot after the halt: %v", err)
	}
	select {
	case <-a.Done():
	default:
		t.Error("Done is open")
	}
	if n, err := s.KV().Count(t.Context(), all); err != nil || n != 0 {
		t.Errorf("%d rows, %v, of a batch that failed", n, err)
	}
}

// persist takes a snapshot as raft does, labelled with index.
func persist(t *testing.T, a *hashiraft.Adapter, index uint64) string {
	t.Helper()
	p, err := a.FSM().Snapshot()
	check(t, err)
	defer p.Release()
	sink, err := a.Snapshots().Create(1, index, 1, voters, 1, nil)
	check(t, err)
	check(t, p.Persist(sink))
	check(t, sink.Close())
	return sink.ID()
}

func TestNoSnapshotWhileDataIsAhead(t *testing.T) {
	fsys := vfs.NewMem()
	s := durable(t, fsys)
	a := adapt(t, s)
	deliver(t, a, commands(1, 10, 1))
	check(t, s.Close())

	s = durable(t, fsys)
	defer func() { check(t, s.Close()) }()
	a = adapt(t, s)
	a.FSM().ApplyBatch(commands(1, 9, 1))
	if _, err := a.FSM().Snapshot(); err != raft.ErrNothingNewToSnapshot { //nolint:errorlint // raft compares
		t.Fatalf("a snapshot labelled 9 would hold entry 10: %v", err)
	}
	a.FSM().ApplyBatch(commands(10, 10, 1))
	id := persist(t, a, 12)                                                // two no-ops later
	if _, err := a.FSM().Snapshot(); err != raft.ErrNothingNewToSnapshot { //nolint:errorlint // raft compares
		t.Errorf("second snapshot of the same: %v", err)
	}
	meta, r, err := a.Snapshots().Open(id)
	check(t, err)
	check(t, r.Close())
	if meta.Index != 12 {
		t.Errorf("labelled %d, want what raft said", meta.Index)
	}
}

// wrapped is what raft does to a snapshot on its way to Restore.
type wrapped struct{ io.ReadCloser }

func (w wrapped) WrappedReadCloser() io.ReadCloser { return w.ReadCloser }

func TestRestore(t *testing.T) {
	s := memory(t)
	a := adapt(t, s)
	deliver(t, a, commands(1, 10, 1))
	id := persist(t, a, 10)
	deliver(t, a, commands(11, 20, 1))
	_, r, err := a.Snapshots().Open(id)
	check(t, err)
	check(t, a.FSM().Restore(wrapped{wrapped{r}})) // back, because raft says so
	check(t, r.Close())
	mark, err := s.KV().Mark(t.Context())
	check(t, err)
	if mark.Index != 10 || len(mark.Membership) == 0 {
		t.Errorf("mark after the restore is %+v", mark)
	}
	if n, err := s.KV().Count(t.Context(), all); err != nil || n != 11 {
		t.Errorf("%d rows, %v, want ten and the counter", n, err)
	}
	if err := a.FSM().Restore(io.NopCloser(strings.NewReader("x"))); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("restore from a stranger: %v, want ErrInvalid", err)
	}
}

func TestReceivedNonsenseIsRemoved(t *testing.T) {
	s := memory(t)
	a := adapt(t, s)
	deliver(t, a, commands(1, 10, 1))
	persist(t, a, 10)
	want := export(t, s)
	sink, err := a.Snapshots().Create(1, 50, 1, voters, 1, nil)
	check(t, err)
	_, err = sink.Write([]byte("no export"))
	check(t, err)
	check(t, sink.Close())
	_, r, err := a.Snapshots().Open(sink.ID())
	check(t, err)
	if err := a.FSM().Restore(r); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("restore of nonsense: %v, want ErrCorrupt", err)
	}
	check(t, r.Close())
	list, err := a.Snapshots().List()
	check(t, err)
	if len(list) != 1 || list[0].Index != 10 {
		t.Errorf("list is %+v, want the good one alone", list)
	}
	if got := export(t, s); string(got) != string(want) {
		t.Error("a failed restore changed the data")
	}
}

// TestSnapshotReceivedButNotRestored is hashicorp/raft #697: a crash after the
// snapshot was published and before anything else followed it.
func TestSnapshotReceivedButNotRestored(t *testing.T) {
	source := memory(t)
	from := adapt(t, source)
	deliver(t, from, commands(1, 500, 1))
	_, r, err := from.Snapshots().Open(persist(t, from, 500))
	check(t, err)
	defer func() { check(t, r.Close()) }()

	fsys := vfs.NewMem()
	s := durable(t, fsys)
	a := adapt(t, s)
	deliver(t, a, commands(1, 100, 1))
	sink, err := a.Snapshots().Create(1, 500, 1, voters, 1, nil)
	check(t, err)
	_, err = io.Copy(sink, r)
	check(t, err)
	check(t, sink.Close())
	check(t, s.Close())

	s = durable(t, fsys)
	defer func() { check(t, s.Close()) }()
	a = adapt(t, s)
	bounds(t, a.Logs(), 0, 0)
	if r := deliver(t, a, commands(501, 501, 1)); r[0] != int64(501) {
		t.Errorf("response %v, want 501: the restored data counts on", r[0])
	}
	bounds(t, a.Logs(), 501, 501)
}

// TestDamagedNewestSnapshot: raft would panic at start, because it asks the log
// for what follows the older snapshot.
func TestDamagedNewestSnapshot(t *testing.T) {
	fsys := vfs.NewMem()
	s := durable(t, fsys)
	a := adapt(t, s)
	logs := commands(1, 30, 1)
	logs[0] = &raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(voters)}
	deliver(t, a, logs[:10])
	persist(t, a, 10)
	deliver(t, a, logs[10:20])
	newest := persist(t, a, 20)
	check(t, a.Logs().DeleteRange(1, 20))
	deliver(t, a, logs[20:])
	want := export(t, s)
	check(t, s.Close())
	damage(t, fsys, "snapshots/"+newest+".snap")

	s = durable(t, fsys)
	defer func() { check(t, s.Close()) }()
	a = adapt(t, s)
	list, err := a.Snapshots().List()
	check(t, err)
	if len(list) == 0 || list[0].Index != 30 {
		t.Fatalf("list is %+v, want one at 30", list)
	}
	if string(export(t, s)) != string(want) {
		t.Error("the data changed")
	}
}

func TestNewNeedsStorageAndFunction(t *testing.T) {
	if _, err := hashiraft.New(t.Context(), nil, put, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("without a storage: %v", err)
	}
	if _, err := hashiraft.New(t.Context(), new(trimaran.Storage), nil, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("without a function: %v", err)
	}
}

func TestLogger(t *testing.T) {
	var out strings.Builder
	l := hashiraft.NewLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level:       slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return drop(a, slog.TimeKey) },
	})))
	l.Debug("unheard")
	l.With("id", 1).Named("raft").Warn("told", "servers", hclog.Fmt("%d of %d", 2, 3))
	l.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Error}).Print("line")
	want := "level=WARN msg=told id=1 servers=\"2 of 3\"\nlevel=ERROR msg=line\n"
	if out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
	if l.IsDebug() || !l.IsInfo() || l.GetLevel() != hclog.Info || l.Named("a").Named("b").Name() != "a.b" {
		t.Error("levels or names are wrong")
	}
}

func drop(a slog.Attr, key string) slog.Attr {
	if a.Key == key {
		return slog.Attr{}
	}
	return a
}

// What is committed waits for room instead of halting the node; nothing more is
// admitted meanwhile. Closing ends the waiting.
func TestApplyWaitsForRoom(t *testing.T) {
	s := memory(t)
	full := make(chan bool, 4)
	a, err := hashiraft.New(t.Context(), s, func(tx *kv.WriteTx, l *raft.Log) (any, error) {
		if <-full {
			return nil, fault.ErrFull
		}
		return put(tx, l)
	}, nil)
	check(t, err)
	responses := make(chan []any)
	go func() { responses <- deliver(t, a, commands(1, 2, 1)) }()
	full <- false
	full <- true
	eventually(t, "nothing is admitted", func() bool { return errors.Is(s.Admit(), fault.ErrFull) })
	full <- false
	full <- false
	if got := <-responses; len(got) != 2 || got[0] != int64(1) || got[1] != int64(2) {
		t.Errorf("responses %v, want 1, 2", got)
	}
	check(t, errors.Join(s.Admit(), a.Err()))
	go func() { responses <- deliver(t, a, commands(3, 3, 1)) }()
	full <- true
	eventually(t, "nothing is admitted", func() bool { return errors.Is(s.Admit(), fault.ErrFull) })
	check(t, a.Close())
	close(full)
	got := (<-responses)[0]
	if err, ok := got.(error); !ok && got != int64(3) || ok && !errors.Is(err, fault.ErrFull) {
		t.Errorf("response %v after Close", got)
	}
}

// A log that holds entries of a term that raft did not store has lost votes.
func TestLostVotes(t *testing.T) {
	s := memory(t)
	a := adapt(t, s)
	check(t, a.Logs().SetUint64([]byte("CurrentTerm"), 2))
	check(t, a.Logs().StoreLogs(commands(1, 3, 2)))
	adapt(t, s)
	check(t, a.Logs().SetUint64([]byte("CurrentTerm"), 1))
	if _, err := hashiraft.New(t.Context(), s, put, nil); !errors.Is(err, fault.ErrCorrupt) || !strings.Contains(err.Error(), "votes were lost") {
		t.Errorf("New = %v, want that votes were lost", err)
	}
}
