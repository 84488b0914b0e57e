package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var lifeCases = []Case{
	{Name: "closed log", Rule: "a closed log refuses everything, may be closed again, and leaves its driver open (D-33)", run: closedLog},
	{Name: "closed driver", Rule: "a closed driver refuses everything and may be closed again", run: closedDriver},
	{Name: "close waits", Rule: "closing a log waits for the writes under way", run: closeWaits},
	{Name: "close beside calls", Rule: "calls that race with Close are either done or refused", run: closeBesideCalls},
	{Name: "verify", Rule: "Verify finds every entry intact and ends with its context", run: verify},
}

func closedLog(s *subject) error {
	if err := s.l.Append(entry(1, 1)); err != nil {
		return err
	}
	if err := errors.Join(s.l.Close(), s.l.Close()); err != nil {
		return err
	}
	_, e1 := s.l.Entry(1)
	_, e2 := s.l.Bounds()
	_, e3 := s.l.Term(1)
	_, e4 := s.l.Stable("k")
	_, e5 := s.l.Stats()
	_, e6 := s.l.Verify(context.Background(), nil)
	for i, err := range []error{
		e1, e2, e3, e4, e5, e6, s.l.Append(entry(2, 1)), s.l.Sync(), s.l.Release(1), s.l.SetIdentity(raftlog.Identity{}),
		s.l.WriteAsync(raftlog.Batch{Entries: entries(2, 3, 1)}, func(error) {}),
	} {
		if err := is(fmt.Sprintf("call %d on a closed log", i+1), err, fault.ErrClosed); err != nil {
			return err
		}
	}
	l, err := raftlog.New(s.d, group1, nil)
	if err != nil {
		return err
	}
	s.l = l
	return s.holds(raftlog.Position{}, entry(1, 1))
}

func closedDriver(s *subject) error {
	if err := s.l.Append(entry(1, 1)); err != nil {
		return err
	}
	if err := errors.Join(s.d.Close(), s.d.Close()); err != nil {
		return err
	}
	_, e1 := s.l.Entry(1)
	_, e2 := s.l.Bounds()
	_, e3 := s.l.Term(1)
	_, e4 := s.l.Stable("k")
	_, e5 := s.d.Groups()
	for i, err := range []error{
		e1, e2, e3, e4, e5, s.l.Append(entry(2, 1)), s.l.Sync(), s.d.Remove(group1),
		s.l.WriteAsync(raftlog.Batch{Entries: entries(2, 3, 1)}, func(error) {}),
	} {
		if err := is(fmt.Sprintf("call %d on a closed driver", i+1), err, fault.ErrClosed); err != nil {
			return err
		}
	}
	return nil
}

func closeWaits(s *subject) error {
	const n = 100
	var mu sync.Mutex
	done := 0
	for i := uint64(1); i <= n; i++ {
		err := s.l.WriteAsync(raftlog.Batch{Entries: entries(i, i+1, 1)}, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			}
		})
		if err != nil {
			return err
		}
	}
	if err := s.l.Close(); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if done != n {
		return fmt.Errorf("Close returned after %d of %d writes", done, n)
	}
	return nil
}

func closeBesideCalls(s *subject) error {
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	started := make(chan struct{}, 8)
	for w := range 4 {
		wg.Go(func() { failed <- callUntilClosed(s.d, raftlog.Group{Shard: uint64(10 + w)}, started) })
	}
	for range 4 {
		<-started
	}
	err := s.d.Close()
	wg.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// callUntilClosed appends and reads until the driver is closed, and signals
// after the first append.
func callUntilClosed(d raftlog.Driver, g raftlog.Group, started chan<- struct{}) error {
	l, err := raftlog.New(d, g, nil)
	for i := uint64(1); err == nil; i++ {
		if err = l.Append(entry(i, 1)); err == nil {
			_, err = l.Entry(i)
		}
		if i == 1 {
			started <- struct{}{}
		}
	}
	return is("a call beside Close", err, fault.ErrClosed)
}

func verify(s *subject) error {
	o, err := s.other()
	if err != nil {
		return err
	}
	if err := all(
		func() error { return s.l.Append(entries(1, 101, 1)...) },
		func() error { return s.l.CompactTo(10) },
		func() error { return o.l.Append(entries(1, 11, 1)...) },
	); err != nil {
		return err
	}
	var done, total int64
	r, err := s.l.Verify(context.Background(), &raftlog.VerifyOptions{Progress: func(d, t int64) { done, total = d, t }})
	if err != nil || len(r.Damage) > 0 || r.Entries < 90 || r.Bytes <= 0 {
		return fmt.Errorf("Verify = %+v, %v, want at least 90 entries and no damage", r, err)
	}
	if done != total || done == 0 {
		return fmt.Errorf("progress ended at %d of %d bytes", done, total)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = s.l.Verify(ctx, nil)
	return is("Verify with a cancelled context", err, context.Canceled)
}
