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
	u := c.user(func() (kv.Driver, error) { return p, nil })
	must(u.begin())
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

func (c *crashScript) user(open func() (kv.Driver, error)) *crashUser {
	o := indexOptions()
	o.Sync = c.policy
	return &crashUser{ctx: context.Background(), open: open, o: *o}
}

func (c *crashScript) on(fsys vfs.FS) *crashUser {
	return c.user(func() (kv.Driver, error) { return c.open(fsys) })
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
	u := c.user(func() (kv.Driver, error) { return &plain{st.pairs}, nil })
	must(u.begin())
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
	for i, step := range c.steps {
		if volatile && step.closes {
			step.do = (*crashUser).letGo // or nothing would be left for the next steps
		}
		r.Begin(i + 1)
		if err := step.do(u); err != nil {
			return c.failed(u, r, acked, i, fmt.Errorf("step %d, %s: %w", i+1, step.name, err))
		}
		if err := c.holds(u, i+1); err != nil {
			return fmt.Errorf("after step %d, %s: %w", i+1, step.name, err)
		}
		if !volatile && (step.syncs || c.policy != kv.SyncNever) {
			acked = i + 1
			r.Ack(acked)
		}
	}
	if err := u.end(); err != nil || volatile {
		return onlyDisk(err)
	}
	r.Ack(len(c.steps))
	return nil
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

// failed goes on after step i+1 has failed with err: nothing may be
// acknowledged that is not durable, and the store can be opened again. acked is
// the last state that was acknowledged.
func (c *crashScript) failed(u *crashUser, r *crashtest.Recorder, acked, i int, err error) error {
	defer func() { _ = u.end() }() // it may fail as the step did
	if onlyDisk(err) != nil {
		return err
	}
	if u.s != nil {
		if err := c.refuses(u, r, i); err != nil {
			return fmt.Errorf("%w, after %w", err, err)
		}
		_ = u.end() // it may fail as the step did
	}
	if err := u.begin(); err != nil {
		return onlyDisk(err)
	}
	for n := acked; n <= i+1; n++ {
		if c.holds(u, n) == nil {
			return c.goesOn(u, r, n)
		}
	}
	return fmt.Errorf("opened again, the store is in none of the states %d to %d, after %w", acked, i+1, err)
}

// refuses holds what a store does after a failed call against its word: it is
// poisoned and acknowledges nothing, or as it was before.
func (c *crashScript) refuses(u *crashUser, r *crashtest.Recorder, i int) error {
	st, err := u.s.Stats()
	if err != nil {
		return err
	}
	if err := u.s.Sync(); (err == nil) == (st.Poisoned != nil) {
		return onlyDisk(fmt.Errorf("Sync = %w, and the store says it is poisoned by %v", err, st.Poisoned))
	}
	if st.Poisoned == nil {
		if err := c.holds(u, i); err != nil {
			return err
		}
		r.Refuse(i)
	}
	return nil
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
