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

// maxMisses is how often in a row tables may find no room before a commit that
// waits for one gives up: after a second or so.
const maxMisses = 20

// fate is shared by one engine and its files. The first failure after which
// nothing may be written decides it, for good: a sync that failed must not be
// repeated, and a manifest that was half written must not grow.
type fate struct {
	log    *slog.Logger
	cause  atomic.Pointer[failure]
	failed chan struct{} // closed with the first failure
	gone   chan struct{} // closed when the engine is being closed
	leave  func()        // closes gone
	opened atomic.Bool   // Open has no more to wait for
	unused atomic.Bool   // nobody waits for the engine any more, nor closes it

	mu     sync.Mutex
	none   chan struct{} // closed while tables find no room; the engine tries again
	hope   chan struct{} // closed while they did not for maxMisses tries
	misses int           // tries since one found room
	look   int           // how often the disk was looked at anew
}

type failure struct{ err error }

func newFate(log *slog.Logger) *fate {
	f := &fate{log: log, failed: make(chan struct{}), gone: make(chan struct{}), none: make(chan struct{}), hope: make(chan struct{})}
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

// roomFound notes that there is room for tables.
func (f *fate) roomFound() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reopen()
}

// reopen needs the lock.
func (f *fate) reopen() {
	if f.misses > 0 {
		f.none = make(chan struct{})
	}
	if f.misses >= maxMisses {
		f.hope = make(chan struct{})
	}
	f.misses = 0
}

// lookAnew forgets that tables found no room. A failure of which the call began
// before does not count any more.
func (f *fate) lookAnew() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look++
	f.reopen()
}

// looks is what roomMissed needs to know how old a failure is.
func (f *fate) looks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.look
}

// roomMissed notes that a table found no room, in a call that began at look.
func (f *fate) roomMissed(look int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if look != f.look {
		return
	}
	switch f.misses++; f.misses {
	case 1:
		close(f.none)
	case maxMisses:
		close(f.hope)
	}
}

// noRoom is closed when a table finds no room.
func (f *fate) noRoom() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.none
}

// noHope is closed when so many tables in a row find no room that waiting for
// the next makes no sense.
func (f *fate) noHope() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hope
}

func (f *fate) full() bool {
	select {
	case <-f.noRoom():
		return true
	default:
		return false
	}
}

// pause is for background work between two tries. There is no next one in an
// engine that was left behind.
func (f *fate) pause() {
	if f.unused.Load() {
		<-f.gone
		return
	}
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
