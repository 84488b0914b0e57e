package hashiraft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// stablePrefix keeps raft's keys apart from the storage's own. Frozen.
const stablePrefix = "hashiraft/stable/"

// TermKey is the stable key of the log under which raft keeps the current term,
// in eight bytes, big endian. Frozen.
const TermKey = stablePrefix + "CurrentTerm"

// Set stores a value beside the log. It is durable on return, whatever the log's
// sync policy. Keys are at most 238 bytes long, values 32 KiB.
func (s *LogStore) Set(key, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	batch := raftlog.Batch{Stable: []raftlog.StableKV{{Key: stablePrefix + string(key), Value: value}}}
	if err := s.log.Write(batch); err != nil {
		return fmt.Errorf("set %q: %w", key, err)
	}
	return nil
}

// Get returns a copy of a value, empty and without an error if there is none:
// that is what raft's interface asks for.
func (s *LogStore) Get(key []byte) ([]byte, error) {
	value, err := s.log.Stable(stablePrefix + string(key))
	if errors.Is(err, fault.ErrNotFound) {
		return []byte{}, nil
	}
	return value, err
}

// SetUint64 stores a number as Set does.
func (s *LogStore) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 returns a number, 0 and no error if there is none.
func (s *LogStore) GetUint64(key []byte) (uint64, error) {
	return s.number(stablePrefix + string(key))
}

// number reads a stable key of the log, 0 if it is not there.
func (s *LogStore) number(key string) (uint64, error) {
	value, err := s.log.Stable(key)
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
