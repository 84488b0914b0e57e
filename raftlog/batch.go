package raftlog

import (
	"fmt"
	"math"

	"github.com/trimarandb/trimaran/fault"
)

// Limits that no option raises. A driver may rely on them.
const (
	MaxIndex       = math.MaxUint64 - 1 // the index after it would not exist
	MaxStableKey   = 255                // bytes
	MaxStableValue = 32 << 10           // bytes
	MaxBatchBytes  = 1 << 30            // payload of one batch
)

// DefaultMaxEntrySize bounds Data plus Ext of one entry, in bytes.
const DefaultMaxEntrySize = 64 << 20

// Batch is one atomic write, applied in the order of its fields: after a crash
// all of it is there or none. The zero Batch changes nothing.
type Batch struct {
	Reset        *Position  // empty the log; it continues at Reset.Index+1. Stable keys stay
	TruncateFrom uint64     // drop this index and what follows; beyond the last it does nothing
	Entries      []Entry    // contiguous; the first follows the last after the two above
	Stable       []StableKV // term, vote, commit, intents: durable whatever the sync policy
	CompactTo    uint64     // drop this index and what precedes; at or below the base it does nothing
}

// StableKV is a small value that must never be forgotten. A nil Value deletes
// the key.
type StableKV struct {
	Key   string
	Value []byte
}

// GroupBatch is a batch for one of several groups.
type GroupBatch struct {
	Group Group
	Batch Batch
}

// IsZero reports that b changes nothing.
func (b *Batch) IsZero() bool {
	return b.Reset == nil && b.TruncateFrom == 0 && len(b.Entries) == 0 && len(b.Stable) == 0 && b.CompactTo == 0
}

// Size estimates the memory that b occupies, in bytes.
func (b *Batch) Size() int64 {
	const perEntry, perKey = 64, 32
	n := int64(0)
	for i := range b.Entries {
		n += perEntry + int64(b.Entries[i].PayloadSize())
	}
	for _, kv := range b.Stable {
		n += perKey + int64(len(kv.Key)+len(kv.Value))
	}
	return n
}

// Validate checks all that can be said of b without its log: sizes, and that
// the entries follow one another. maxEntry 0 means DefaultMaxEntrySize. What
// it refuses is fault.ErrInvalid.
func (b *Batch) Validate(maxEntry int) error {
	if maxEntry == 0 {
		maxEntry = DefaultMaxEntrySize
	}
	if r := b.Reset; r != nil && (r.Index > MaxIndex || r.Index == 0 && r.Term != 0) {
		return fmt.Errorf("reset to %v: no entry can be there: %w", *r, fault.ErrInvalid)
	}
	total := 0
	for i := range b.Entries {
		if err := b.validateEntry(i, maxEntry); err != nil {
			return err
		}
		if total += b.Entries[i].PayloadSize(); total > MaxBatchBytes {
			return fmt.Errorf("batch from index %d: over %d bytes of payload, split it: %w", b.Entries[0].Index, MaxBatchBytes, fault.ErrInvalid)
		}
	}
	for _, kv := range b.Stable {
		if len(kv.Key) == 0 || len(kv.Key) > MaxStableKey {
			return fmt.Errorf("stable key of %d bytes, want 1 to %d: %w", len(kv.Key), MaxStableKey, fault.ErrInvalid)
		}
		if len(kv.Value) > MaxStableValue {
			return fmt.Errorf("stable key %q: value of %d bytes, at most %d: %w", kv.Key, len(kv.Value), MaxStableValue, fault.ErrInvalid)
		}
	}
	return nil
}

func (b *Batch) validateEntry(i, maxEntry int) error {
	e := &b.Entries[i]
	switch {
	case e.Index == 0 || e.Index > MaxIndex:
		return fmt.Errorf("entry with index %d: indexes are 1 to %d: %w", e.Index, uint64(MaxIndex), fault.ErrInvalid)
	case e.Term == 0:
		return fmt.Errorf("entry %d: term 0, terms start at 1: %w", e.Index, fault.ErrInvalid)
	case i > 0 && e.Index != b.Entries[i-1].Index+1:
		return fmt.Errorf("entry %d follows entry %d in one batch: %w", e.Index, b.Entries[i-1].Index, fault.ErrInvalid)
	case i > 0 && e.Term < b.Entries[i-1].Term:
		return fmt.Errorf("entry %d: term falls from %d to %d: %w", e.Index, b.Entries[i-1].Term, e.Term, fault.ErrInvalid)
	case e.PayloadSize() > maxEntry:
		return fmt.Errorf("entry %d: %d bytes, at most %d: %w", e.Index, e.PayloadSize(), maxEntry, fault.ErrInvalid)
	}
	return nil
}
