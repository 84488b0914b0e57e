package hashiraft

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// cover makes sure that a valid snapshot reaches the base of the log: raft
// takes everything above its newest snapshot from the log, and panics at start
// if that is not there.
func (a *Adapter) cover(ctx context.Context) error {
	if err := a.findNewest(ctx); err != nil {
		return err
	}
	b, err := a.s.Log().Bounds()
	if err != nil || b.Base.Index <= a.newest.Index {
		return err
	}
	mark, err := a.s.KV().Mark(ctx)
	if err != nil {
		return err
	}
	if mark.Index < b.Base.Index || len(mark.Membership) == 0 {
		return &fault.Corruption{Offset: -1, Index: b.Base.Index, Class: fault.Missing,
			Reason: fmt.Sprintf("the log begins at %d and the newest valid snapshot holds %d; the data, applied up to %d, cannot take its place", b.First(), a.newest.Index, mark.Index)}
	}
	if _, err := a.s.Snapshot(ctx, 0); err != nil {
		return err
	}
	a.logger.Warn("took a snapshot in the place of a damaged one", "index", mark.Index)
	return a.findNewest(ctx)
}

// votesHold refuses a log whose stored term is behind that of its last entry:
// raft stores the term first, so votes were lost, and this node might vote
// twice.
func (s *LogStore) votesHold() error {
	b, err := s.log.Bounds()
	if err != nil || b.Empty() {
		return err
	}
	term, err := s.number(TermKey)
	if err != nil || term >= b.LastTerm {
		return err
	}
	return &fault.Corruption{Offset: -1, Index: b.Last, Class: fault.Missing,
		Reason: fmt.Sprintf("the stored term is %d, the last entry's %d: votes were lost", term, b.LastTerm),
		Err:    errors.New("bring back the log that belongs here, or remove the node from its group and let it join anew")}
}

// findNewest notes which valid snapshot is the newest.
func (a *Adapter) findNewest(ctx context.Context) error {
	newest := raftlog.Position{}
	for meta, err := range a.s.Snapshots().All(ctx) {
		if err != nil {
			return err
		}
		if meta.Damaged == nil && meta.Index > newest.Index {
			newest = raftlog.Position{Index: meta.Index, Term: meta.Term}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newest = newest
	return nil
}

// continuation is the position that an emptied log continues after, unless it
// is told otherwise.
func (a *Adapter) continuation() raftlog.Position {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newest
}
