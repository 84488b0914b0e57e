package kv

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// An export, or a digest, is behind when it takes more than tooSlow halves of
// the time that it would take with the processors to itself.
const tooSlow = 3

// While an export or a digest is behind, a writer pauses for a part of the time
// for which transactions held its lock, once that part is worth a timer.
const (
	pausePart  = 8
	leastPause = time.Millisecond
	mostPause  = 10 * time.Millisecond
)

// pacer shares the processors between exports and writers that do not pause. It
// does nothing while every export gets on.
type pacer struct {
	behind atomic.Int32 // exports that are

	held time.Duration // by transactions since the last pause; guarded by the writer lock
}

// pause gives exports that are behind their part. The caller holds the writer
// lock.
func (s *Store) pause(ctx context.Context) error {
	owed := s.pace.held / pausePart
	if s.pace.behind.Load() == 0 || owed < leastPause {
		return nil
	}
	start := time.Now()
	t := time.NewTimer(owed)
	defer t.Stop()
	select {
	case <-t.C:
		s.pace.held -= time.Since(start) * pausePart // it may have been more
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return fmt.Errorf("store: %w", fault.ErrClosed)
	}
}

// watch returns what a transaction calls when it gives the writer lock back.
func (p *pacer) watch() (release func()) {
	if p.behind.Load() == 0 {
		p.held = 0
		return func() {}
	}
	start := time.Now()
	return func() { p.held = min(p.held+time.Since(start), mostPause*pausePart) }
}

// stride is how one export gets on: time per chunk, in which the time that its
// reader takes does not count. Who shares a processor waits rarely and then for
// long, so the median of the chunks tells the speed that could be had, and their
// mean the speed that there is.
type stride struct {
	s       *Store // nil for none
	start   time.Time
	typical time.Duration // near the median
	spent   time.Duration // of late
	due     time.Duration // what that would have been, had all been typical
	behind  bool
	loud    func() // undoes what Quiet began; nil before
}

// begin starts the clock.
func (p *stride) begin() { p.start = time.Now() }

// chunk stops the clock after a chunk.
func (p *stride) chunk() {
	took := time.Since(p.start)
	switch step := p.typical / 16; {
	case p.typical == 0:
		p.typical = took
	case took > p.typical:
		p.typical += step
	default:
		p.typical -= step
	}
	p.spent += took - p.spent/64
	p.due += p.typical - p.due/64
	p.set(2*p.spent > tooSlow*p.due)
}

func (p *stride) set(behind bool) {
	if p.s == nil || p.behind == behind {
		return
	}
	p.behind = behind
	if !behind {
		p.s.pace.behind.Add(-1)
		return
	}
	p.s.pace.behind.Add(1)
	if p.loud == nil {
		p.loud = func() {}
		if q, ok := As[Quieter](p.s.d); ok {
			p.loud = q.Quiet()
		}
	}
}

// end lets go of everybody else.
func (p *stride) end() {
	p.set(false)
	if p.loud != nil {
		p.loud()
	}
}
