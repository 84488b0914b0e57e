package kv

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Stats describe a store. Counters run since it was opened.
type Stats struct {
	Engine   string
	Volatile bool // the engine forgets everything when closed
	Size     Size // zero if the engine cannot tell

	Rows    uint64 // that are alive
	Counted bool   // the engine counts rows; if not, Rows is zero and Count walks

	Commits  uint64 // transactions that changed something
	Puts     uint64 // rows written by them
	Deletes  uint64 // calls of Delete and DeleteRange, and what amounts to them
	Expired  uint64 // dead rows removed
	Imports  uint64
	Syncs    uint64
	OpenTxns int // transactions and captures not ended

	Sync        SyncPolicy
	Unsynced    bool // some commit is not durable yet
	Bound       bool
	ClockClamps uint64 // Advance calls that asked for more than MaxAdvance
	ClockBehind bool   // the last Advance was one of those
	Poisoned    error  // why nothing is written any more, nil while all is well
}

// counters are the part of Stats that changes with every commit.
type counters struct {
	commits, puts, deletes, expired, clamps, imports atomic.Uint64
	behind                                           atomic.Bool
}

func (c *counters) add(w *writer) {
	if w.dirty {
		c.commits.Add(1)
	}
	c.puts.Add(w.tally.puts)
	c.deletes.Add(w.tally.deletes)
	c.expired.Add(w.tally.expired)
	c.clamps.Add(w.tally.clamps)
	if w.moved {
		c.behind.Store(w.behind)
	}
}

// Stats reads counters and asks the engine for its size. It costs no walk.
func (s *Store) Stats() (Stats, error) {
	if err := s.enter("stats"); err != nil {
		return Stats{}, err
	}
	defer s.leave()
	st := Stats{
		Engine: s.engine(), Volatile: s.Volatile(),
		Commits: s.counts.commits.Load(), Puts: s.counts.puts.Load(), Deletes: s.counts.deletes.Load(),
		Expired: s.counts.expired.Load(), Imports: s.counts.imports.Load(),
		Sync: s.o.Sync, Unsynced: s.sync.pending(), Bound: s.bound.Load(),
		ClockClamps: s.counts.clamps.Load(), ClockBehind: s.counts.behind.Load(),
	}
	st.Syncs, st.Poisoned = s.sync.status()
	s.mu.Lock()
	st.OpenTxns = len(s.open)
	s.mu.Unlock()
	err := s.peek(context.Background(), "stats", func(t *txn) (err error) {
		st.Rows, st.Counted, err = t.counted(Range{})
		return err
	})
	if err != nil {
		return Stats{}, err
	}
	if z, ok := As[Sizer](s.d); ok {
		if st.Size, err = z.Size(); err != nil {
			return Stats{}, fmt.Errorf("stats: %w", err)
		}
	}
	return st, nil
}

func (s *Store) engine() string {
	if e, ok := As[Engine](s.d); ok {
		return e.Engine()
	}
	return fmt.Sprintf("%T", s.d)
}
