package trimaran

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// Storage is the durable half of one Raft node. All methods may be called by
// several goroutines; Apply and restores run one at a time.
type Storage struct {
	o       Options
	log     *raftlog.Log
	snaps   *snapshot.Store
	data    *kv.Store
	applier *kv.Applier
	gate    gate.Gate
	metrics counters
	report  Report // of the Recover that New ran
	closing sync.Once
	closed  error // what Close returned

	applying sync.Mutex // held by Apply, and by a restore from Switch to FinishLog
	based    sync.Mutex // held while the log's base moves: compaction, and a restore like applying
	taking   sync.Mutex // held by Snapshot and maintenance: one at a time

	full, over atomic.Pointer[error] // why nothing more is admitted: an apply found no room, or the budget is used up
	used       atomic.Int64          // bytes, of the disk budget
	behind     atomic.Pointer[error] // why nothing is applied: a restore left the log behind

	newest seen[*snapshot.Meta] // of the valid snapshots, for Maintain
	stored seen[int64]          // bytes of all snapshots
	pruned seen[time.Time]      // when retention had removed all it would

	mu      sync.Mutex
	moved   chan struct{} // closed and replaced when the mark moves
	leases  map[*lease]struct{}
	lastErr error // of the last round of Maintain
}

// New puts three layers together, binds the data to the log (from here on it
// changes through Apply only), runs Recover, and raises the epoch of all parts.
// It owns all three and closes them with Options.Closers when it fails. Parts
// of different nodes, or of different age, are a *fault.Corruption of class
// Foreign, unless Options.Adopt accepts them.
func New(l *raftlog.Log, s *snapshot.Store, k *kv.Store, o *Options) (_ *Storage, err error) {
	opts, err := o.withDefaults()
	st := &Storage{o: opts, log: l, snaps: s, data: k, moved: make(chan struct{}), leases: make(map[*lease]struct{})}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open storage: %w", errors.Join(err, st.Close()))
		}
	}()
	if err != nil {
		return nil, err
	}
	if st.applier, err = k.Bind(); err != nil {
		return nil, err
	}
	if err = st.start(context.Background()); err != nil {
		return nil, err
	}
	return st, nil
}

// start looks whether the parts belong together, recovers, and then has them
// carry the identity of this open: one that was refused changes nothing.
func (s *Storage) start(ctx context.Context) error {
	id, others, err := s.identify(ctx)
	if err != nil {
		return err
	}
	forsaken, err := s.clearForsaken(ctx)
	if err != nil {
		return fmt.Errorf("recover: snapshots that were given up: %w", err)
	}
	if s.report, err = s.Recover(ctx); err != nil {
		return err
	}
	s.report.Forsaken = forsaken
	if err := s.carry(id, others); err != nil {
		return fmt.Errorf("raise the epoch: %w", err)
	}
	s.report.Identity = id
	return nil
}

// Log is the log layer. Who drives the Raft protocol writes to it directly.
func (s *Storage) Log() *raftlog.Log { return s.log }

// Snapshots is the snapshot layer.
func (s *Storage) Snapshots() *snapshot.Store { return s.snaps }

// KV reads the data. It changes through Apply only.
func (s *Storage) KV() kv.Reader { return s.data }

// Recovered is what New found and did.
func (s *Storage) Recovered() Report { return s.report }

func (s *Storage) enter(what string) error {
	if !s.gate.Enter() {
		return fmt.Errorf("%s: storage: %w", what, fault.ErrClosed)
	}
	return nil
}

// Sync makes durable what the log acknowledged and the data applied so far.
func (s *Storage) Sync(ctx context.Context) error {
	if err := s.enter("sync"); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(s.log.Sync(), s.data.Sync())
}

// Close waits for calls under way, then closes log, snapshots, data and
// Options.Closers, in this order.
func (s *Storage) Close() error {
	s.closing.Do(func() {
		s.gate.Close()
		s.closed = errors.Join(s.log.Close(), s.snaps.Close(), s.data.Close())
		for _, c := range s.o.Closers {
			s.closed = errors.Join(s.closed, c.Close())
		}
	})
	return s.closed
}

// announce wakes those who wait for the mark to move.
func (s *Storage) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.moved)
	s.moved = make(chan struct{})
}

// waitFor returns when the mark is at index or above.
func (s *Storage) waitFor(ctx context.Context, index uint64) error {
	for {
		s.mu.Lock()
		moved := s.moved
		s.mu.Unlock()
		mark, err := s.data.Mark(ctx)
		if err != nil || mark.Index >= index {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for index %d, applied is %d: %w", index, mark.Index, ctx.Err())
		case <-moved:
		}
	}
}
