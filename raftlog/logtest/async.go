package logtest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var asyncCases = []Case{
	{Name: "async order", Rule: "WriteAsync takes effect and completes in the order of the calls, and is readable when done", run: asyncOrder},
	{Name: "async refusal", Rule: "a refused WriteAsync reports it at once and never calls done", run: asyncRefusal},
	{Name: "async chain", Rule: "done may submit the next write", run: asyncChain},
	{Name: "async and sync", Rule: "Write and WriteAsync share one order", run: asyncAndSync},
	{Name: "racing writers", Rule: "of writers racing for one index exactly one wins, and the losers change nothing", run: racingWriters},
	{Name: "readers beside writers", Rule: "readers beside a writer see whole batches, in order", run: readersBesideWriters},
}

func asyncOrder(s *subject) error {
	const n = 200
	var mu sync.Mutex
	var order []uint64
	var errs []error
	var wg sync.WaitGroup
	for i := uint64(1); i <= n; i++ {
		wg.Add(1)
		err := s.l.WriteAsync(raftlog.Batch{Entries: entries(i, i+1, 1)}, func(err error) {
			defer wg.Done()
			if err == nil {
				_, err = s.l.Term(i) // visible
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
			errs = append(errs, err)
		})
		if err != nil {
			return fmt.Errorf("WriteAsync(%d): %w", i, err)
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, index := range order {
		if index != uint64(i)+1 {
			return fmt.Errorf("completion %d is of entry %d", i+1, index)
		}
	}
	return s.holds(raftlog.Position{}, entries(1, n+1, 1)...)
}

func asyncRefusal(s *subject) error {
	var called atomic.Bool
	never := func(error) { called.Store(true) }
	return all(
		func() error {
			return is("WriteAsync with a gap", s.l.WriteAsync(raftlog.Batch{Entries: entries(2, 3, 1)}, never), fault.ErrInvalid)
		},
		func() error {
			return is("WriteAsync without done", s.l.WriteAsync(raftlog.Batch{Entries: entries(1, 2, 1)}, nil), fault.ErrInvalid)
		},
		func() error { return s.l.Append(entry(1, 1)) },
		func() error { return s.holds(raftlog.Position{}, entry(1, 1)) },
		func() error {
			if called.Load() {
				return errors.New("done was called for a refused write")
			}
			return nil
		},
	)
}

func asyncChain(s *subject) error {
	const n = 50
	result := make(chan error, 1)
	var next func(index uint64)
	next = func(index uint64) {
		batch := raftlog.GroupBatch{Group: group1, Batch: raftlog.Batch{Entries: entries(index, index+1, 1)}}
		err := s.d.Submit([]raftlog.GroupBatch{batch}, func(err error) {
			if err != nil || index == n {
				result <- err
				return
			}
			next(index + 1)
		})
		if err != nil {
			result <- err
		}
	}
	next(1)
	if err := <-result; err != nil {
		return err
	}
	return s.holds(raftlog.Position{}, entries(1, n+1, 1)...)
}

func asyncAndSync(s *subject) error {
	var wg sync.WaitGroup
	results := make(chan error, 100)
	for i := uint64(1); i <= 100; i += 2 {
		wg.Add(1)
		err := s.l.WriteAsync(raftlog.Batch{Entries: entries(i, i+1, 1)}, func(err error) {
			results <- err
			wg.Done()
		})
		if err != nil {
			return err
		}
		if err := s.l.Append(entry(i+1, 1)); err != nil {
			return fmt.Errorf("append %d behind an async write: %w", i+1, err)
		}
	}
	wg.Wait()
	close(results)
	for err := range results {
		if err != nil {
			return err
		}
	}
	return s.holds(raftlog.Position{}, entries(1, 101, 1)...)
}

func racingWriters(s *subject) error {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	won := make(chan raftlog.Entry, writers*each)
	failed := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for wins := 0; wins < each; {
				last, err := s.l.LastIndex()
				if err != nil {
					failed <- err
					return
				}
				e := raftlog.Entry{Index: last + 1, Term: 1, Data: fmt.Appendf(nil, "writer %d", w)}
				switch err := s.l.Append(e); {
				case err == nil:
					wins++
					won <- e
				case !errors.Is(err, fault.ErrInvalid):
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(won)
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	want := make([]raftlog.Entry, writers*each)
	for e := range won {
		want[e.Index-1] = e
	}
	return s.holds(raftlog.Position{}, want...)
}

func readersBesideWriters(s *subject) error {
	const n, size = 300, 3
	stop := make(chan struct{})
	failed := make(chan error, 4)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { failed <- readUntil(s.l, stop, size) })
	}
	var err error
	for i := uint64(0); i < n && err == nil; i++ {
		b := raftlog.Batch{Entries: entries(i*size+1, (i+1)*size+1, i+1)}
		if i%10 == 9 {
			b.CompactTo = (i - 5) * size
		}
		err = s.l.Write(b)
	}
	close(stop)
	wg.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// readUntil checks that every view is made of whole batches of size entries.
func readUntil(l *raftlog.Log, stop <-chan struct{}, size uint64) error {
	var buf []raftlog.Entry
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		b, err := l.Bounds()
		if err != nil {
			return err
		}
		if b.Last%size != 0 {
			return fmt.Errorf("last = %d: half a batch is visible", b.Last)
		}
		buf, err = l.ReadRange(buf, b.First(), b.Last+1, math.MaxUint64)
		if errors.Is(err, fault.ErrCompacted) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range buf {
			if want := entry(e.Index, (e.Index-1)/size+1); !e.Equal(want) {
				return fmt.Errorf("entry %d = %s, want %s", e.Index, brief(e), brief(want))
			}
		}
	}
}
