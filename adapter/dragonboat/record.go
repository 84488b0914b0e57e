package dragonboat

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// A record is a message of dragonboat under a stable key. One that is longer
// than a stable value goes on under further keys, KEY/1, KEY/2 and so on. All of
// them are written in one batch.
//
// Frozen: part of format v1. Of the value of the first key:
//
//	0       version, 1
//	1..4    length of the message, big endian
//	5 ...   the message, or how it begins
const recordHead = 1 + 4

// maxRecord bounds what one call makes durable, in bytes.
const maxRecord = 64 << 20

// pieces is how many keys a record of n bytes takes.
func pieces(n int) int { return (recordHead + n + raftlog.MaxStableValue - 1) / raftlog.MaxStableValue }

func pieceKey(key string, i int) string {
	if i == 0 {
		return key
	}
	return fmt.Sprintf("%s/%d", key, i)
}

// marshaler is a message of raftpb.
type marshaler interface {
	Size() int
	MarshalTo([]byte) (int, error)
}

// putRecord adds to a batch what makes m the record of key, in the place of the
// one that is there.
func (l *LogDB) putRecord(b *raftlog.Batch, g raftlog.Group, key string, m marshaler) error {
	size := m.Size()
	if size > maxRecord {
		return fmt.Errorf("%s of %d bytes, at most %d: %w", key, size, maxRecord, fault.ErrInvalid)
	}
	value := make([]byte, recordHead+size)
	value[0] = formatVersion
	n, err := m.MarshalTo(value[recordHead:])
	if err != nil {
		return fmt.Errorf("encode %s: %w: %w", key, err, fault.ErrInvalid)
	}
	value = value[:recordHead+n]
	binary.BigEndian.PutUint32(value[1:], uint32(n))
	was, err := l.recordPieces(g, key)
	if err != nil {
		return err
	}
	i := 0
	for ; len(value) > 0; i++ {
		n := min(len(value), raftlog.MaxStableValue)
		b.Stable = append(b.Stable, raftlog.StableKV{Key: pieceKey(key, i), Value: value[:n]})
		value = value[n:]
	}
	for ; i < was; i++ {
		b.Stable = append(b.Stable, raftlog.StableKV{Key: pieceKey(key, i)})
	}
	return nil
}

// recordPieces is how many keys the record takes that is there, 0 for none.
func (l *LogDB) recordPieces(g raftlog.Group, key string) (int, error) {
	_, n, err := l.recordBegin(g, key)
	if errors.Is(err, fault.ErrNotFound) {
		return 0, nil
	}
	return pieces(n), err
}

// recordBegin reads the first piece of a record: how the message begins, and how
// long it is.
func (l *LogDB) recordBegin(g raftlog.Group, key string) (begin []byte, n int, err error) {
	b, err := l.d.Stable(g, key)
	switch {
	case err != nil:
		return nil, 0, err
	case len(b) > 0 && b[0] > formatVersion:
		return nil, 0, newer(key, b[0])
	case len(b) < recordHead || b[0] != formatVersion:
		return nil, 0, damaged(key, "%d bytes are no record", len(b))
	}
	size := binary.BigEndian.Uint32(b[1:])
	if size > maxRecord || len(b)-recordHead > int(size) {
		return nil, 0, damaged(key, "%d bytes of a record of %d", len(b)-recordHead, size)
	}
	return b[recordHead:], int(size), nil
}

// getRecord reads a record into m. If there is none it is fault.ErrNotFound.
func (l *LogDB) getRecord(g raftlog.Group, key string, m interface{ Unmarshal([]byte) error }) error {
	b, n, err := l.recordBegin(g, key)
	if err != nil {
		return err
	}
	for i := 1; i < pieces(n); i++ {
		more, err := l.d.Stable(g, pieceKey(key, i))
		if err != nil {
			return damaged(key, "piece %d of %d: %v", i, pieces(n), err)
		}
		b = append(b, more...)
	}
	if len(b) != n {
		return damaged(key, "%d bytes of a record of %d", len(b), n)
	}
	if err := m.Unmarshal(b); err != nil {
		return damaged(key, "%v", err)
	}
	return nil
}
