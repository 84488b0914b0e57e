package snapshot

import (
	"cmp"
	"strings"
)

// ID names one snapshot in one store. It is minted by the store, never by the
// caller; Suffix is random, so that two snapshots of the same state, or two
// attempts at one, never share a name. The state itself is identified by term
// and index. IDs are comparable; the zero ID names nothing.
type ID struct{ Term, Index, Suffix uint64 }

// Frozen: part of format v1.
const (
	idSize       = 16 + 1 + 16 + 1 + 16
	objectSuffix = ".snap"
)

// String is term, index and suffix in 16 hexadecimal digits each, joined by
// hyphens, so that names sort by term and index.
func (id ID) String() string {
	var b [idSize]byte
	for i, v := range [...]uint64{id.Term, id.Index, id.Suffix} {
		at := i * 17
		for n := range 16 {
			b[at+n] = "0123456789abcdef"[v>>(60-4*n)&15]
		}
		if at > 0 {
			b[at-1] = '-'
		}
	}
	return string(b[:])
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders by term, index and suffix.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Term, other.Term), cmp.Compare(id.Index, other.Index),
		cmp.Compare(id.Suffix, other.Suffix))
}

// ParseID reads what String wrote and nothing else: 50 characters, lower-case
// digits. It is the only way from text to an ID, so a name that came from
// outside can never be a path. The error is fault.ErrInvalid and quotes no
// more than the start of s.
func ParseID(s string) (ID, error) {
	if len(s) != idSize || s[16] != '-' || s[33] != '-' {
		return ID{}, badID(s)
	}
	term, ok1 := parseHex(s[:16])
	index, ok2 := parseHex(s[17:33])
	suffix, ok3 := parseHex(s[34:])
	if !ok1 || !ok2 || !ok3 {
		return ID{}, badID(s)
	}
	return ID{Term: term, Index: index, Suffix: suffix}, nil
}

func badID(s string) error {
	if len(s) > idSize {
		return invalid("parse snapshot id %q and %d bytes more: want term-index-suffix", s[:idSize], len(s)-idSize)
	}
	return invalid("parse snapshot id %q: want term-index-suffix", s)
}

func parseHex(s string) (v uint64, ok bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// MarshalText is String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseID.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// object is the name of the container in the bucket.
func (id ID) object() string { return id.String() + objectSuffix }

// parseObject reports whether name is that of a container, and whose.
func parseObject(name string) (ID, bool) {
	s, ok := strings.CutSuffix(name, objectSuffix)
	if !ok {
		return ID{}, false
	}
	id, err := ParseID(s)
	return id, err == nil
}
