package kvtest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/kv"
)

// model is what a store is, as a plain map. Dead rows are in it: nothing may
// show them.
type model struct {
	rows  map[string]modelRow
	clock time.Time
	index uint64 // of the mark
	state indexState
	built string // the index holds the rows up to here while it is begun
}

type modelRow struct {
	value    string
	deadline time.Time
}

// indexState is how far the one index of a random run is.
type indexState uint8

const (
	indexNone indexState = iota
	indexBegun
	indexReady
)

func newModel() *model { return &model{rows: map[string]modelRow{}} }

func (m *model) clone() *model {
	c := *m
	c.rows = maps.Clone(m.rows)
	return &c
}

func (m *model) get(key string) (modelRow, bool) {
	r, ok := m.rows[key]
	if !ok || !r.deadline.IsZero() && !r.deadline.After(m.clock) {
		return modelRow{}, false
	}
	return r, true
}

// put sets a row; one whose deadline has passed is none.
func (m *model) put(key, value string, deadline time.Time) {
	m.rows[key] = modelRow{value, deadline}
}

// alive lists the keys of r in its order.
func (m *model) alive(r kv.Range) []string {
	var list []string
	for key := range m.rows {
		if _, ok := m.get(key); ok && key >= string(r.Lo) && (len(r.Hi) == 0 || key < string(r.Hi)) {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	if r.Reverse {
		slices.Reverse(list)
	}
	return list
}

func (m *model) deleteRange(r kv.Range) {
	maps.DeleteFunc(m.rows, func(key string, _ modelRow) bool {
		return key >= string(r.Lo) && (len(r.Hi) == 0 || key < string(r.Hi))
	})
}

// increment reports the sum, or false where the store refuses.
func (m *model) increment(key string, delta int64) (int64, bool) {
	r, ok := m.get(key)
	n := int64(0)
	if ok {
		if len(r.value) != 8 {
			return 0, false
		}
		n = int64(binary.BigEndian.Uint64([]byte(r.value)))
	}
	sum := n + delta
	if delta > 0 && sum < n || delta < 0 && sum > n {
		return 0, false
	}
	m.put(key, string(binary.BigEndian.AppendUint64(nil, uint64(sum))), r.deadline)
	return sum, true
}

func (m *model) advance(to time.Time) {
	if limit := m.clock.Add(kv.MaxAdvance); !m.clock.IsZero() && to.After(limit) {
		to = limit
	}
	if to.After(m.clock) {
		m.clock = to
	}
}

func (m *model) nextDeadline() time.Time {
	var next time.Time
	for key := range m.rows {
		if r, ok := m.get(key); ok && !r.deadline.IsZero() && (next.IsZero() || r.deadline.Before(next)) {
			next = r.deadline
		}
	}
	return next
}

// dead counts what Expire would remove.
func (m *model) dead() int {
	n := 0
	for key := range m.rows {
		if _, ok := m.get(key); !ok {
			n++
		}
	}
	return n
}

// build moves the index on by limit rows and reports whether it is ready.
func (m *model) build(limit int) bool {
	rest := m.alive(kv.Range{})
	if m.built != "" {
		rest = slices.DeleteFunc(rest, func(key string) bool { return key <= m.built })
	}
	if len(rest) <= limit {
		m.state, m.built = indexReady, ""
		return true
	}
	m.built = rest[limit-1]
	return false
}

// query lists the keys of the rows whose first byte is in [lo, hi), a nil hi
// being no bound, ordered by that byte and then by key.
func (m *model) query(lo, hi []byte, back bool) []string {
	list := slices.DeleteFunc(m.alive(kv.Range{}), func(key string) bool {
		v := m.rows[key].value
		return v == "" || bytes.Compare([]byte(v[:1]), lo) < 0 || len(hi) > 0 && bytes.Compare([]byte(v[:1]), hi) >= 0
	})
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(m.rows[a].value[0], m.rows[b].value[0]), cmp.Compare(a, b))
	})
	if back {
		slices.Reverse(list)
	}
	return list
}
