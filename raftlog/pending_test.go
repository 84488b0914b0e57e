package raftlog_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/trimarandb/trimaran/raftlog"
)

// slow is a driver that notes what is submitted, and completes it when told.
type slow struct {
	raftlog.Driver
	mu    sync.Mutex
	sizes []int
	done  []func(error)
}

func (d *slow) Submit(batches []raftlog.GroupBatch, done func(error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes = append(d.sizes, len(batches[0].Batch.Entries[0].Data))
	d.done = append(d.done, done)
	return nil
}

// complete lets the oldest submission be done, and reports whether there was
// one.
func (d *slow) complete() bool {
	d.mu.Lock()
	if len(d.done) == 0 {
		d.mu.Unlock()
		return false
	}
	done := d.done[0]
	d.done = d.done[1:]
	d.mu.Unlock()
	done(nil)
	return true
}

// A large batch that has to wait for room is not overtaken by small ones for
// which there is room.
func TestLargeWriteAsyncHasItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slow{Driver: memory(t)}
		l, err := raftlog.New(d, raftlog.Group{}, &raftlog.Options{MaxPending: 2000})
		if err != nil {
			t.Fatal(err)
		}
		index := uint64(0)
		write := func(size int) {
			index++
			b := raftlog.Batch{Entries: []raftlog.Entry{{Index: index, Term: 1, Data: make([]byte, size)}}}
			go func() {
				if err := l.WriteAsync(b, func(error) {}); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		write(500)
		write(1800) // waits
		write(100)
		write(100)
		for range 4 {
			if !d.complete() {
				t.Fatal("nobody was let through")
			}
			synctest.Wait()
		}
		if want := []int{500, 1800, 100, 100}; !slices.Equal(d.sizes, want) {
			t.Errorf("batches were submitted in the order %v, want %v", d.sizes, want)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
