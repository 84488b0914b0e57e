package trimaran_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

// The history that is committed is the same in every script: which entry has
// which index, and so what the data holds after each. What was appended and
// never committed has odd terms.

func committedTerm(i uint64) uint64 {
	if i == 0 {
		return 0
	}
	return 2 * (1 + i/9)
}

func position(i uint64) raftlog.Position {
	return raftlog.Position{Index: i, Term: committedTerm(i)}
}

// committed is entry i of the history: most are commands, some are no-ops and
// configurations. A command deletes a key or sets it, and is counted.
func committed(i uint64) raftlog.Entry {
	e := raftlog.Entry{Index: i, Term: committedTerm(i)}
	switch {
	case i%7 == 0:
		e.Kind = raftlog.NoOp
	case i%11 == 0:
		e.Kind, e.Data = raftlog.Configuration, fmt.Appendf(nil, "members of %d", i)
	case i%5 == 0:
		e.Data = fmt.Appendf(nil, "key-%d", (i/5)%6)
	default:
		e.Data = fmt.Appendf(nil, "key-%d=%d%s", i%6, i, bytes.Repeat([]byte{'.'}, int(i*i%300)))
	}
	return e
}

// uncommitted is an entry of a leader that lost.
func uncommitted(i, term uint64) raftlog.Entry {
	return raftlog.Entry{Index: i, Term: term, Data: fmt.Appendf(nil, "key-0=lost %d", i)}
}

var counterKey = []byte("count")

// execute applies a command.
func execute(tx *kv.WriteTx, e raftlog.Entry) error {
	if _, err := tx.Increment(counterKey, 1); err != nil {
		return err
	}
	key, value, set := bytes.Cut(e.Data, []byte("="))
	if !set {
		return tx.Delete(key)
	}
	return tx.Put(key, value)
}

// crashModel is what the data holds.
type crashModel struct {
	rows       map[string]string
	membership string
	members    uint64 // index of membership
}

// modelAt is the data after the first n entries of the history.
func modelAt(n uint64) crashModel {
	m := crashModel{rows: map[string]string{}}
	count := uint64(0)
	for i := uint64(1); i <= n; i++ {
		e := committed(i)
		switch e.Kind {
		case raftlog.Configuration:
			m.membership, m.members = string(e.Data), i
		case raftlog.Normal:
			count++
			if key, value, set := bytes.Cut(e.Data, []byte("=")); set {
				m.rows[string(key)] = string(value)
			} else {
				delete(m.rows, string(key))
			}
		}
	}
	if count > 0 {
		m.rows[string(counterKey)] = string(binary.BigEndian.AppendUint64(nil, count))
	}
	return m
}

// crashState is what a node may hold: the log and the snapshots exactly this,
// the data one of several marks.
type crashState struct {
	base, last uint64   // of the log
	lost       uint64   // first entry that is not committed, 0 for none
	lostTerm   uint64   // of these
	snaps      []uint64 // indexes, ascending
	marks      []uint64 // that the data may have after an open, ascending
	live       uint64   // the mark of a node that runs
	vote       int      // how often the vote was written
}

func (s crashState) clone() crashState {
	s.snaps, s.marks = slices.Clone(s.snaps), slices.Clone(s.marks)
	return s
}

// known is the last committed entry in the log.
func (s *crashState) known() uint64 {
	if s.lost > 0 {
		return s.lost - 1
	}
	return s.last
}

func (s *crashState) entry(i uint64) raftlog.Entry {
	if s.lost > 0 && i >= s.lost {
		return uncommitted(i, s.lostTerm)
	}
	return committed(i)
}

func (s *crashState) lastTerm() uint64 {
	if s.lost > 0 {
		return s.lostTerm
	}
	return committedTerm(s.last)
}

// holds reports that the log contains position(i), or begins after it.
func (s *crashState) holds(i uint64) bool { return i >= s.base && i <= s.known() }

// newest is the index of the newest snapshot, 0 for none.
func (s *crashState) newest() uint64 {
	if len(s.snaps) == 0 {
		return 0
	}
	return s.snaps[len(s.snaps)-1]
}

func (s *crashState) addSnapshot(i uint64) {
	s.snaps = append(s.snaps, i)
	slices.Sort(s.snaps)
}

// settle sets the only mark that the data may have.
func (s *crashState) settle(i uint64) { s.live, s.marks = i, []uint64{i} }

// applied adds a mark that may or may not be durable.
func (s *crashState) applied(i uint64) {
	s.live = i
	s.marks = append(s.marks, i)
}

// lift makes index i the lowest mark: a snapshot of i becomes the data of a
// node that opens with less.
func (s *crashState) lift(i uint64) {
	for n := range s.marks {
		s.marks[n] = max(s.marks[n], i)
	}
	s.marks = slices.Compact(s.marks)
}
