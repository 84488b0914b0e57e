package logtest

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// player plays a script.
type player struct {
	*script
	fsys vfs.FS
	r    *crashtest.Recorder
	d    raftlog.Driver
	hold holder
	kept int // states[kept] and what led to it is durable
}

func (p *player) ack(state int) {
	p.kept = state
	p.r.Ack(state)
}

// errGone ends a script: the disk fails for good.
var errGone = errors.New("the disk does not come back")

// Run implements crashtest.Script.
func (s *script) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	p := &player{script: s, r: r}
	p.fsys = vfs.Hook(fsys, p.hold.ask)
	err := p.start(crashtest.Expect{States: []int{0}})
	for i := 0; i < len(s.steps) && err == nil; i++ {
		if err = p.play(&s.steps[i]); err != nil && !errors.Is(err, errGone) {
			err = fmt.Errorf("step %d: %w", i, err)
		}
	}
	if p.d != nil {
		if e := p.d.Close(); !ofDisk(e) {
			err = errors.Join(err, e)
		}
	}
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// ofDisk reports that a call failed because the disk did.
func ofDisk(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC)
}

// start opens the log, at the second try if the disk fails the first, and finds
// it in one of the states. That is then durable.
func (p *player) start(want crashtest.Expect) error {
	for range 2 {
		d, err := p.open(p.fsys)
		if err == nil {
			p.d = d
			found, err := p.compare(d, want)
			if err == nil && len(want.States) > 1 {
				p.r.Refuse(found)
			}
			return err
		}
		if !ofDisk(err) {
			return fmt.Errorf("open: %w", err)
		}
	}
	return errGone
}

func (p *player) play(s *step) error {
	switch {
	case s.reopen:
		return p.reopen(s.at)
	case s.sync:
		return p.sync(s.at)
	case s.remove != nil:
		return p.write(s.at, func() error { return p.d.Remove(*s.remove) }, true)
	case len(s.batches) > 1:
		return p.together(s)
	}
	return p.write(s.at, func() error { return p.d.Submit(s.batches[0], nil) }, p.durable(s.batches[0]))
}

// durable reports that a write is durable when it is acknowledged.
func (p *player) durable(gbs []raftlog.GroupBatch) bool {
	for i := range gbs {
		if len(gbs[i].Batch.Stable) > 0 {
			return true
		}
	}
	return !p.o.AckedBySync
}

// write makes the call that leads from states[at] to the next.
func (p *player) write(at int, call func() error, durable bool) error {
	for try := 0; ; try++ {
		p.r.Begin(at + 1)
		err := call()
		switch {
		case err == nil:
			if durable {
				p.ack(at + 1)
			}
			return nil
		case !ofDisk(err):
			return err
		case errors.Is(err, fault.ErrPoisoned):
			return p.poisoned(at + 1)
		case try == 1:
			return errGone
		}
		p.refuse(at)
	}
}

// refuse notes that nothing changed. Where earlier writes are not durable yet,
// there is no state to name.
func (p *player) refuse(at int) {
	if !p.o.AckedBySync {
		p.r.Refuse(at)
	}
}

// poisoned finds out that nothing is acknowledged any more, and opens anew.
// What is not durable may be there or not, up to states[last].
func (p *player) poisoned(last int) error {
	err := p.d.Submit([]raftlog.GroupBatch{{Group: group2, Batch: raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("x")}}}}}, nil)
	if !errors.Is(err, fault.ErrPoisoned) {
		return fmt.Errorf("write after a failed sync: %w, want fault.ErrPoisoned", err)
	}
	if err := p.d.Close(); err != nil && !ofDisk(err) && !errors.Is(err, fault.ErrPoisoned) {
		return fmt.Errorf("close: %w", err)
	}
	p.d = nil
	if err := p.start(p.maybe(last)); err != nil {
		return fmt.Errorf("after a failed sync: %w", err)
	}
	return errGone // what follows in the script may not follow this state
}

func (p *player) sync(at int) error {
	err := p.d.Sync()
	switch {
	case err == nil:
		p.ack(at)
		return nil
	case !ofDisk(err):
		return err
	case errors.Is(err, fault.ErrPoisoned):
		return p.poisoned(at)
	}
	return errGone
}

// reopen finds everything again, unless Close said that it could not be synced.
func (p *player) reopen(at int) error {
	err := p.d.Close()
	p.d = nil
	switch {
	case err != nil && !ofDisk(err):
		return fmt.Errorf("close: %w", err)
	case err != nil:
		if err := p.start(p.maybe(at)); err != nil {
			return err
		}
		return errGone // what follows in the script may not follow this state
	}
	if err := p.start(crashtest.Expect{States: []int{at}}); err != nil {
		return err
	}
	p.ack(at)
	return nil
}

// maybe is what may be there when what is not durable may be lost, up to
// states[last].
func (p *player) maybe(last int) (want crashtest.Expect) {
	for i := p.kept; i <= last; i++ {
		want.States = append(want.States, i)
	}
	return want
}

// together submits several writes while the first of them is held up at the
// disk, so that what shares a commit is the same in each run.
func (p *player) together(s *step) error {
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	submit := func(i int) error {
		p.r.Begin(s.at + i + 1)
		all.Add(1)
		err := p.d.Submit(s.batches[i], func(err error) {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil && failed == nil:
				failed = err
			case err == nil && p.durable(s.batches[i]):
				p.ack(s.at + i + 1)
			}
		})
		if err != nil {
			all.Done()
		}
		return err
	}
	over := func() bool { // who writes on must have looked at what became of the last one
		mu.Lock()
		defer mu.Unlock()
		return failed != nil
	}
	var refused error
	release := p.hold.next(func() { refused = submit(0) }, all.Wait)
	for i := 1; i < len(s.batches) && refused == nil && !over(); i++ {
		refused = submit(i)
	}
	release()
	all.Wait()
	if failed == nil {
		failed = refused
	}
	switch {
	case failed == nil:
		return nil
	case !ofDisk(failed):
		return failed
	case errors.Is(failed, fault.ErrPoisoned):
		return p.poisoned(s.at + len(s.batches))
	}
	return errGone
}

// holder holds up writes to the disk.
type holder struct {
	mu      sync.Mutex
	blocked chan struct{} // closed by the first write that waits
	gate    chan struct{} // closed when it may go on; nil when nothing is held
}

func (h *holder) ask(op vfs.Op) error {
	h.mu.Lock()
	gate, blocked := h.gate, h.blocked
	if op.Kind == "write" && blocked != nil {
		close(blocked)
		h.blocked = nil
	}
	h.mu.Unlock()
	if op.Kind == "write" && gate != nil {
		<-gate
	}
	return nil
}

// next makes the call and returns when the disk holds up a write of it, or when
// it has ended without one.
func (h *holder) next(call, ended func()) (release func()) {
	blocked, gate := make(chan struct{}), make(chan struct{})
	h.mu.Lock()
	h.blocked, h.gate = blocked, gate
	h.mu.Unlock()
	call()
	done := make(chan struct{})
	go func() {
		ended()
		close(done)
	}()
	select {
	case <-blocked:
	case <-done:
	}
	return func() {
		h.mu.Lock()
		h.blocked, h.gate = nil, nil
		h.mu.Unlock()
		close(gate)
	}
}
