package trimaran

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Stable keys of the log, and the record under intentKey. Frozen: part of
// format v1; docs/format/recovery.md draws the bytes.
const (
	intentKey  = "trimaran/intent"
	openingKey = "trimaran/opening"

	intentVersion = 1
	intentRestore = 1
	intentSize    = 2 + 4*8 + 4
)

// intent says that the data is being replaced by the state at to, and that the
// log, which does not hold to, has to continue after it.
type intent struct {
	from, to raftlog.Position // marks before and after
}

func (i intent) encode() []byte {
	b := []byte{intentVersion, intentRestore}
	for _, n := range []uint64{i.from.Index, i.from.Term, i.to.Index, i.to.Term} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return binary.BigEndian.AppendUint32(b, intentSum(b))
}

func parseIntent(b []byte) (i intent, err error) {
	switch {
	case len(b) > 0 && b[0] > intentVersion:
		return i, fmt.Errorf("intent of format version %d, this build knows %d: %w", b[0], intentVersion, fault.ErrUnsupported)
	case len(b) != intentSize || b[0] != intentVersion || b[1] != intentRestore ||
		binary.BigEndian.Uint32(b[intentSize-4:]) != intentSum(b[:intentSize-4]):
		return i, &fault.Corruption{Offset: -1, Class: fault.Committed, Reason: fmt.Sprintf("stable key %s: %d bytes that do not verify", intentKey, len(b))}
	}
	word := func(n int) uint64 { return binary.BigEndian.Uint64(b[2+8*n:]) }
	i.from = raftlog.Position{Index: word(0), Term: word(1)}
	i.to = raftlog.Position{Index: word(2), Term: word(3)}
	return i, nil
}

func intentSum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// declare makes an intent durable, in the place of one that was left behind.
func (s *Storage) declare(i intent) error {
	if err := s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: intentKey, Value: i.encode()}}}); err != nil {
		return fmt.Errorf("declare intent: %w", err)
	}
	return nil
}

// declared returns the intent that no step has cleared, nil if there is none.
func (s *Storage) declared() (*intent, error) {
	b, err := s.log.Stable(intentKey)
	if errors.Is(err, fault.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i, err := parseIntent(b)
	if err != nil {
		return nil, err
	}
	return &i, nil
}

// retract clears the intent.
func (s *Storage) retract() error {
	if err := s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: intentKey}}}); err != nil {
		return fmt.Errorf("clear intent: %w", err)
	}
	return nil
}
