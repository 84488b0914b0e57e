package peer_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

const count = 300

// payload has the same size everywhere: the device keeps nothing else.
func payload(index uint64) []byte { return fmt.Appendf(nil, "%032d", index) }

func batch(lo, hi uint64) [][]byte {
	var p [][]byte
	for i := lo; i < hi; i++ {
		p = append(p, payload(i))
	}
	return p
}

// holds checks that [lo, hi) is there and can be read in every way.
func holds(t *testing.T, l peer.Log, lo, hi uint64) {
	t.Helper()
	next := lo
	err := l.Read(lo, hi, func(index uint64, p []byte) error {
		if index != next || !bytes.Equal(p, payload(index)) {
			return fmt.Errorf("entry %d = %q, want %d", index, p, next)
		}
		next++
		return nil
	})
	if err != nil || next != hi {
		t.Fatalf("Read(%d, %d) ended before %d: %v", lo, hi, next, err)
	}
	for _, i := range []uint64{lo, (lo + hi) / 2, hi - 1} {
		p, err := l.Get(i)
		if errors.Is(err, peer.ErrUnsupported) {
			return
		}
		if err != nil || !bytes.Equal(p, payload(i)) {
			t.Fatalf("Get(%d) = %q, %v", i, p, err)
		}
	}
}

// Each competitor is a log: what it was given is there, also after a reopen,
// until it is dropped.
func TestKinds(t *testing.T) {
	for _, k := range peer.All() {
		t.Run(k.Name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			l := open(t, k, dir)
			add(t, l, 1, 2)
			add(t, l, 2, count/2)
			add(t, l, count/2, count)
			holds(t, l, 1, count)
			closed(t, l)
			l = open(t, k, dir)
			holds(t, l, 1, count)
			add(t, l, count, count+10)
			holds(t, l, 1, count+10)
			if !k.Limit {
				drop(t, l)
			}
			closed(t, l)
		})
	}
}

func drop(t *testing.T, l peer.Log) {
	t.Helper()
	if err := l.DropBack(count - 50); err != nil {
		t.Fatalf("DropBack: %v", err)
	}
	add(t, l, count-50, count-20)
	holds(t, l, 1, count-20)
	if err := l.DropFront(100); err != nil {
		t.Fatalf("DropFront: %v", err)
	}
	holds(t, l, 100, count-20)
	if p, err := l.Get(99); err == nil {
		t.Errorf("Get(99) = %q after DropFront(100), want an error", p)
	}
	if p, err := l.Get(count - 15); err == nil {
		t.Errorf("Get(%d) = %q after DropBack, want an error", count-15, p)
	}
}

func TestCommitterKeepsEachWritersEntries(t *testing.T) {
	l := open(t, peer.Trimaran(), t.TempDir())
	c := peer.NewCommitter(l, 1)
	var wg sync.WaitGroup
	for range 8 {
		w := c.Writer()
		wg.Go(func() {
			for range 20 {
				if err := w.Append(payload(0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c.Close()
	entries(t, l, 160)
	closed(t, l)
}

func TestWritersOfOneLogShareIt(t *testing.T) {
	for _, k := range []peer.Kind{peer.Trimaran(), peer.Pebble()} {
		l := open(t, k, t.TempDir())
		concurrent, ok := l.(peer.Concurrent)
		if !ok {
			t.Fatalf("%s is not Concurrent", k.Name)
		}
		writers, err := concurrent.Writers(8, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() {
				for range 20 {
					if err := w.Append(payload(0)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		entries(t, l, 160)
		closed(t, l)
	}
}

// entries checks that exactly n are there.
func entries(t *testing.T, l peer.Log, n uint64) {
	t.Helper()
	var got []uint64
	if err := l.Read(1, n+1, func(index uint64, _ []byte) error { got = append(got, index); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != int(n) || !slices.IsSorted(got) {
		t.Errorf("read %d entries, want %d", len(got), n)
	}
	if _, err := l.Get(n + 1); err == nil {
		t.Errorf("entry %d is there, want %d entries", n+1, n)
	}
}

func open(t *testing.T, k peer.Kind, dir string) peer.Log {
	t.Helper()
	l, err := k.Open(dir, peer.Options{Whole: true})
	if err != nil {
		t.Fatalf("open %s: %v", k.Name, err)
	}
	return l
}

func add(t *testing.T, l peer.Log, lo, hi uint64) {
	t.Helper()
	if err := l.Append(lo, batch(lo, hi)); err != nil {
		t.Fatalf("Append(%d): %v", lo, err)
	}
}

func closed(t *testing.T, l peer.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// What the device is timed at includes the checksum.
func TestDeviceChecksWhatItReads(t *testing.T) {
	dir := t.TempDir()
	l := open(t, peer.Raw(), dir)
	add(t, l, 1, count)
	file := filepath.Join(dir, "raw")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[32*9+3] ^= 1 // of entry 10
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Get(10); err == nil {
		t.Error("Get(10) = nil, want a checksum error")
	}
	if err := l.Read(1, count, func(uint64, []byte) error { return nil }); err == nil {
		t.Error("Read = nil, want a checksum error")
	}
	holds(t, l, 11, count)
	closed(t, l)
}
