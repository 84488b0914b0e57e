package hashiraft_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

func bounds(t *testing.T, s raft.LogStore, first, last uint64) {
	t.Helper()
	f, err := s.FirstIndex()
	check(t, err)
	l, err := s.LastIndex()
	check(t, err)
	if f != first || l != last {
		t.Errorf("log is [%d, %d], want [%d, %d]", f, l, first, last)
	}
}

func TestLogStore(t *testing.T) {
	logs := adapt(t, memory(t)).Logs()
	bounds(t, logs, 0, 0)
	check(t, logs.DeleteRange(0, 0))
	check(t, logs.DeleteRange(1, 10))
	if err := logs.GetLog(0, new(raft.Log)); err != raft.ErrLogNotFound { //nolint:errorlint // raft compares
		t.Errorf("entry 0: %v, want exactly ErrLogNotFound", err)
	}
	entry := &raft.Log{Index: 1, Term: 1, Type: raft.LogBarrier, Data: []byte("d"), Extensions: []byte("e"), AppendedAt: time.Unix(1, 2).UTC()}
	check(t, logs.StoreLog(entry))
	check(t, logs.StoreLogs(commands(2, 10, 1)))
	check(t, logs.StoreLogs(nil))
	var got raft.Log
	check(t, logs.GetLog(1, &got))
	if got.Type != entry.Type || !bytes.Equal(got.Data, entry.Data) || !bytes.Equal(got.Extensions, entry.Extensions) || !got.AppendedAt.Equal(entry.AppendedAt) {
		t.Errorf("entry 1 came back as %+v, want %+v", got, *entry)
	}
	bounds(t, logs, 1, 10)
	check(t, logs.DeleteRange(1, 3))
	bounds(t, logs, 4, 10)
	check(t, logs.DeleteRange(1, 3))
	check(t, logs.DeleteRange(9, 10))
	bounds(t, logs, 4, 8)
	for _, index := range []uint64{3, 9} {
		if err := logs.GetLog(index, &got); err != raft.ErrLogNotFound { //nolint:errorlint // raft compares
			t.Errorf("entry %d: %v, want exactly ErrLogNotFound", index, err)
		}
	}
	if err := logs.DeleteRange(5, 6); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("delete from the middle: %v, want ErrInvalid", err)
	}
	if err := logs.StoreLog(command(10, 1)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("store after a gap: %v, want ErrInvalid", err)
	}
	bounds(t, logs, 4, 8)
	check(t, logs.DeleteRange(4, 8))
	bounds(t, logs, 0, 0)
	check(t, logs.StoreLogs(commands(100, 101, 2)))
	bounds(t, logs, 100, 101)
}

func TestEmptiedLogContinuesInOneWrite(t *testing.T) {
	s := memory(t)
	a := adapt(t, s)
	check(t, a.Logs().StoreLogs(commands(1, 5, 2)))
	sink, err := a.Snapshots().Create(1, 500, 3, voters, 1, nil)
	check(t, err)
	check(t, sink.Close())
	check(t, a.Logs().DeleteRange(1, 5))
	bounds(t, a.Logs(), 0, 0)
	if b, err := s.Log().Bounds(); err != nil || b.Base != (raftlog.Position{Index: 500, Term: 3}) {
		t.Errorf("the emptied log continues after %v, %v, want the snapshot", b.Base, err)
	}
	if err := a.Logs().StoreLog(command(501, 2)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a term below the snapshot's: %v, want ErrInvalid", err)
	}
	check(t, a.Logs().StoreLog(command(501, 3)))
	bounds(t, a.Logs(), 501, 501)
}

func TestCommitIndex(t *testing.T) {
	logs := adapt(t, memory(t)).Logs()
	want := func(index uint64) {
		t.Helper()
		if got, err := logs.GetCommitIndex(); err != nil || got != index {
			t.Errorf("commit index %d, %v, want %d", got, err, index)
		}
	}
	want(0)
	check(t, logs.StageCommitIndex(2))
	want(0) // never alone
	check(t, logs.StoreLogs(commands(1, 3, 1)))
	want(2)
	check(t, logs.StageCommitIndex(9))
	check(t, logs.StoreLog(command(4, 1)))
	want(4) // never above the last
}

func TestStableStore(t *testing.T) {
	stable := adapt(t, memory(t)).Logs()
	if v, err := stable.Get([]byte("none")); err != nil || len(v) != 0 {
		t.Errorf("missing key: %q, %v, want empty and nil", v, err)
	}
	if n, err := stable.GetUint64([]byte("none")); err != nil || n != 0 {
		t.Errorf("missing number: %d, %v, want 0 and nil", n, err)
	}
	check(t, stable.Set([]byte("k"), []byte("v")))
	check(t, stable.Set([]byte("k"), []byte("w")))
	check(t, stable.Set([]byte("nil"), nil))
	check(t, stable.SetUint64([]byte("n"), 1<<63))
	if v, err := stable.Get([]byte("k")); err != nil || string(v) != "w" {
		t.Errorf("k is %q, %v", v, err)
	}
	if n, err := stable.GetUint64([]byte("n")); err != nil || n != 1<<63 {
		t.Errorf("n is %d, %v", n, err)
	}
	if _, err := stable.GetUint64([]byte("k")); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("text read as a number: %v, want ErrInvalid", err)
	}
}

func TestSnapshotStore(t *testing.T) {
	a := adapt(t, memory(t))
	snaps := a.Snapshots()
	if list, err := snaps.List(); err != nil || len(list) != 0 {
		t.Fatalf("a new store lists %v, %v", list, err)
	}
	payload := bytes.Repeat([]byte("compressible "), 10_000)
	var ids []string
	for _, index := range []uint64{10, 20} {
		sink, err := snaps.Create(1, index, 3, voters, 2, nil)
		check(t, err)
		_, err = sink.Write(payload)
		check(t, err)
		check(t, sink.Close())
		check(t, sink.Close())
		check(t, sink.Cancel())
		ids = append(ids, sink.ID())
	}
	sink, err := snaps.Create(1, 30, 3, voters, 2, nil)
	check(t, err)
	check(t, sink.Cancel())
	check(t, sink.Cancel())
	if err := sink.Close(); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("close after cancel: %v, want ErrClosed", err)
	}
	list, err := snaps.List()
	check(t, err)
	if len(list) != 2 || list[0].ID != ids[1] || list[1].ID != ids[0] {
		t.Fatalf("list is %+v, want %v newest first", list, ids)
	}
	meta, r, err := snaps.Open(ids[0])
	check(t, err)
	got, err := io.ReadAll(r)
	check(t, err)
	check(t, r.Close())
	if !bytes.Equal(got, payload) || meta.Size != int64(len(payload)) {
		t.Errorf("read %d bytes, Size %d, want %d", len(got), meta.Size, len(payload))
	}
	if meta.Index != 10 || meta.Term != 3 || meta.ConfigurationIndex != 2 || meta.Configuration.Servers[0] != voters.Servers[0] || meta.Version != 1 {
		t.Errorf("meta is %+v", meta)
	}
	if _, _, err := snaps.Open("../escape"); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("open of no id: %v, want ErrInvalid", err)
	}
	if _, err := snaps.Create(0, 1, 1, voters, 1, nil); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("version 0: %v, want ErrUnsupported", err)
	}
}
