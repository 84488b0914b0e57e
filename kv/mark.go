package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// Mark says what a state contains: the last log entry applied, the membership
// as of an entry at or below it, and the clock. The zero Mark is that of a
// store to which nothing was applied.
type Mark struct {
	Index, Term     uint64
	Membership      []byte // opaque; nil when empty
	MembershipIndex uint64
	Clock           time.Time // UTC; zero until the first Advance
}

// mark is a Mark in the form in which it is stored.
type mark struct {
	index, term     uint64
	membership      []byte
	membershipIndex uint64
	clock           uint64
}

func (m mark) public() Mark {
	return Mark{
		Index: m.index, Term: m.term,
		Membership: bytes.Clone(m.membership), MembershipIndex: m.membershipIndex,
		Clock: instant(m.clock),
	}
}

// private checks a caller's mark and takes a copy of it.
func (m Mark) private() (mark, error) {
	clock, err := nanos(m.Clock)
	switch {
	case err != nil:
		return mark{}, err
	case len(m.Membership) > maxMembership:
		return mark{}, fmt.Errorf("membership of %d bytes, at most %d: %w", len(m.Membership), maxMembership, fault.ErrInvalid)
	case m.MembershipIndex > m.Index:
		return mark{}, fmt.Errorf("membership of index %d in a mark at %d: %w", m.MembershipIndex, m.Index, fault.ErrInvalid)
	}
	out := mark{index: m.Index, term: m.Term, membershipIndex: m.MembershipIndex, clock: clock}
	if len(m.Membership) > 0 {
		out.membership = slices.Clone(m.Membership)
	}
	return out, nil
}

// Frozen: part of format v1. Sizes of the two records, without the membership.
const (
	markSize       = 1 + 8 + 8 + 8 + 4
	membershipSize = 1 + 8 + 4
)

// appendMark writes version, index, term and clock, and a checksum of them.
func appendMark(b []byte, m mark) []byte {
	start := len(b)
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, m.index)
	b = binary.BigEndian.AppendUint64(b, m.term)
	b = binary.BigEndian.AppendUint64(b, m.clock)
	return binary.BigEndian.AppendUint32(b, frame.Sum(0, b[start:]))
}

// parseMark reads what appendMark wrote into m.
func parseMark(b []byte, m *mark) error {
	if len(b) != markSize || b[0] != formatVersion || frame.Sum(0, b[:markSize-4]) != binary.BigEndian.Uint32(b[markSize-4:]) {
		return damaged("mark of %d bytes does not verify", len(b))
	}
	d := decoder{b: b[1:]}
	m.index, m.term, m.clock = d.u64(), d.u64(), d.u64()
	if m.clock > math.MaxInt64 {
		return damaged("mark whose clock is %d", m.clock)
	}
	return nil
}

// appendMembership writes version, index, bytes and a checksum of them.
func appendMembership(b []byte, m mark) []byte {
	start := len(b)
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, m.membershipIndex)
	b = append(b, m.membership...)
	return binary.BigEndian.AppendUint32(b, frame.Sum(0, b[start:]))
}

// parseMembership reads what appendMembership wrote into m, as a copy.
func parseMembership(b []byte, m *mark) error {
	n := len(b) - 4
	if len(b) < membershipSize || b[0] != formatVersion || frame.Sum(0, b[:n]) != binary.BigEndian.Uint32(b[n:]) {
		return damaged("membership of %d bytes does not verify", len(b))
	}
	m.membershipIndex = binary.BigEndian.Uint64(b[1:])
	m.membership = nil
	if n > 9 {
		m.membership = bytes.Clone(b[9:n])
	}
	return nil
}

// readMark reads both records; a store without them has the zero mark.
func readMark(d DriverTx) (mark, error) {
	var m mark
	for _, part := range []struct {
		key   string
		parse func([]byte, *mark) error
	}{{keyMark, parseMark}, {keyMembership, parseMembership}} {
		b, err := d.Get([]byte(part.key))
		if errors.Is(err, fault.ErrNotFound) {
			continue
		}
		if err != nil {
			return mark{}, err
		}
		if err := part.parse(b, &m); err != nil {
			return mark{}, err
		}
	}
	if m.membershipIndex > m.index {
		return mark{}, damaged("membership of index %d beside a mark at %d", m.membershipIndex, m.index)
	}
	return m, nil
}

// writeMark writes the records that differ from those of was.
func writeMark(put func(key, value []byte) error, m, was mark) error {
	if m.index != was.index || m.term != was.term || m.clock != was.clock {
		if err := put([]byte(keyMark), appendMark(nil, m)); err != nil {
			return err
		}
	}
	if m.membershipIndex != was.membershipIndex || !bytes.Equal(m.membership, was.membership) {
		return put([]byte(keyMembership), appendMembership(nil, m))
	}
	return nil
}
