package snaptest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/snapshot"
)

// model is what a store has to hold.
type model struct {
	list   []*state // newest first
	clock  int      // raised by each open
	opened map[snapshot.ID]int
}

type state struct {
	meta    snapshot.Meta
	content []byte
	holds   int
}

func (m *model) add(meta snapshot.Meta, content []byte) error {
	at, taken := slices.BinarySearchFunc(m.list, meta.ID, func(s *state, id snapshot.ID) int { return id.Compare(s.meta.ID) })
	if taken {
		return fmt.Errorf("id %v was given twice", meta.ID)
	}
	m.list = slices.Insert(m.list, at, &state{meta: meta, content: slices.Clone(content)})
	m.touch(meta.ID)
	return nil
}

func (m *model) touch(id snapshot.ID) {
	m.clock++
	m.opened[id] = m.clock
}

func (m *model) remove(gone *state) {
	m.list = slices.DeleteFunc(m.list, func(s *state) bool { return s == gone })
	delete(m.opened, gone.meta.ID)
}

// victims is what a policy has to remove, oldest first: worked out again, in
// another way than the store does it.
func (m *model) victims(p snapshot.Policy, now time.Time) (out []*state) {
	spared := func(i int) bool { return i == 0 || m.list[i].holds > 0 }
	if p.Strategy == snapshot.SizeBasedLRU {
		return m.leastRecent(p.MaxTotalSize)
	}
	for i, s := range slices.Backward(m.list) {
		few := i < p.KeepCount
		young := !s.meta.Created.Before(now.Add(-p.MaxAge))
		keep := map[snapshot.Strategy]bool{
			snapshot.KeepLatest: few, snapshot.KeepByAge: young, snapshot.Combined: few || young,
		}
		if !keep[p.Strategy] && !spared(i) {
			out = append(out, s)
		}
	}
	return out
}

func (m *model) leastRecent(limit int64) (out []*state) {
	var total int64
	var free []*state
	for i, s := range m.list {
		total += s.meta.StoredSize
		if i > 0 && s.holds == 0 {
			free = append(free, s)
		}
	}
	slices.SortFunc(free, func(a, b *state) int { return cmp.Compare(m.opened[a.meta.ID], m.opened[b.meta.ID]) })
	for len(free) > 0 && total > limit {
		total -= free[0].meta.StoredSize
		out = append(out, free[0])
		free = free[1:]
	}
	slices.SortFunc(out, func(a, b *state) int { return a.meta.ID.Compare(b.meta.ID) })
	return out
}
