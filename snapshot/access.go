package snapshot

import (
	"context"
	"slices"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// access keeps the order in which snapshots were opened last, for
// size_based_lru: a count that each open raises, never a time. It is a hint,
// written at Close, so a crash forgets the opens since the last one.
type access struct {
	mu    sync.Mutex
	last  uint64
	order map[ID]uint64
	dirty bool
}

// Frozen: part of format v1.
const (
	accessObject = "ACCESS"
	accessKind   = 5
	accessSeed   = 0x41434353 // "ACCS"
	accessEntry  = 32         // term, index, suffix, count
	accessMost   = 4096       // the most recent are kept
	accessLimit  = frame.HeaderSize + accessMost*accessEntry
)

func (a *access) touch(id ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.order == nil {
		a.order = map[ID]uint64{}
	}
	a.last++
	a.order[id] = a.last
	a.dirty = true
}

func (a *access) forget(id ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.order[id]; ok {
		delete(a.order, id)
		a.dirty = true
	}
}

// of is 0 for a snapshot of which no open is known.
func (a *access) of(id ID) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.order[id]
}

// marshal lists the snapshots from the least to the most recent.
func (a *access) marshal() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]ID, 0, len(a.order))
	for id := range a.order {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y ID) int {
		if a.order[x] < a.order[y] {
			return -1
		}
		return 1
	})
	ids = ids[max(0, len(ids)-accessMost):]
	b := frame.Begin(nil)
	for _, id := range ids {
		b = le.AppendUint64(b, id.Term)
		b = le.AppendUint64(b, id.Index)
		b = le.AppendUint64(b, id.Suffix)
		b = le.AppendUint64(b, a.order[id])
	}
	frame.Finish(b, 0, accessKind, accessSeed)
	return b
}

// unmarshal replaces what is known, or changes nothing.
func (a *access) unmarshal(b []byte) error {
	p := place{path: accessObject, class: fault.Committed}
	if err := checkFrame(p, 0, accessSeed, accessKind, b); err != nil {
		return err
	}
	b = b[frame.HeaderSize:]
	if len(b)%accessEntry != 0 || len(b) > accessMost*accessEntry {
		return p.damaged(0, "%d bytes are no whole number of entries", len(b))
	}
	order := make(map[ID]uint64, len(b)/accessEntry)
	var last uint64
	for e := range slices.Chunk(b, accessEntry) {
		id := ID{Term: le.Uint64(e), Index: le.Uint64(e[8:]), Suffix: le.Uint64(e[16:])}
		n := le.Uint64(e[24:])
		if _, twice := order[id]; twice || n <= last {
			return p.damaged(0, "entries are not in order")
		}
		order[id], last = n, n
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order, a.last = order, last
	return nil
}

// saveAccess writes the order if it changed.
func (s *Store) saveAccess(ctx context.Context) {
	s.access.mu.Lock()
	dirty := s.access.dirty
	s.access.mu.Unlock()
	if !dirty {
		return
	}
	if err := s.writeSmall(ctx, accessObject, s.access.marshal()); err != nil {
		s.o.Logger.Warn("snapshot store: order of opens is lost", "error", err)
	}
}
