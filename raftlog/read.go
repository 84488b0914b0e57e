package raftlog

import (
	"fmt"
	"iter"

	"github.com/trimarandb/trimaran/fault"
)

// Entry returns one entry, in memory of its own. An entry at or below the base
// is fault.ErrCompacted, one after the last fault.ErrNotFound, a damaged one
// *fault.Corruption; none of them is ever reported as another.
func (l *Log) Entry(index uint64) (Entry, error) {
	if index > MaxIndex {
		return Entry{}, fmt.Errorf("read %d: no log reaches it: %w", index, fault.ErrNotFound)
	}
	entries, err := l.ReadRange(nil, index, index+1, 0)
	if err != nil {
		return Entry{}, err
	}
	return entries[0], nil
}

// chunk is how much Entries reads ahead, in bytes.
const chunk = 1 << 20

// Entries yields the entries of [lo, hi) in order, each lent until the next
// step (Entry.Clone keeps one). The range is checked before the first entry is
// handed out; the sequence ends after the first error. Damage is reported
// after the intact entries before it. Entries compacted away while the loop
// runs end it with fault.ErrCompacted.
func (l *Log) Entries(lo, hi uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var buf []Entry
		var err error
		if err := l.checkRange(lo, hi); err != nil {
			yield(Entry{}, err)
			return
		}
		for at := lo; at < hi; {
			buf, err = l.ReadRange(buf, at, hi, chunk)
			for _, e := range buf {
				if !yield(e, nil) {
					return
				}
				at++
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
		}
	}
}

func (l *Log) checkRange(lo, hi uint64) error {
	b, err := l.Bounds()
	if err != nil {
		return err
	}
	s := Shape{base: b.Base, last: b.Last}
	return s.CheckRange(lo, hi)
}

// ReadRange returns the entries of [lo, hi) from the first on, as many as have
// maxBytes of Data and Ext together, and at least one. All of the range must
// be there: fault.ErrCompacted or fault.ErrNotFound otherwise. On damage it
// returns the intact entries before it together with a *fault.Corruption.
//
// The entries replace dst, whose memory is reused up to its capacity: the
// slice itself, and the payloads that an earlier ReadRange put there. Pass nil
// for fresh memory, the last result to read on without allocating.
func (l *Log) ReadRange(dst []Entry, lo, hi, maxBytes uint64) ([]Entry, error) {
	if err := l.enter("read"); err != nil {
		return nil, err
	}
	defer l.gate.Leave()
	entries, err := l.d.Read(dst, l.g, lo, hi, maxBytes)
	if err == nil && len(entries) == 0 && lo < hi {
		return nil, fmt.Errorf("read [%d, %d): driver %T returned nothing and no error: it breaks its contract", lo, hi, l.d)
	}
	return entries, err
}

// Term returns the term of an entry, or of the base. Below the base it is
// fault.ErrCompacted, after the last entry fault.ErrNotFound. A base whose term
// Reset was not told has term 0.
func (l *Log) Term(index uint64) (uint64, error) {
	if err := l.enter("term"); err != nil {
		return 0, err
	}
	defer l.gate.Leave()
	return l.d.Term(l.g, index)
}

// FirstIndex returns the index of the oldest entry that is there, or would be.
func (l *Log) FirstIndex() (uint64, error) {
	b, err := l.Bounds()
	return b.First(), err
}

// LastIndex returns the index of the newest entry, and the base's in an empty
// log.
func (l *Log) LastIndex() (uint64, error) {
	b, err := l.Bounds()
	return b.Last, err
}

// Bounds returns base and last of what is acknowledged, as of one moment.
func (l *Log) Bounds() (Bounds, error) {
	if err := l.enter("bounds"); err != nil {
		return Bounds{}, err
	}
	defer l.gate.Leave()
	return l.d.Bounds(l.g)
}
