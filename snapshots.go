package trimaran

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/snapshot"
)

// PendingSnapshot is the data as of one moment, on its way into a snapshot.
// Applies go on meanwhile. One goroutine uses it.
type PendingSnapshot struct {
	s       *Storage
	capture *kv.Capture
}

// BeginSnapshot captures the data, which takes the same time whatever it holds.
// fault.ErrNothingNew says that nothing was applied since the newest snapshot.
// Release it in any case.
func (s *Storage) BeginSnapshot(ctx context.Context) (*PendingSnapshot, error) {
	if err := s.enter("begin snapshot"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	capture, err := s.data.Capture(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	p := &PendingSnapshot{s: s, capture: capture}
	if err := p.checkNew(ctx); err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", errors.Join(err, p.Release()))
	}
	return p, nil
}

// checkNew compares the mark inside the capture with the newest snapshot: what
// lies outside may have moved since.
func (p *PendingSnapshot) checkNew(ctx context.Context) error {
	mark := p.capture.Mark()
	if mark.Index == 0 {
		return fmt.Errorf("nothing was applied yet: %w", fault.ErrNothingNew)
	}
	newest, err := p.s.newestValid(ctx)
	if err != nil {
		return err
	}
	if newest != nil && newest.Index >= mark.Index {
		return fmt.Errorf("applied is %d, snapshot %s contains it: %w", mark.Index, newest.ID, fault.ErrNothingNew)
	}
	return nil
}

// Info describes what was captured, as the snapshot layer wants to be told.
func (p *PendingSnapshot) Info() snapshot.Info {
	m := p.capture.Mark()
	return snapshot.Info{Index: m.Index, Term: m.Term, Membership: m.Membership, MembershipIndex: m.MembershipIndex, Clock: m.Clock}
}

// WriteTo writes the data to w, sorted: equal states give equal bytes. If w
// counts entries, as a snapshot.Writer does, it is told their number.
func (p *PendingSnapshot) WriteTo(w io.Writer) (int64, error) {
	n, err := p.capture.WriteTo(w)
	if err != nil {
		return n, fmt.Errorf("write snapshot of index %d: %w", p.capture.Mark().Index, err)
	}
	if c, ok := w.(interface{ SetEntries(uint64) }); ok {
		sum, err := p.capture.Summary()
		if err != nil {
			return n, err
		}
		c.SetEntries(sum.Rows)
	}
	return n, nil
}

// Commit does what follows once the snapshot is published: it makes the data
// durable up to the mark, and compacts the log unless a library does that.
func (p *PendingSnapshot) Commit(ctx context.Context) error {
	s := p.s
	if err := s.enter("commit snapshot"); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := s.data.Sync(); err != nil {
		return fmt.Errorf("commit snapshot of index %d: %w", p.capture.Mark().Index, err)
	}
	s.metrics.snapshotsCreated.Add(1)
	if err := s.log.Release(p.capture.Mark().Index); err != nil {
		return fmt.Errorf("commit snapshot of index %d: %w", p.capture.Mark().Index, err)
	}
	if s.o.Owner == OwnerLibrary {
		return nil
	}
	return s.compact(ctx, p.capture.Mark().Index, s.o.TrailingEntries)
}

// Release lets go of the captured data. It may be called twice.
func (p *PendingSnapshot) Release() error { return p.capture.Release() }

// Snapshot waits until atLeast is applied, takes a snapshot of what then is,
// and compacts the log behind it if the composite owns that. The index and term
// of the snapshot are those of the data inside it. fault.ErrNothingNew: nothing
// was applied since the newest one.
func (s *Storage) Snapshot(ctx context.Context, atLeast uint64) (meta snapshot.Meta, err error) {
	if err := s.enter("snapshot"); err != nil {
		return meta, err
	}
	defer s.gate.Leave()
	if err := s.waitFor(ctx, atLeast); err != nil {
		return meta, fmt.Errorf("snapshot: %w", err)
	}
	s.taking.Lock()
	defer s.taking.Unlock()
	p, err := s.BeginSnapshot(ctx)
	if err != nil {
		return meta, err
	}
	defer func() { err = errors.Join(err, p.Release()) }()
	w, err := s.snaps.Create(ctx, p.Info(), &snapshot.CreateOptions{Verify: true})
	if err != nil {
		return meta, fmt.Errorf("snapshot: %w", err)
	}
	defer w.Close()
	if _, err := p.WriteTo(w); err != nil {
		return meta, err
	}
	if meta, err = w.Commit(); err != nil {
		return meta, fmt.Errorf("snapshot: %w", err)
	}
	s.o.Logger.Info("snapshot taken", "id", meta.ID.String(), "index", meta.Index, "term", meta.Term, "stored", meta.StoredSize)
	return meta, p.Commit(ctx)
}

// newestValid returns the newest snapshot that is not damaged, nil if there is
// none.
func (s *Storage) newestValid(ctx context.Context) (*snapshot.Meta, error) {
	for meta, err := range s.snaps.All(ctx) {
		if err != nil {
			return nil, err
		}
		if meta.Damaged == nil {
			return &meta, nil
		}
	}
	return nil, nil
}

// compact drops the log behind the newest valid snapshot, as far as so many
// trailing entries, leases and promised fallbacks allow. The data is durable up to
// durable. No intent is needed: what the base comes to rest on is durable
// before, the step itself is one write, and a crash before it leaves more log.
func (s *Storage) compact(ctx context.Context, durable uint64, trailing int64) error {
	s.based.Lock() // a restore that goes back must not find its base gone
	defer s.based.Unlock()
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	st, err := s.log.Stats()
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	covered, err := s.covered(ctx)
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	to := st.Last - min(st.Last, uint64(max(0, trailing)))
	to = min(to, covered, durable, mark.Index)
	to = min(to, s.leased(to, st.AvgSize))
	if to <= st.Base.Index {
		return nil
	}
	if err := s.log.CompactTo(to); err != nil {
		return fmt.Errorf("compact to %d: %w", to, err)
	}
	s.metrics.logCompactions.Add(1)
	s.o.Logger.Info("log compacted", "to", to, "last", st.Last)
	return nil
}

// covered is the index up to which snapshots make the log dispensable.
func (s *Storage) covered(ctx context.Context) (index uint64, err error) {
	for meta, err := range s.snaps.All(ctx) {
		if err != nil {
			return 0, err
		}
		if meta.Damaged != nil {
			continue
		}
		if index = meta.Index; !s.o.KeepFallback {
			break
		}
	}
	return index, nil
}
