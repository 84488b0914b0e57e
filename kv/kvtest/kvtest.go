package kvtest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/kv"
)

// Place opens the engine that is kept somewhere. The first call finds it
// empty. A later one, made after the engine was closed, finds what was durable,
// or nothing if the engine is [kv.Volatile].
type Place func() (kv.Driver, error)

// Case is one rule and the code that checks it. Run needs a place of its own
// and returns nil if the rule holds.
type Case struct {
	Name string
	Rule string
	Run  func(ctx context.Context, place Place) error
}

// Cases are all rules, those for the engine alone first.
func Cases() []Case {
	return slices.Concat(driverCases(), basicCases(), pageCases(), txCases(), clockCases(), indexCases(), exportCases(), raceCases(), reopenCases())
}

// Run runs every case, each with a place of its own.
func Run(t *testing.T, place func(testing.TB) Place) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), place(t)); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
}

// driverCase is a case for an engine without a store above it.
func driverCase(name, rule string, run func(p *driverProbe)) Case {
	return Case{name, rule, func(ctx context.Context, place Place) error {
		d, err := place()
		if err != nil {
			return err
		}
		p := &driverProbe{ctx: ctx, d: d}
		run(p)
		return first(p.err, d.Close())
	}}
}

// storeCase is a case for a store with default options over the engine.
func storeCase(name, rule string, run func(p *probe)) Case {
	return storeCaseWith(name, rule, nil, run)
}

func storeCaseWith(name, rule string, o *kv.Options, run func(p *probe)) Case {
	return Case{name, rule, func(ctx context.Context, place Place) error {
		p := &probe{ctx: ctx, place: place, o: o}
		p.open()
		if p.err != nil {
			return p.err
		}
		run(p)
		return first(p.err, p.s.Close())
	}}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// recovered turns a panic into an error.
func recovered(fn func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	fn()
	return nil
}
