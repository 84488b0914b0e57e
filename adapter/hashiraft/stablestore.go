package hashiraft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// stablePrefix keeps raft's keys apart from the storage's own. Frozen.
const stablePrefix = "hashiraft/stable/"

// TermKey is the stable key of the log under which raft keeps the current term,
// in eight bytes, big endian. Frozen.
const TermKey = stablePrefix + "CurrentTerm"

// StableStore keeps terms and votes beside the log. What is set is durable on
// return, whatever the log's sync policy.
type StableStore struct{ a *Adapter }

var _ raft.StableStore = (*StableStore)(nil)

// Set stores a value. Keys are at most 238 bytes long, values 32 KiB.
func (s *StableStore) Set(key, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	batch := raftlog.Batch{Stable: []raftlog.StableKV{{Key: stablePrefix + string(key), Value: value}}}
	if err := s.a.s.Log().Write(batch); err != nil {
		return fmt.Errorf("set %q: %w", key, err)
	}
	return nil
}

// Get returns a copy of a value, empty and without an error if there is none:
// that is what raft's interface asks for.
func (s *StableStore) Get(key []byte) ([]byte, error) {
	value, err := s.a.s.Log().Stable(stablePrefix + string(key))
	if errors.Is(err, fault.ErrNotFound) {
		return []byte{}, nil
	}
	return value, err
}

// SetUint64 stores a number as Set does.
func (s *StableStore) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 returns a number, 0 and no error if there is none.
func (s *StableStore) GetUint64(key []byte) (uint64, error) {
	return stableUint64(s.a.s.Log(), stablePrefix+string(key))
}

func stableUint64(log *raftlog.Log, key string) (uint64, error) {
	value, err := log.Stable(key)
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case len(value) != 8:
		return 0, fmt.Errorf("stable key %q: %d bytes are no number: %w", key, len(value), fault.ErrInvalid)
	}
	return binary.BigEndian.Uint64(value), nil
}
