package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestVisitorRefusesWhatIsNotTheEntry(t *testing.T) {
	f := newFeed(1, 2, 32, 1)
	keep := &keeper{}
	if err := f.append(keep); err != nil {
		t.Fatal(err)
	}
	one, two := keep.got[0], keep.got[1]
	tests := []struct {
		name    string
		index   uint64
		payload []byte
		ok      bool
	}{
		{"the entry", 1, one, true},
		{"another index", 2, two, false},
		{"another's bytes", 1, two, false},
		{"too short", 1, one[:31], false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := visitor{next: 1, size: 32}
			if err := v.visit(test.index, test.payload); (err == nil) != test.ok {
				t.Errorf("visit = %v, want ok %v", err, test.ok)
			}
		})
	}
}

// keeper is a log that keeps what it is given.
type keeper struct{ got [][]byte }

func (k *keeper) Append(_ uint64, payloads [][]byte) error {
	for _, p := range payloads {
		k.got = append(k.got, append([]byte(nil), p...))
	}
	return nil
}
func (*keeper) Read(uint64, uint64, func(uint64, []byte) error) error { return nil }
func (*keeper) Get(uint64) ([]byte, error)                            { return nil, nil }
func (*keeper) DropFront(uint64) error                                { return nil }
func (*keeper) DropBack(uint64) error                                 { return nil }
func (*keeper) Close() error                                          { return nil }

// A log of n entries in batches has exactly n, whatever the batch.
func TestFillLog(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 130} {
		k := &keeper{}
		if err := fillLog(k, 1, n, 64, 16); err != nil || len(k.got) != n {
			t.Errorf("fillLog(%d) wrote %d entries, %v", n, len(k.got), err)
		}
	}
}

func TestContentEndsWithTheLastByteThatIsNotZero(t *testing.T) {
	for _, want := range []int64{0, 1, 1 << 20, 1<<20 + 1, 3 << 20} {
		dir := t.TempDir()
		b := make([]byte, 3<<20)
		if want > 0 {
			b[want-1] = 1
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := content(dir); err != nil || got != want {
			t.Errorf("content = %d, %v, want %d", got, err, want)
		}
	}
}

func TestRepeatCountsAndSorts(t *testing.T) {
	n := 0
	r, err := repeat(0, func() error { n++; return nil })
	if err != nil || r.ops != n || n < 2 || len(r.each) != n {
		t.Errorf("repeat = %d operations, %d latencies, %v; %d were done", r.ops, len(r.each), err, n)
	}
	r = timed{ops: 4, took: 4 * time.Millisecond, each: []time.Duration{1e3, 2e3, 3e3, 4e3}}
	if r.mean() != 1000 || r.at(0.5) != 3 || r.at(0.99) != 4 || r.rate() != 1000 {
		t.Errorf("mean %v, p50 %v, p99 %v, rate %v; want 1000, 3, 4, 1000", r.mean(), r.at(0.5), r.at(0.99), r.rate())
	}
}
