package kvtest

import (
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
	rows       map[string]modelRow
	clock      time.Time
	index      uint64 // of the mark
	membership string
	memberAt   uint64
	indexes    [len(randomIndexes)]modelIndex
}

type modelRow struct {
	value    string
	deadline time.Time
}

// modelIndex is how far one of the indexes of a random run is.
type modelIndex struct {
	state indexState
	built string // it holds the rows up to here while it is begun
}

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

// build moves an index on by limit rows and reports whether it is ready.
func (m *model) build(i, limit int) bool {
	x := &m.indexes[i]
	rest := m.alive(kv.Prefix([]byte(randomIndexes[i].prefix)))
	if x.built != "" {
		rest = slices.DeleteFunc(rest, func(key string) bool { return key <= x.built })
	}
	if len(rest) <= limit {
		*x = modelIndex{state: indexReady}
		return true
	}
	x.built = rest[limit-1]
	return false
}

// query lists the keys of the rows that an index has under a value of that
// kind, ordered by value and then by key.
func (m *model) query(i int, want func(value string) bool, back bool) []string {
	x := &randomIndexes[i]
	values := map[string]string{}
	for _, key := range m.alive(kv.Prefix([]byte(x.prefix))) {
		if v, ok := x.value(m.rows[key].value); ok && want(v) {
			values[key] = v
		}
	}
	list := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(values[a], values[b]), cmp.Compare(a, b))
	})
	if back {
		slices.Reverse(list)
	}
	return list
}
