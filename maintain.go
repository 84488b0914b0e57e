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
	began := s.o.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		err := s.maintain(ctx, began)
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

// maintain is one round of what began then.
func (s *Storage) maintain(ctx context.Context, began time.Time) error {
	if s.o.Owner == OwnerComposite {
		due, err := s.snapshotDue(ctx, began)
		if err != nil {
			return err
		}
		if due {
			if _, err := s.Snapshot(ctx, 0); err != nil && !errors.Is(err, fault.ErrNothingNew) {
				return err
			}
		}
	}
	if err := s.prune(ctx); err != nil {
		return err
	}
	return errors.Join(s.keepBudget(ctx), s.expire(ctx))
}

// snapshotDue reports whether the policy wants a snapshot. Its interval counts
// from the newest one, also across restarts, and without one from when Maintain
// began.
func (s *Storage) snapshotDue(ctx context.Context, last time.Time) (bool, error) {
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return false, err
	}
	newest, err := s.newest.get(ctx, s.snaps, s.newestValid)
	if err != nil {
		return false, err
	}
	held := uint64(0)
	if newest != nil {
		held, last = newest.Index, newest.Created
	}
	if mark.Index <= held {
		return false, nil
	}
	st, err := s.log.Stats()
	if err != nil || held < st.Base.Index { // what is compacted must not hang on the data alone
		return err == nil, err
	}
	n := mark.Index - held
	byTime := s.o.SnapshotInterval > 0 && s.o.Now().Sub(last) >= s.o.SnapshotInterval
	byBytes := s.o.SnapshotBytes > 0 && float64(n)*st.AvgSize >= float64(s.o.SnapshotBytes)
	return byTime || byBytes || n >= s.o.SnapshotEntries, nil
}

// prune applies retention when snapshots came or went since it last found
// nothing to remove, and every minute where the policy asks for their age.
func (s *Storage) prune(ctx context.Context) error {
	p := s.o.Retention
	if p == (snapshot.Policy{}) {
		return nil
	}
	now := s.o.Now()
	if p.MaxAge > 0 && now.Sub(s.pruned.value) >= time.Minute {
		s.pruned.known = false
	}
	_, err := s.pruned.get(ctx, s.snaps, func(ctx context.Context) (time.Time, error) {
		_, err := s.snaps.Prune(ctx, p)
		return now, err
	})
	return err
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
