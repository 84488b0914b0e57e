package logtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/trimarandb/trimaran/raftlog"
)

// model is a log as a plain list: slow, and simple enough to be right.
type model struct {
	base    raftlog.Position
	entries []raftlog.Entry
	stable  map[string][]byte
}

func (m *model) last() uint64 { return m.base.Index + uint64(len(m.entries)) }

func (m *model) lastTerm() uint64 {
	if len(m.entries) == 0 {
		return m.base.Term
	}
	return m.entries[len(m.entries)-1].Term
}

func (m *model) clone() *model {
	return &model{base: m.base, entries: slices.Clone(m.entries), stable: maps.Clone(m.stable)}
}

func (m *model) apply(b raftlog.Batch) {
	if b.Reset != nil {
		m.base, m.entries = *b.Reset, nil
	}
	if b.TruncateFrom != 0 && b.TruncateFrom <= m.last() {
		m.entries = m.entries[:b.TruncateFrom-m.base.Index-1]
	}
	m.entries = append(slices.Clip(m.entries), b.Entries...)
	for _, kv := range b.Stable {
		if kv.Value == nil {
			delete(m.stable, kv.Key)
		} else {
			m.stable[kv.Key] = kv.Value
		}
	}
	if b.CompactTo > m.base.Index {
		n := b.CompactTo - m.base.Index
		m.base = raftlog.Position{Index: b.CompactTo, Term: m.entries[n-1].Term}
		m.entries = m.entries[n:]
	}
}

func (m *model) compare(s *subject) error {
	if err := s.holds(m.base, m.entries...); err != nil {
		return err
	}
	for i := range 5 {
		key := fmt.Sprintf("key %d", i)
		if err := s.stableIs(key, m.stable[key]); err != nil {
			return err
		}
	}
	return nil
}
