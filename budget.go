package trimaran

import (
	"context"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// Admit is fault.ErrFull while nothing that takes room should be proposed: the
// disk budget is used up, or what was committed waits for room to be applied.
// It is nil again when there is room. Whoever proposes asks first, for an entry
// that is committed has to be applied. Nothing else heeds it: votes are saved,
// and what frees room can be proposed. It costs next to nothing.
func (s *Storage) Admit() error {
	for _, why := range []*error{s.full.Load(), s.over.Load()} {
		if why != nil {
			return fmt.Errorf("admit: %w", *why)
		}
	}
	return nil
}

// keepBudget looks how much the layers occupy, sheds what it can above the soft
// limit, and says whether the hard one is exceeded.
func (s *Storage) keepBudget(ctx context.Context) error {
	if s.o.DiskSoft == 0 && s.o.DiskHard == 0 {
		return nil
	}
	used, err := s.occupied(ctx)
	if err == nil && s.o.DiskSoft > 0 && used > s.o.DiskSoft {
		if err = s.shed(ctx); err == nil {
			used, err = s.occupied(ctx)
		}
	}
	if err == nil && s.o.DiskHard > 0 && used > s.o.DiskHard && s.endLeases("disk budget") {
		if err = s.compactBehind(ctx, s.margin()); err == nil {
			used, err = s.occupied(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("disk budget: %w", err)
	}
	s.used.Store(used)
	was := s.over.Load() != nil
	if s.o.DiskHard == 0 || used <= s.o.DiskHard {
		if s.over.Store(nil); was {
			s.o.Logger.Info("disk budget has room again", "used", used, "hard", s.o.DiskHard)
		}
		return nil
	}
	full := fmt.Errorf("%d bytes are used, the disk budget is %d: %w", used, s.o.DiskHard, fault.ErrFull)
	if s.over.Store(&full); !was {
		s.o.Logger.Warn("disk budget exceeded", "used", used, "hard", s.o.DiskHard)
	}
	return nil
}

// shed keeps the newest snapshot only and, where the composite owns the log,
// only the entries behind it.
func (s *Storage) shed(ctx context.Context) error {
	gone, err := s.snaps.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		s.o.Logger.Warn("disk budget removed snapshots", "snapshots", len(gone), "soft", s.o.DiskSoft)
	}
	return s.compactBehind(ctx, 0)
}

// margin is how many trailing entries a budget leaves that is exceeded.
func (s *Storage) margin() int64 {
	if s.o.DiskSoft > 0 {
		return 0
	}
	return s.o.TrailingEntries
}

// compactBehind compacts the log without a new snapshot, where that is the
// composite's to do.
func (s *Storage) compactBehind(ctx context.Context, trailing int64) error {
	if s.o.Owner == OwnerLibrary {
		return nil
	}
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return err
	}
	if err := s.data.Sync(); err != nil {
		return err
	}
	return s.compact(ctx, mark.Index, trailing)
}

// occupied is what the layers take of the disk, in bytes. What is in memory
// takes none.
func (s *Storage) occupied(ctx context.Context) (used int64, err error) {
	l, err := s.log.Stats()
	if err != nil {
		return 0, err
	}
	if !s.log.Volatile() {
		used += int64(l.LiveBytes + l.DeadBytes + l.SpareBytes)
	}
	k, err := s.data.Stats()
	if err != nil {
		return 0, err
	}
	used += k.Size.Disk
	if s.snaps.Volatile() {
		return used, nil
	}
	stored, err := s.stored.get(ctx, s.snaps, s.storedSize)
	return used + stored, err
}

// storedSize is what all snapshots take.
func (s *Storage) storedSize(ctx context.Context) (size int64, err error) {
	for meta, err := range s.snaps.All(ctx) {
		if err != nil {
			return 0, err
		}
		size += meta.StoredSize
	}
	return size, nil
}
