package kv_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/kv"
)

// crowded is an engine whose walks take time by a clock: per pair a microsecond,
// and once slow is set also a millisecond for one pair in ten.
type crowded struct {
	*engine
	slow        bool
	hold, held  chan struct{} // a walk that reaches pair 500 closes held and waits for hold
	quiet, loud int
}

func (e *crowded) Quiet() func() {
	e.quiet++
	return func() { e.loud++ }
}

func (e *crowded) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	t, err := e.engine.Begin(ctx, writable)
	return &crowdedTx{t, e}, err
}

type crowdedTx struct {
	kv.DriverTx
	e *crowded
}

func (t *crowdedTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		n := 0
		for p, err := range t.DriverTx.Scan(r) {
			n++
			time.Sleep(time.Microsecond)
			if t.e.slow && n%10 == 0 {
				time.Sleep(time.Millisecond)
			}
			if n == 500 {
				close(t.e.held)
				<-t.e.hold
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// A writer that does not pause gives an export that is behind a part of its
// time, and nothing to one that gets on.
func TestAWriterMakesWayForAnExportThatIsBehind(t *testing.T) {
	const rows, updates, step = 600, 200, time.Millisecond
	for slow, want := range map[bool]struct {
		most  time.Duration
		quiet int
	}{
		false: {updates * step, 0},
		true:  {updates * step * 7 / 6, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &crowded{engine: newEngine(t), slow: slow, hold: make(chan struct{}), held: make(chan struct{})}
			s := open(t, e, nil)
			fill(t, s, rows, 64<<10)
			exported := make(chan error)
			go func() {
				_, err := s.Export(t.Context(), io.Discard)
				exported <- err
			}()
			<-e.held
			took := func() time.Duration {
				start := time.Now()
				for range updates {
					if err := s.Update(t.Context(), func(tx *kv.WriteTx) error {
						time.Sleep(step)
						return tx.Put([]byte("new"), nil)
					}); err != nil {
						t.Fatal(err)
					}
				}
				return time.Since(start)
			}
			if got := took(); got > want.most || slow && got < updates*step*10/9 {
				t.Errorf("slow %v: %d updates of %v took %v beside an export, want at most %v", slow, updates, step, got, want.most)
			}
			if e.quiet != want.quiet || e.loud != 0 {
				t.Errorf("slow %v: the engine was asked %d times to be quiet and %d times to go on, want %d and 0", slow, e.quiet, e.loud, want.quiet)
			}
			close(e.hold) // for the export this was a long wait
			if err := <-exported; err != nil {
				t.Fatal(err)
			}
			if got := took(); got != updates*step {
				t.Errorf("slow %v: %d updates of %v took %v after the export", slow, updates, step, got)
			}
			if e.loud != e.quiet {
				t.Errorf("slow %v: the engine was asked %d times to be quiet and %d times to go on", slow, e.quiet, e.loud)
			}
		})
	}
}

// Close and a context end a pause.
func TestAPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &crowded{engine: newEngine(t), slow: true, hold: make(chan struct{}), held: make(chan struct{})}
		s := open(t, e, nil)
		fill(t, s, 600, 64<<10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = s.Export(t.Context(), io.Discard) // the store is closed meanwhile
		}()
		<-e.held
		if err := s.Update(t.Context(), func(*kv.WriteTx) error { time.Sleep(time.Hour); return nil }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.Put(ctx, []byte("a"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put during a pause = %v, want the context's error", err)
		}
		start := time.Now()
		put(t, s, "b", "")
		if took := time.Since(start); took > 10*time.Millisecond {
			t.Errorf("a pause of %v after an hour's transaction", took)
		}
		close(e.hold)
		<-done
	})
}
