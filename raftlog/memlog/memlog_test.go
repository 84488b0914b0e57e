package memlog_test

import (
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/logtest"
	"github.com/trimarandb/trimaran/raftlog/memlog"
)

var seed = flag.Uint64("seed", 0, "seed of the random walk; 0 takes one from the clock")

func open(testing.TB) logtest.Open {
	return func() (raftlog.Driver, error) { return memlog.New(nil) }
}

func TestContract(t *testing.T) { logtest.Run(t, open) }

func TestRandom(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with -seed %d", s)
	if err := logtest.Random(open(t), s, 3000); err != nil {
		t.Error(err)
	}
}

func newLog(t *testing.T, o *memlog.Options) *raftlog.Log {
	t.Helper()
	s, err := memlog.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := raftlog.New(s, raftlog.Group{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func entries(lo, hi uint64) []raftlog.Entry {
	var es []raftlog.Entry
	for i := lo; i < hi; i++ {
		es = append(es, raftlog.Entry{Index: i, Term: 1})
	}
	return es
}

func bounds(t *testing.T, l *raftlog.Log, base, last uint64) {
	t.Helper()
	b, err := l.Bounds()
	if err != nil || b.Base.Index != base || b.Last != last {
		t.Errorf("Bounds = base %d, last %d, %v, want %d, %d", b.Base.Index, b.Last, err, base, last)
	}
}

func TestFullLogRefusesUntilCompacted(t *testing.T) {
	l := newLog(t, &memlog.Options{MaxEntries: 10})
	if err := l.Append(entries(1, 11)...); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(entries(11, 12)...); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Append to a full log = %v, want ErrFull", err)
	}
	if err := l.Release(10); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(entries(11, 12)...); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Append without a circular buffer = %v, want ErrFull", err)
	}
	bounds(t, l, 0, 10)
	if err := l.Write(raftlog.Batch{Entries: entries(11, 12), CompactTo: 1}); err != nil {
		t.Errorf("Append that makes its own room = %v", err)
	}
	bounds(t, l, 1, 11)
}

func TestCircularBufferDropsOnlyWhatWasReleased(t *testing.T) {
	l := newLog(t, &memlog.Options{MaxEntries: 10, CircularBuffer: true})
	if err := l.Append(entries(1, 11)...); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(entries(11, 12)...); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Append with nothing released = %v, want ErrFull", err)
	}
	if err := l.Release(3); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(entries(11, 14)...); err != nil {
		t.Errorf("Append with room released = %v", err)
	}
	bounds(t, l, 3, 13)
	if err := l.Append(entries(14, 15)...); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Append beyond what was released = %v, want ErrFull", err)
	}
	if err := l.Release(100); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(entries(14, 25)...); !errors.Is(err, fault.ErrFull) {
		t.Errorf("batch larger than the buffer = %v, want ErrFull", err)
	}
	bounds(t, l, 3, 13)
}

func TestNewRefusesBadOptions(t *testing.T) {
	for _, o := range []memlog.Options{{MaxEntries: -1}, {CircularBuffer: true}} {
		if _, err := memlog.New(&o); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("New(%+v) = %v, want ErrInvalid", o, err)
		}
	}
}

func TestIsVolatile(t *testing.T) {
	if l := newLog(t, nil); !l.Volatile() {
		t.Error("Volatile() = false, want true")
	}
}
