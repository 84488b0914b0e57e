package crashtest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Workload is a script for each seed.
type Workload struct {
	// Name is short, without "/".
	Name string
	// New makes the script of a seed. Equal seeds make equal scripts, whose
	// Check knows all states without Run. A workload that needs no seed ignores
	// it.
	New func(seed uint64) Script
	// Faults says that the script bears calls that fail.
	Faults bool
}

// Script is one play. Its states are numbered by itself, as it likes; what was
// before everything, when the disk was empty, is state 0.
type Script interface {
	// Run plays the script on an empty tree and tells r when a step begins and
	// when it is acknowledged. It returns an error for what must not happen.
	// Where a call of the disk failed it goes on or ends, as a user would.
	Run(fsys vfs.FS, r *Recorder) error
	// Check opens what a crash left, compares it with the states that are
	// allowed, closes it, and returns the state that it found. Several
	// goroutines call it, on trees of their own.
	Check(fsys vfs.FS, want Expect) (found int, err error)
	// Extend opens what is in state found, goes on by a step that depends on
	// found alone, sees it acknowledged, and closes. A script that cannot go on
	// returns ErrNoExtension.
	Extend(fsys vfs.FS, found int) error
}

// Expect is what a script may find.
type Expect struct {
	// States that are allowed, oldest first: the last one that was acknowledged
	// and those that were begun after it.
	States []int
	// Extended says that Extend returned without error since; States has one.
	Extended bool
}

// Acked is the oldest state that is allowed.
func (e Expect) Acked() int { return e.States[0] }

// Latest is the newest state that is allowed.
func (e Expect) Latest() int { return e.States[len(e.States)-1] }

// Allows reports whether state is allowed.
func (e Expect) Allows(state int) bool { return slices.Contains(e.States, state) }

func (e Expect) String() string {
	if e.Extended {
		return fmt.Sprintf("state %d, extended", e.States[0])
	}
	return fmt.Sprintf("one of the states %v", e.States)
}

// Recorder hears of the steps of a script, in order. Completions may be told
// by another goroutine than beginnings.
type Recorder struct {
	d     *simdisk.Disk
	mu    sync.Mutex
	steps []step
	wrong error
}

// step leads to state. The disk had begun operations when it began, and acked
// when it was acknowledged, -1 if it never was.
type step struct{ state, begun, acked int }

// Begin says that the call which leads to state is about to be made.
func (r *Recorder) Begin(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step{state, r.d.Ops(), -1})
}

// Ack says that state, which was begun, and so all before it, will survive a
// crash.
func (r *Recorder) Ack(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ack(state)
}

func (r *Recorder) ack(state int) {
	ops := r.d.Ops()
	last := len(r.steps) - 1
	for last >= 0 && r.steps[last].state != state {
		last--
	}
	if last < 0 && state != 0 {
		r.wrong = fmt.Errorf("state %d is acknowledged, and was not begun", state)
	}
	for i := range r.steps[:last+1] {
		if r.steps[i].acked < 0 {
			r.steps[i].acked = ops
		}
	}
}

// Refuse says that the call begun last failed with an error which promises that
// nothing changed: the store is in state again, for good.
func (r *Recorder) Refuse(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step{state, r.d.Ops(), -1})
	r.ack(state)
}

// misuse is what the script told that cannot be.
func (r *Recorder) misuse() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrong
}

// digest adds the steps to id.
func (r *Recorder) digest(id uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.steps {
		for _, n := range []int{s.state, s.begun, s.acked} {
			id = mix(id ^ uint64(n))
		}
	}
	return id
}

// after is what may be found after the first n operations.
func (r *Recorder) after(n int) Expect {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := []int{0}
	for _, s := range r.steps {
		switch {
		case s.acked >= 0 && s.acked <= n:
			states = append(states[:0], s.state)
		case s.begun < n:
			states = append(states, s.state)
		}
	}
	return Expect{States: states}
}
