package kv

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// Frozen: part of format v1. The first byte of every key in the engine.
const (
	spaceMeta     = 0x00 // one key per fact about the store
	spaceRow      = 0x01 // user key -> row
	spaceDeadline = 0x02 // deadline, user key -> nothing
	spaceIndex    = 0x03 // index name -> definition
	spaceEntry    = 0x04 // index id, escaped value, user key -> nothing
)

// Frozen: part of format v1. Keys in spaceMeta and the version in the first.
const (
	keyFormat     = "\x00format"
	keyMark       = "\x00mark"
	keyMembership = "\x00membership"
	keyIdentity   = "\x00identity"

	formatVersion = 1
)

// Frozen: part of format v1. The first byte of a row: the version in the high
// half, flags in the low one.
const (
	rowPlain    = 0x10
	rowDeadline = 0x11

	rowHeader         = 1
	rowDeadlineHeader = 1 + 8
)

// row is a stored value and when it ends, 0 for never.
type row struct {
	deadline uint64
	value    []byte // lent by the engine
}

// alive reports whether a reader whose clock stands at now sees the row.
func (r row) alive(now uint64) bool { return r.deadline == 0 || r.deadline > now }

func appendRow(b []byte, r row) []byte {
	if r.deadline == 0 {
		b = append(b, rowPlain)
	} else {
		b = append(b, rowDeadline)
		b = binary.BigEndian.AppendUint64(b, r.deadline)
	}
	return append(b, r.value...)
}

// parseRow reads what appendRow wrote. The value aliases b and is never nil.
func parseRow(b []byte) (row, error) {
	switch {
	case len(b) >= rowHeader && b[0] == rowPlain:
		return row{value: b[rowHeader:]}, nil
	case len(b) >= rowDeadlineHeader && b[0] == rowDeadline:
		r := row{deadline: binary.BigEndian.Uint64(b[1:]), value: b[rowDeadlineHeader:]}
		if r.deadline != 0 && r.deadline <= math.MaxInt64 {
			return r, nil
		}
		return row{}, damaged("row whose deadline is %d", r.deadline)
	case len(b) == 0:
		return row{}, damaged("row without a header")
	default:
		return row{}, damaged("row of %d bytes that begins with %#02x", len(b), b[0])
	}
}

func rowKey(key []byte) []byte { return spaceKey(spaceRow, key) }

func spaceKey(space byte, key []byte) []byte {
	b := make([]byte, 0, 1+len(key))
	return append(append(b, space), key...)
}

// rowRange is where the engine keeps the rows of r.
func rowRange(r Range) Range {
	hi := []byte{spaceRow + 1}
	if len(r.Hi) > 0 {
		hi = rowKey(r.Hi)
	}
	return Range{Lo: rowKey(r.Lo), Hi: hi, Reverse: r.Reverse}
}

// deadlineKey orders the queue by deadline, then by key.
func deadlineKey(deadline uint64, key []byte) []byte {
	b := make([]byte, 0, 1+8+len(key))
	b = binary.BigEndian.AppendUint64(append(b, spaceDeadline), deadline)
	return append(b, key...)
}

func parseDeadlineKey(b []byte) (deadline uint64, key []byte, err error) {
	if len(b) <= 9 || b[0] != spaceDeadline {
		return 0, nil, damaged("deadline entry with a key of %d bytes", len(b))
	}
	return binary.BigEndian.Uint64(b[1:]), b[9:], nil
}

// damaged is what an engine returned although we never wrote it.
func damaged(format string, args ...any) error {
	return &fault.Corruption{Offset: -1, Class: fault.Committed, Reason: fmt.Sprintf(format, args...)}
}

// nanos is t on the store's clock: nanoseconds since 1970, and 0 for the zero
// time. It refuses what does not fit.
func nanos(t time.Time) (uint64, error) {
	if t.IsZero() {
		return 0, nil
	}
	if sec := t.Unix(); sec < 0 || sec >= math.MaxInt64/int64(time.Second) || t.UnixNano() <= 0 {
		return 0, fmt.Errorf("time %v is not between 1970 and 2262: %w", t, fault.ErrInvalid)
	}
	return uint64(t.UnixNano()), nil
}

// instant is the inverse of nanos.
func instant(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
