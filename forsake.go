package trimaran

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// Stable key of the log that names snapshots which were given up, 24 bytes
// each: term, index and suffix. Frozen: part of format v1.
const (
	forsakenKey  = "trimaran/forsaken"
	forsakenSize = 3 * 8
	mostForsaken = 1000 // that are named: the newest
)

// forsake removes the snapshots above a state that was gone back to: with the
// log's entries their history is given up, and none of them must become the
// data at the next open. The log names them before: one that is pinned or being
// read goes when it is let go, and a crash before that brings it back. A library
// decides on its snapshots itself.
func (s *Storage) forsake(ctx context.Context, i intent) error {
	if s.o.Owner == OwnerLibrary || i.from.Index <= i.to.Index {
		return nil
	}
	ids, err := s.forsaken() // an attempt that failed may have hidden some
	if err != nil {
		return err
	}
	for meta, err := range s.snaps.All(ctx) {
		if err != nil {
			return fmt.Errorf("find snapshots above %d: %w", i.to.Index, err)
		}
		if meta.Index > i.to.Index && !slices.Contains(ids, meta.ID) {
			ids = append(ids, meta.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := s.nameForsaken(ids); err != nil {
		return err
	}
	return s.removeForsaken(ctx, ids)
}

// clearForsaken removes what came back of the snapshots that were given up, and
// says which did. They stay named until an open finds none of them: one that
// somebody holds is only hidden.
func (s *Storage) clearForsaken(ctx context.Context) (back []snapshot.ID, err error) {
	ids, err := s.forsaken()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	for meta, err := range s.snaps.All(ctx) {
		if err != nil {
			return nil, err
		}
		if slices.Contains(ids, meta.ID) {
			back = append(back, meta.ID)
		}
	}
	if len(back) == 0 {
		return nil, s.nameForsaken(nil)
	}
	s.o.Logger.Warn("forsaken snapshots removed", "snapshots", len(back))
	return back, s.removeForsaken(ctx, back)
}

func (s *Storage) removeForsaken(ctx context.Context, ids []snapshot.ID) error {
	for _, id := range ids {
		err := s.snaps.Remove(ctx, id, &snapshot.RemoveOptions{Force: true})
		if err != nil && !errors.Is(err, fault.ErrNotFound) {
			return err
		}
	}
	return nil
}

// forsaken returns the snapshots that were given up and may still be there.
func (s *Storage) forsaken() (ids []snapshot.ID, err error) {
	b, err := s.log.Stable(forsakenKey)
	if errors.Is(err, fault.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b)%forsakenSize != 0 {
		return nil, &fault.Corruption{Offset: -1, Class: fault.Committed, Reason: fmt.Sprintf("stable key %s: %d bytes", forsakenKey, len(b))}
	}
	for id := range slices.Chunk(b, forsakenSize) {
		word := func(n int) uint64 { return binary.BigEndian.Uint64(id[8*n:]) }
		ids = append(ids, snapshot.ID{Term: word(0), Index: word(1), Suffix: word(2)})
	}
	return ids, nil
}

// nameForsaken makes the names durable; none clears them.
func (s *Storage) nameForsaken(ids []snapshot.ID) error {
	var b []byte
	for _, id := range ids[:min(len(ids), mostForsaken)] {
		for _, n := range []uint64{id.Term, id.Index, id.Suffix} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
	}
	if err := s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: forsakenKey, Value: b}}}); err != nil {
		return fmt.Errorf("name the snapshots that are given up: %w", err)
	}
	return nil
}
