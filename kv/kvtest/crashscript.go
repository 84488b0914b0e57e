package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// crashScript is a list of steps as a [crashtest.Script]. State n is what the
// first n steps make; went(n) is that and one step of going on.
type crashScript struct {
	open   OpenOn
	policy kv.SyncPolicy
	steps  []crashStep

	mu     sync.Mutex
	states map[int]*crashState
}

// wentOn is the bit of states that were gone on from once after a failed call.
const wentOn = 1 << 20

func newCrashScript(open OpenOn, policy kv.SyncPolicy, steps []crashStep) *crashScript {
	c := &crashScript{open: open, policy: policy, steps: steps, states: map[int]*crashState{}}
	p := &plain{}
	u := c.inMemory(p)
	for i := 0; ; i++ {
		c.states[i] = stateOf(u)
		if i == len(steps) {
			return c
		}
		if err := steps[i].do(u); err != nil {
			panic(fmt.Sprintf("step %d, %s, on the plain engine: %v", i+1, steps[i].name, err))
		}
	}
}

// stateOf takes down the state of a store over a plain engine.
func stateOf(u *crashUser) *crashState {
	pairs, err := pairsOf(u.ctx, u.d)
	must(err)
	shown, err := show(u.ctx, u.s)
	must(err)
	return &crashState{pairs, shown}
}

// must is for a plain engine, which does not fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// inMemory is a user of a plain engine.
func (c *crashScript) inMemory(p *plain) *crashUser {
	o := indexOptions()
	o.Sync = kv.SyncNever
	u := &crashUser{ctx: context.Background(), open: func() (kv.Driver, error) { return p, nil }, o: *o}
	must(u.begin())
	return u
}

func (c *crashScript) on(fsys vfs.FS) *crashUser {
	o := indexOptions()
	o.Sync, o.FlushInterval = c.policy, flushInterval
	return &crashUser{ctx: context.Background(), open: func() (kv.Driver, error) { return c.open(fsys) }, o: *o}
}

// state returns a state, or what it is after going on once more.
func (c *crashScript) state(n int, extended bool) *crashState {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.states[n]
	if st == nil {
		st = c.after(c.states[n&^wentOn])
		c.states[n] = st
	}
	if extended {
		return c.after(st)
	}
	return st
}

func (c *crashScript) after(st *crashState) *crashState {
	u := c.inMemory(&plain{st.pairs})
	must(extendStep().do(u))
	return stateOf(u)
}

func (c *crashScript) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	u := c.on(fsys)
	if err := u.begin(); err != nil {
		return onlyDisk(err)
	}
	volatile := u.s.Volatile()
	acked := 0
	for i := 0; i < len(c.steps); {
		end, err := c.take(u, r, i)
		if err != nil {
			return c.failed(u, r, acked, i, end, err)
		}
		if err := c.holds(u, end); err != nil {
			return fmt.Errorf("after step %d, %s: %w", end, c.steps[end-1].name, err)
		}
		if !volatile && (c.steps[end-1].syncs || c.syncs()) {
			acked = end
			r.Ack(acked)
		}
		i = end
	}
	if err := u.end(); err != nil || volatile {
		return onlyDisk(err)
	}
	r.Ack(len(c.steps))
	return nil
}

// syncs reports whether a commit is durable when it returns.
func (c *crashScript) syncs() bool { return c.policy == kv.SyncBatch || c.policy == kv.SyncAlways }

// take takes step i+1, or several that go beside each other, and returns the
// last one.
func (c *crashScript) take(u *crashUser, r *crashtest.Recorder, i int) (int, error) {
	step := c.steps[i]
	if step.beside {
		return c.together(u, r, i)
	}
	if step.closes && u.s.Volatile() {
		step.do = (*crashUser).letGo // or nothing would be left for the next steps
	}
	r.Begin(i + 1)
	if err := step.do(u); err != nil {
		return i + 1, fmt.Errorf("step %d, %s: %w", i+1, step.name, err)
	}
	return i + 1, nil
}

// holds compares the open store with a state.
func (c *crashScript) holds(u *crashUser, n int) error {
	pairs, err := pairsOf(u.ctx, u.d)
	if err != nil {
		return err
	}
	if d := differ(pairs, c.state(n, false).pairs); d != "" {
		return fmt.Errorf("state %d: %s", n, d)
	}
	return nil
}

// onlyDisk returns nil if err is what a failing disk makes of a call.
func onlyDisk(err error) error {
	if errors.Is(err, syscall.EIO) || errors.Is(err, fault.ErrFull) || vfs.IsFull(err) {
		return nil
	}
	return err
}

// failed goes on after one of the steps i+1 to end has failed with err: nothing
// may be acknowledged that is not durable, and the store can be opened again.
// acked is the last state that was acknowledged before them.
func (c *crashScript) failed(u *crashUser, r *crashtest.Recorder, acked, i, end int, err error) error {
	defer func() { _ = u.end() }() // it may fail as the step did
	if onlyDisk(err) != nil {
		return err
	}
	if u.s != nil {
		if err := c.refuses(u, r, i, end); err != nil {
			return fmt.Errorf("%w, after %w", err, err)
		}
		_ = u.end() // it may fail as the step did
	}
	if err := u.begin(); err != nil {
		return onlyDisk(err)
	}
	for n := acked; n <= end; n++ {
		if c.holds(u, n) == nil {
			return c.goesOn(u, r, n)
		}
	}
	return fmt.Errorf("opened again, the store is in none of the states %d to %d, after %w", acked, end, err)
}

// refuses holds what a store does after a failed call against its word: it is
// poisoned and acknowledges nothing, or as it was before. Of steps beside each
// other any number may have been taken.
func (c *crashScript) refuses(u *crashUser, r *crashtest.Recorder, i, end int) error {
	err := u.s.Sync()
	st, err2 := u.s.Stats()
	if err2 != nil {
		return err2
	}
	if (err == nil) == (st.Poisoned != nil) {
		return fmt.Errorf("Sync = %w, and the store says it is poisoned by %v", err, st.Poisoned)
	}
	if st.Poisoned != nil {
		return nil
	}
	if !c.steps[i].beside {
		end = i
	}
	for n := i; n <= end; n++ {
		if err = c.holds(u, n); err == nil {
			r.Refuse(n)
			return nil
		}
	}
	return err
}

// goesOn makes a durable step from state n.
func (c *crashScript) goesOn(u *crashUser, r *crashtest.Recorder, n int) error {
	r.Begin(n | wentOn)
	err := extendStep().do(u)
	if err == nil {
		err = u.s.Sync()
	}
	if err != nil {
		return onlyDisk(err)
	}
	r.Ack(n | wentOn)
	return c.holds(u, n|wentOn)
}

func (c *crashScript) Check(fsys vfs.FS, want crashtest.Expect) (found int, err error) {
	u := c.on(fsys)
	if err := u.begin(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, u.end()) }()
	pairs, err := pairsOf(u.ctx, u.d)
	if err != nil {
		return 0, err
	}
	if u.s.Volatile() && len(pairs) > 0 {
		return 0, fmt.Errorf("a volatile engine came up with %d pairs", len(pairs))
	}
	found, st, err := c.match(pairs, want, u.s.Volatile())
	if err != nil {
		return 0, err
	}
	shown, err := show(u.ctx, u.s)
	if err == nil && shown != st.shown {
		err = fmt.Errorf("the store of state %d shows\n%swant\n%s", found, shown, st.shown)
	}
	return found, err
}

// match finds the newest state that is allowed and that these are the pairs
// of.
func (c *crashScript) match(pairs []kv.Pair, want crashtest.Expect, volatile bool) (int, *crashState, error) {
	if volatile {
		return 0, c.state(0, false), nil
	}
	var why strings.Builder
	for _, n := range slices.Backward(want.States) {
		st := c.state(n, want.Extended)
		d := differ(pairs, st.pairs)
		if d == "" {
			return n, st, nil
		}
		fmt.Fprintf(&why, "\n  not %s: %s", c.describe(n), d)
	}
	if n, ok := c.known(pairs); ok {
		fmt.Fprintf(&why, "\n  it is %s", c.describe(n))
	}
	return 0, nil, fmt.Errorf("the engine holds no state that is allowed (%v):%s", want, why.String())
}

// known finds any state that these are the pairs of.
func (c *crashScript) known(pairs []kv.Pair) (int, bool) {
	for n := range len(c.steps) + 1 {
		if differ(pairs, c.state(n, false).pairs) == "" {
			return n, true
		}
	}
	return 0, false
}

func (c *crashScript) describe(n int) string {
	after := "the state before everything"
	if i := n &^ wentOn; i > 0 {
		after = fmt.Sprintf("the state after step %d, %s", i, c.steps[i-1].name)
	}
	if n&wentOn != 0 {
		after += ", and going on"
	}
	return after
}

func (c *crashScript) Extend(fsys vfs.FS, found int) error {
	u := c.on(fsys)
	if err := u.begin(); err != nil {
		return err
	}
	if u.s.Volatile() {
		return errors.Join(u.end(), crashtest.ErrNoExtension)
	}
	err := extendStep().do(u)
	if err == nil {
		err = u.s.Sync()
	}
	if err == nil {
		if d := c.extended(u, found); d != "" {
			err = fmt.Errorf("after going on: %s", d)
		}
	}
	return errors.Join(err, u.end())
}

func (c *crashScript) extended(u *crashUser, found int) string {
	pairs, err := pairsOf(u.ctx, u.d)
	if err != nil {
		return err.Error()
	}
	return differ(pairs, c.state(found, true).pairs)
}
