// Package ident is the identity that all parts of one node carry: which node
// the part belongs to, and how often that node was opened.
package ident

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
)

// Identity ties the parts of one node together. The zero value means that
// none was set.
type Identity struct {
	Node  [16]byte // random, the same in every part of one node
	Epoch uint64   // raised in every part at each open
}

// Size is the number of bytes that AppendBinary adds. Frozen: part of every
// format v1.
const Size = 28

// ErrFormat reports bytes that are no identity.
var ErrFormat = errors.New("not an identity")

// IsZero reports whether no identity was set.
func (id Identity) IsZero() bool { return id == Identity{} }

// String is "0123...cdef@7": the node in hexadecimal and the epoch.
func (id Identity) String() string {
	return fmt.Sprintf("%s@%d", hex.EncodeToString(id.Node[:]), id.Epoch)
}

// Parse reads what String wrote.
func Parse(s string) (Identity, error) {
	var id Identity
	var node []byte
	if n, err := fmt.Sscanf(s, "%32x@%d", &node, &id.Epoch); err != nil || n != 2 || len(node) != len(id.Node) {
		return Identity{}, fmt.Errorf("parse %q: %w", s, ErrFormat)
	}
	copy(id.Node[:], node)
	if id.String() != s {
		return Identity{}, fmt.Errorf("parse %q: %w", s, ErrFormat)
	}
	return id, nil
}

// AppendBinary appends node, epoch and a checksum of both. It never fails.
func (id Identity) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, id.Node[:]...)
	b = binary.BigEndian.AppendUint64(b, id.Epoch)
	return binary.BigEndian.AppendUint32(b, sum(b[start:])), nil
}

// UnmarshalBinary reads what AppendBinary appended, and nothing more.
func (id *Identity) UnmarshalBinary(b []byte) error {
	if len(b) != Size {
		return fmt.Errorf("%d bytes, want %d: %w", len(b), Size, ErrFormat)
	}
	if binary.BigEndian.Uint32(b[24:]) != sum(b[:24]) {
		return fmt.Errorf("checksum mismatch: %w", ErrFormat)
	}
	copy(id.Node[:], b)
	id.Epoch = binary.BigEndian.Uint64(b[16:])
	return nil
}

func sum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
