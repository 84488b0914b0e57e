package raftlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/memlog"
)

// wrapped hides nothing, and can hold up or change what its driver does.
type wrapped struct {
	raftlog.Driver
	submit func([]raftlog.GroupBatch, func(error)) error
	read   func(lo uint64) error
}

func (w wrapped) Unwrap() raftlog.Driver { return w.Driver }

func (w wrapped) Submit(b []raftlog.GroupBatch, done func(error)) error {
	if w.submit != nil {
		return w.submit(b, done)
	}
	return w.Driver.Submit(b, done)
}

func (w wrapped) Read(dst []raftlog.Entry, g raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	if w.read != nil {
		if err := w.read(lo); err != nil {
			return nil, err
		}
	}
	return w.Driver.Read(dst, g, lo, hi, maxBytes)
}

func memory(t *testing.T) *memlog.Store {
	t.Helper()
	d, err := memlog.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func newLog(t *testing.T, d raftlog.Driver, o *raftlog.Options) *raftlog.Log {
	t.Helper()
	l, err := raftlog.New(d, raftlog.Group{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func entries(lo, hi uint64) (es []raftlog.Entry) {
	for i := lo; i < hi; i++ {
		es = append(es, raftlog.Entry{Index: i, Term: 1, Data: make([]byte, 100)})
	}
	return es
}

func TestAsFindsAbilitiesBelowWrappers(t *testing.T) {
	d := wrapped{Driver: wrapped{Driver: memory(t)}}
	if _, ok := raftlog.As[raftlog.Releaser](d); !ok {
		t.Error("As[Releaser] found nothing below two wrappers")
	}
	if _, ok := raftlog.As[raftlog.Verifier](d); ok {
		t.Error("As[Verifier] found what memlog has not")
	}
	if l := newLog(t, d, nil); !l.Volatile() {
		t.Error("Volatile() = false through wrappers")
	}
}

// WriteAsync blocks while MaxPending bytes are under way, and only then.
func TestMaxPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory(t)
		var held []func()
		d := wrapped{Driver: mem, submit: func(b []raftlog.GroupBatch, done func(error)) error {
			return mem.Submit(b, func(err error) { held = append(held, func() { done(err) }) })
		}}
		l := newLog(t, d, &raftlog.Options{MaxPending: 500})
		var accepted atomic.Int64
		go func() {
			for i := uint64(1); i <= 4; i++ { // 164 bytes each
				if err := l.WriteAsync(raftlog.Batch{Entries: entries(i, i+1)}, func(error) {}); err != nil {
					t.Error(err)
				}
				accepted.Add(1)
			}
			if err := l.WriteAsync(raftlog.Batch{Entries: entries(5, 15)}, func(error) {}); err != nil { // larger than all
				t.Error(err)
			}
			accepted.Add(1)
		}()
		for step, want := range []int64{3, 4, 4, 4, 5} {
			synctest.Wait()
			if got := accepted.Load(); got != want {
				t.Errorf("after %d completions %d writes are accepted, want %d", step, got, want)
			}
			held[step]()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestThroughputIsOfTheLastTenSeconds(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLog(t, memory(t), &raftlog.Options{Now: func() time.Time { return now }})
	for range 20 {
		now = now.Add(time.Second)
		last, err := l.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(entries(last+1, last+6)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []float64{5, 2.5, 0} {
		st, err := l.Stats()
		if err != nil || st.Throughput != want {
			t.Errorf("Throughput = %g, %v, want %g", st.Throughput, err, want)
		}
		now = now.Add(5 * time.Second)
	}
}

// Where the driver cannot verify, the log reads itself and reports damage with
// its index.
func TestVerifyWithoutAbility(t *testing.T) {
	damage := &fault.Corruption{Path: "x", Index: 3, Class: fault.Committed}
	d := wrapped{Driver: memory(t), read: func(lo uint64) error {
		if lo == 3 {
			return fmt.Errorf("read: %w", damage)
		}
		return nil
	}}
	l := newLog(t, d, nil)
	if err := l.Append(entries(1, 6)...); err != nil {
		t.Fatal(err)
	}
	r, err := l.Verify(t.Context(), nil)
	if err != nil || r.Entries != 4 || len(r.Damage) != 1 || r.Damage[0] != damage {
		t.Errorf("Verify = %+v, %v, want 4 entries and the damage", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify with a cancelled context = %v", err)
	}
}

func TestDamagedIdentityIsReported(t *testing.T) {
	d := memory(t)
	bad := raftlog.Batch{Stable: []raftlog.StableKV{{Key: "trimaran/identity", Value: []byte("not an identity")}}}
	if err := d.Submit([]raftlog.GroupBatch{{Batch: bad}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := raftlog.New(d, raftlog.Group{}, nil); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("New = %v, want ErrCorrupt", err)
	}
}

func TestGroupNames(t *testing.T) {
	g := raftlog.Group{Shard: 1 << 63, Replica: 7}
	if got, err := raftlog.ParseGroup(g.String()); err != nil || got != g {
		t.Errorf("ParseGroup(%q) = %v, %v", g, got, err)
	}
	for _, s := range []string{"", "1", "1/", "/1", "1/2/3", "-1/2", "01/2", "a/b"} {
		if g, err := raftlog.ParseGroup(s); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("ParseGroup(%q) = %v, %v, want ErrInvalid", s, g, err)
		}
	}
}

func TestKindNames(t *testing.T) {
	for k, want := range map[raftlog.Kind]string{raftlog.Normal: "normal", raftlog.Configuration: "configuration", raftlog.Snapshot: "snapshot", raftlog.NoOp: "noop", 9: "kind(9)"} {
		if k.String() != want {
			t.Errorf("Kind(%d) = %q, want %q", k, k, want)
		}
	}
}

// Arena reuses what it handed out, and leaves alone what the caller put behind
// it.
func TestArenaLeavesCallersBytesAlone(t *testing.T) {
	l := newLog(t, memory(t), nil)
	if err := l.Append(entries(1, 4)...); err != nil {
		t.Fatal(err)
	}
	buf, err := l.ReadRange(nil, 1, 2, 1000)
	if err != nil {
		t.Fatal(err)
	}
	mine := []byte("mine")
	for len(buf) < cap(buf) {
		buf = append(buf, raftlog.Entry{Index: 9, Data: mine})
	}
	again, err := l.ReadRange(buf, 1, 2, 1000)
	if err != nil || string(mine) != "mine" {
		t.Errorf("ReadRange wrote %q over the caller's bytes, %v", mine, err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		if again, err = l.ReadRange(again, 1, 4, 1000); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("%g allocations to read into used memory", allocs)
	}
}
