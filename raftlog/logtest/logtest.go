// Package logtest is the contract of raftlog drivers: cases that state the
// rule they check, a random walk against a model, and benchmarks.
//
// A driver is done when its test file is the wiring plus Run:
//
//	func TestContract(t *testing.T) {
//		logtest.Run(t, func(t testing.TB) logtest.Open {
//			dir := t.TempDir()
//			return func() (raftlog.Driver, error) { return mylog.Open(dir) }
//		})
//	}
//
// Cases return errors and need no testing package, so a program can run them
// on the disk it is going to use.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/trimarandb/trimaran/raftlog"
)

// Open opens the driver under test at one place. The first call finds nothing
// there; later calls, made after the driver was closed, find what it left.
type Open func() (raftlog.Driver, error)

// Case is one promise of the contract.
type Case struct {
	Name    string
	Rule    string // what is true of every driver, in one sentence
	Durable bool   // does not apply to drivers that are raftlog.Volatile
	run     func(*subject) error
}

// Run checks the promise on a driver at a fresh place. The error states the
// rule that was broken.
func (c Case) Run(open Open) error {
	s := &subject{open: open}
	err := s.start()
	if err == nil {
		err = c.run(s)
	}
	if err == nil {
		err = s.verify()
	}
	if err = errors.Join(err, s.stop()); err != nil {
		return fmt.Errorf("rule broken: %s: %w", c.Rule, err)
	}
	return nil
}

// Cases returns the whole contract.
func Cases() []Case {
	var all []Case
	for _, part := range [][]Case{writeCases, readCases, trimCases, stableCases, groupCases, asyncCases, lifeCases, durableCases} {
		all = append(all, part...)
	}
	return all
}

// Run runs every case that applies as a subtest. open is called once for each,
// and must return an Open with a place of its own.
func Run(t *testing.T, open func(testing.TB) Open) {
	volatile := isVolatile(t, open(t))
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Durable && volatile {
				t.Skip("the driver is volatile")
			}
			if err := c.Run(open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func isVolatile(t *testing.T, open Open) bool {
	t.Helper()
	d, err := open()
	if err != nil {
		t.Fatalf("open the driver under test: %v", err)
	}
	v, ok := raftlog.As[raftlog.Volatile](d)
	volatile := ok && v.Volatile()
	if err := d.Close(); err != nil {
		t.Fatalf("close the driver under test: %v", err)
	}
	return volatile
}

// subject is a driver under test, with the log of one of its groups.
type subject struct {
	open Open
	d    raftlog.Driver
	l    *raftlog.Log
}

var (
	group1 = raftlog.Group{Shard: 1, Replica: 1}
	group2 = raftlog.Group{Shard: 2, Replica: 1}
)

func (s *subject) start() (err error) {
	if s.d, err = s.open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s.l, err = raftlog.New(s.d, group1, nil)
	return err
}

func (s *subject) stop() error {
	if s.d == nil {
		return nil
	}
	var err error
	if s.l != nil {
		err = s.l.Close()
	}
	return errors.Join(err, s.d.Close())
}

func (s *subject) reopen() error {
	if err := s.stop(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	s.d, s.l = nil, nil
	return s.start()
}

// verify runs after every case: no driver leaves damage behind.
func (s *subject) verify() error {
	l, err := raftlog.New(s.d, group1, nil)
	if err != nil {
		return nil // the case closed the driver
	}
	r, err := l.Verify(context.Background(), nil)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if len(r.Damage) > 0 {
		return fmt.Errorf("verify: %w", r.Damage[0])
	}
	return nil
}
