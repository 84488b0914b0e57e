package dragonboat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/vfs"
)

// get asks for a value, and digest for what the data is as a whole.
type (
	get     string
	digest  struct{}
	content struct {
		Mark uint64
		Root kv.Sum
	}
)

// apply knows three commands: "key=value", "key?" which returns what is there,
// and "!", which fails.
func apply(tx *kv.WriteTx, e statemachine.Entry) (r statemachine.Result, err error) {
	if key, value, ok := bytes.Cut(e.Cmd, []byte("=")); ok {
		r.Value = e.Index
		return r, tx.Put(key, value)
	}
	if key, ok := bytes.CutSuffix(e.Cmd, []byte("?")); ok {
		r.Data, err = tx.Get(key) // lent
		return r, err
	}
	return r, errors.New("no such command")
}

func lookup(r kv.Reader, query any) (any, error) {
	switch q := query.(type) {
	case get:
		v, err := r.Get(ctx, []byte(q))
		if errors.Is(err, fault.ErrNotFound) {
			return "", nil
		}
		return string(v), err
	case digest:
		c, err := r.Capture(ctx)
		if err != nil {
			return nil, err
		}
		defer c.Release()
		d, err := c.Digest(ctx, kv.Range{})
		return content{c.Mark().Index, d.Root}, err
	}
	return nil, fmt.Errorf("no such query: %T", query)
}

// openMachine opens the state machine of the replica on a disk in memory.
func openMachine(t testing.TB, fsys vfs.FS, applied uint64) statemachine.IOnDiskStateMachine {
	t.Helper()
	m := dragonboat.OpenMachines("data", apply, lookup, &dragonboat.Options{FS: fsys})(shard, replica)
	at, err := m.Open(nil)
	check(t, err)
	if at != applied {
		t.Errorf("opened at %d, want %d", at, applied)
	}
	t.Cleanup(func() { check(t, m.Close()) })
	return m
}

// commands makes entries from an index on.
func commands(first uint64, cmds ...string) (entries []statemachine.Entry) {
	for i, c := range cmds {
		entries = append(entries, statemachine.Entry{Index: first + uint64(i), Cmd: []byte(c)})
	}
	return entries
}

func is(t testing.TB, m statemachine.IOnDiskStateMachine, key, want string) {
	t.Helper()
	got, err := m.Lookup(get(key))
	check(t, err)
	if got != want {
		t.Errorf("%s is %q, want %q", key, got, want)
	}
}

func whole(t testing.TB, m statemachine.IOnDiskStateMachine) content {
	t.Helper()
	got, err := m.Lookup(digest{})
	check(t, err)
	return got.(content)
}

func TestMachineApplies(t *testing.T) {
	fsys := vfs.NewMem()
	m := openMachine(t, fsys, 0)
	got, err := m.Update(append(commands(3, "a=1", "a?", "a=2", "a?"), commands(9, "b=3")...)) // what is not for it leaves gaps
	check(t, err)
	if got[0].Result.Value != 3 || string(got[1].Result.Data) != "1" || string(got[3].Result.Data) != "2" || got[4].Result.Value != 9 {
		t.Errorf("results %+v", got)
	}
	got, err = m.Update(commands(8, "a=old", "b=old", "c=new"))
	check(t, err)
	if got[0].Result.Value != 0 || got[2].Result.Value != 10 {
		t.Errorf("results of what is contained already: %+v", got)
	}
	if got, err := m.Update(nil); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
	before := whole(t, m)
	if _, err := m.Update(commands(11, "a=4", "!", "b=4")); err == nil {
		t.Error("an error of apply is none of Update")
	}
	if after := whole(t, m); after != before {
		t.Errorf("a batch that failed left something: %+v, want %+v", after, before)
	}
	_, err = m.Update(commands(11, "d=4"))
	check(t, err)
	check(t, m.Sync())
	check(t, m.Close())
	if _, err := m.Lookup(get("a")); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("lookup after close: %v", err)
	}
	m = openMachine(t, fsys, 11)
	is(t, m, "a", "2")
	is(t, m, "b", "3")
	is(t, m, "c", "new")
}

// Whoever applies cannot end the transaction, or move the mark.
func TestMachineKeepsTheTransaction(t *testing.T) {
	var got []error
	m := dragonboat.OpenMachines("data", func(tx *kv.WriteTx, e statemachine.Entry) (statemachine.Result, error) {
		mark, err := tx.Mark()
		if mark.Index != e.Index {
			t.Errorf("mark %d while %d is applied", mark.Index, e.Index)
		}
		got = append(got, tx.Commit(), tx.Rollback(), tx.SetMark(kv.Mark{Index: 99}))
		return statemachine.Result{}, err
	}, lookup, &dragonboat.Options{FS: vfs.NewMem()})(shard, replica)
	_, err := m.Open(nil)
	check(t, err)
	defer m.Close()
	_, err = m.Update(commands(1, "any"))
	check(t, err)
	for i, err := range got {
		if !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("call %d: %v, want ErrInvalid", i, err)
		}
	}
	if at := whole(t, m).Mark; at != 1 {
		t.Errorf("mark %d", at)
	}
}

func TestMachineSnapshots(t *testing.T) {
	from := openMachine(t, vfs.NewMem(), 0)
	_, err := from.Update(commands(1, "a=1", "b=1"))
	check(t, err)
	prepared, err := from.PrepareSnapshot()
	check(t, err)
	want := whole(t, from)
	_, err = from.Update(commands(3, "a=2", "c=2"))
	check(t, err)
	var stream, again bytes.Buffer
	check(t, from.SaveSnapshot(prepared, &stream, nil))
	if err := from.SaveSnapshot(prepared, &again, nil); err == nil {
		t.Error("what was prepared was let go of, and saved again")
	}

	fsys := vfs.NewMem()
	to := openMachine(t, fsys, 0)
	_, err = to.Update(commands(1, "d=1"))
	check(t, err)
	check(t, to.RecoverFromSnapshot(bytes.NewReader(stream.Bytes()), nil))
	if got := whole(t, to); got != want {
		t.Errorf("recovered %+v, want %+v", got, want)
	}
	is(t, to, "d", "")
	prepared, err = to.PrepareSnapshot()
	check(t, err)
	check(t, to.SaveSnapshot(prepared, &again, nil))
	if !bytes.Equal(stream.Bytes(), again.Bytes()) {
		t.Error("equal states have other snapshots")
	}
	_, err = to.Update(commands(3, "a=2", "c=2"))
	check(t, err)
	if got, want := whole(t, to), whole(t, from); got != want {
		t.Errorf("went on to %+v, want %+v", got, want)
	}

	// What is damaged changes nothing.
	for _, n := range []int{0, 1, stream.Len() / 2, stream.Len() - 1} {
		cut := stream.Bytes()[:n]
		var c *fault.Corruption
		if err := to.RecoverFromSnapshot(bytes.NewReader(cut), nil); !errors.As(err, &c) {
			t.Errorf("%d of %d bytes: %v, want corruption", n, stream.Len(), err)
		}
		if n == 0 {
			continue
		}
		flipped := bytes.Clone(stream.Bytes())
		flipped[n] ^= 1
		if err := to.RecoverFromSnapshot(bytes.NewReader(flipped), nil); !errors.As(err, &c) {
			t.Errorf("byte %d of %d flipped: %v, want corruption", n, stream.Len(), err)
		}
	}
	is(t, to, "c", "2")
	check(t, to.Close()) // a snapshot is durable without Sync, the last update is with Close
	is(t, openMachine(t, fsys, 4), "c", "2")
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestMachineStops(t *testing.T) {
	stop := make(chan struct{})
	m := openMachine(t, vfs.NewMem(), 0)
	_, err := m.Update(commands(1, "a=1"))
	check(t, err)
	var stream bytes.Buffer
	prepare := func() any {
		p, err := m.PrepareSnapshot()
		check(t, err)
		return p
	}
	check(t, m.SaveSnapshot(prepare(), &stream, stop))
	_, err = m.Update(commands(2, "a=2"))
	check(t, err)
	if err := m.SaveSnapshot(prepare(), failing{statemachine.ErrSnapshotStreaming}, stop); err != statemachine.ErrSnapshotStreaming { //nolint:errorlint // dragonboat compares the bare value
		t.Errorf("stream that broke: %v", err)
	}
	if err := m.SaveSnapshot(prepare(), failing{io.ErrShortWrite}, stop); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("file that broke: %v", err)
	}
	if err := m.SaveSnapshot("what", io.Discard, stop); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("what was not prepared: %v", err)
	}
	close(stop)
	if err := m.SaveSnapshot(prepare(), io.Discard, stop); err != statemachine.ErrSnapshotStopped { //nolint:errorlint // dragonboat compares the bare value
		t.Errorf("save: %v", err)
	}
	if err := m.RecoverFromSnapshot(&stream, stop); err != statemachine.ErrSnapshotStopped { //nolint:errorlint // dragonboat compares the bare value
		t.Errorf("recover: %v", err)
	}
	is(t, m, "a", "2")
	prepare() // and let go of by Close
	other := dragonboat.OpenMachines("data", apply, lookup, &dragonboat.Options{FS: vfs.NewMem()})(1, 1)
	if _, err := other.Open(stop); err != statemachine.ErrOpenStopped { //nolint:errorlint // dragonboat compares the bare value
		t.Errorf("open: %v", err)
	}
	if _, err := other.Lookup(get("a")); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("lookup of what was not opened: %v", err)
	}
	check(t, other.Close())
}

func TestMachineOnStore(t *testing.T) {
	d, err := pebblekv.Open("data", &pebblekv.Options{FS: vfs.NewMem()})
	check(t, err)
	s, err := kv.New(d, &kv.Options{Sync: kv.SyncNever})
	check(t, err)
	defer s.Close()
	m, err := dragonboat.NewMachine(s, apply, lookup)
	check(t, err)
	for i := range uint64(2) { // started, stopped, and started again
		at, err := m.Open(nil)
		check(t, err)
		if at != i {
			t.Errorf("opened at %d, want %d", at, i)
		}
		_, err = m.Update(commands(i+1, "a=1"))
		check(t, err)
		prepared, err := m.PrepareSnapshot()
		check(t, err)
		check(t, m.Close())
		if err := m.SaveSnapshot(prepared, io.Discard, nil); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("save after close: %v", err)
		}
	}
	if err := s.Put(ctx, []byte("a"), nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("put behind its back: %v", err)
	}
	if _, err := dragonboat.NewMachine(s, apply, lookup); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a second machine: %v", err)
	}
	v, err := memkv.New(nil)
	check(t, err)
	volatile, err := kv.New(v, nil)
	check(t, err)
	defer volatile.Close()
	if _, err := dragonboat.NewMachine(volatile, apply, lookup); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("a store that forgets: %v", err)
	}
	if _, err := dragonboat.NewMachine(nil, apply, lookup); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("no store: %v", err)
	}
}
