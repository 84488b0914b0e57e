package pebblekv

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// errReplaced ends a generation that another one has taken the place of.
var errReplaced = errors.New("the content was replaced")

// retryPause is how long Pebble's background work waits before it tries again
// what failed; by itself it would not wait at all.
const retryPause = 50 * time.Millisecond

// fate is shared by one engine and its files. The first failure after which
// nothing may be written decides it, for good: a sync that failed must not be
// repeated, and a manifest that was half written must not grow.
type fate struct {
	log    *slog.Logger
	cause  atomic.Pointer[failure]
	failed chan struct{} // closed with the first failure
	gone   chan struct{} // closed when the engine is being closed
	leave  func()        // closes gone
	full   atomic.Bool   // a table found no room; the engine tries again
}

type failure struct{ err error }

func newFate(log *slog.Logger) *fate {
	f := &fate{log: log, failed: make(chan struct{}), gone: make(chan struct{})}
	f.leave = sync.OnceFunc(func() { close(f.gone) })
	return f
}

// fail decides the fate, unless it is decided.
func (f *fate) fail(err error) {
	if !f.cause.CompareAndSwap(nil, &failure{err}) {
		return
	}
	if !errors.Is(err, errReplaced) {
		f.log.Error("pebble failed, nothing is written any more", "error", err)
	}
	close(f.failed)
}

// err is the first failure, nil while there is none.
func (f *fate) err() error {
	if c := f.cause.Load(); c != nil {
		return c.err
	}
	return nil
}

// pause is for background work between two tries.
func (f *fate) pause() {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.gone:
	}
}

// poisoned is err for a caller.
func (f *fate) poisoned() error {
	if err := f.err(); err != nil {
		return fmt.Errorf("%w: %w", fault.ErrPoisoned, err)
	}
	return nil
}
