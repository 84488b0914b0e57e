package trimaran

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// Maintain runs the policy of Options until ctx is over, and returns its error
// then: it takes snapshots and compacts (Owner Composite), prunes snapshots,
// keeps to the disk budget, and removes dead rows. What fails is logged, shown by Health, and tried again in
// the next round. Run it in one goroutine.
func (s *Storage) Maintain(ctx context.Context) error {
	t := time.NewTicker(s.o.MaintainInterval)
	defer t.Stop()
	last := s.o.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		taken, err := s.maintain(ctx, last)
		if taken {
			last = s.o.Now()
		}
		if errors.Is(err, fault.ErrClosed) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err() // what that cut short is no failure
		}
		if err != nil {
			s.o.Logger.Warn("maintenance failed", "error", err)
		}
		s.mu.Lock()
		s.lastErr = err
		s.mu.Unlock()
	}
}

// maintain is one round. It reports whether a snapshot was taken.
func (s *Storage) maintain(ctx context.Context, last time.Time) (taken bool, err error) {
	if s.o.Owner == OwnerComposite {
		due, err := s.snapshotDue(ctx, last)
		if err != nil {
			return false, err
		}
		if due {
			_, err := s.Snapshot(ctx, 0)
			if err != nil && !errors.Is(err, fault.ErrNothingNew) {
				return false, err
			}
			taken = true
		}
	}
	if s.o.Retention != (snapshot.Policy{}) {
		if _, err := s.snaps.Prune(ctx, s.o.Retention); err != nil {
			return taken, err
		}
	}
	return taken, errors.Join(s.keepBudget(ctx), s.expire(ctx))
}

func (s *Storage) snapshotDue(ctx context.Context, last time.Time) (bool, error) {
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return false, err
	}
	newest, err := s.newestValid(ctx)
	if err != nil {
		return false, err
	}
	held := uint64(0)
	if newest != nil {
		held = newest.Index
	}
	if mark.Index <= held {
		return false, nil
	}
	b, err := s.log.Bounds()
	if err != nil || held < b.Base.Index { // what is compacted must not hang on the data alone
		return err == nil, err
	}
	byTime := s.o.SnapshotInterval > 0 && s.o.Now().Sub(last) >= s.o.SnapshotInterval
	return byTime || mark.Index-held >= s.o.SnapshotEntries, nil
}

// expireStep is how many dead rows one transaction removes, so that Apply waits
// for some milliseconds at most.
const expireStep = 256

// expire removes dead rows. No read, export or digest shows them any more, so
// it does not matter that replicas do this at different times.
func (s *Storage) expire(ctx context.Context) (err error) {
	if err := s.enter("expire"); err != nil {
		return err
	}
	defer s.gate.Leave()
	for left := s.o.ExpireBatch; left > 0; left -= expireStep {
		step := min(left, expireStep)
		if n, err := s.expireSome(ctx, step); err != nil || n < step {
			return err
		}
	}
	return nil
}

func (s *Storage) expireSome(ctx context.Context, most int) (n int, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	tx, err := s.applier.BeginWrite(ctx)
	if err != nil {
		return 0, fmt.Errorf("expire: %w", err)
	}
	defer tx.Rollback()
	if n, err = tx.Expire(most); err != nil || n == 0 {
		return n, err
	}
	return n, tx.Commit()
}
