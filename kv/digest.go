package kv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Sum is a SHA-256 sum.
type Sum [sha256.Size]byte

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText is String.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Sum) UnmarshalText(b []byte) error {
	if n, err := hex.Decode(s[:], b); err != nil || n != len(s) || len(b) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("parse sum of %d characters: %w", len(b), fault.ErrInvalid)
	}
	return nil
}

// Digest is a tree of sums over the rows of a state and their deadlines. Two
// states with the same rows and indexes have the same Root; where they differ,
// [Digest.FirstDifference] finds a range that holds the first difference. It
// can be kept or sent as JSON.
type Digest struct {
	Root   Sum // of rows and index definitions
	Rows   uint64
	Bytes  uint64 // keys and values
	Mark   Mark   // of the state; not part of Root
	Levels []DigestLevel
}

// DigestLevel divides all keys into ranges: the more rows, the higher the
// lowest level that a digest keeps.
type DigestLevel struct {
	Level  int
	Ranges []DigestRange
}

// DigestRange is the sum of the rows from Lo up to the Lo of the next range.
type DigestRange struct {
	Lo   []byte // nil in the first range
	Rows uint64
	Sum  Sum
}

// String is the root, enough to compare two replicas at equal marks by eye.
func (d Digest) String() string { return d.Root.String() }

// FirstDifference returns the first range in which d and other do not have the
// same rows, false if all rows are the same. To look closer, compare the
// digests of that range.
func (d Digest) FirstDifference(other Digest) (Range, bool) {
	a, b, ok := commonLevel(d.Levels, other.Levels)
	if !ok {
		return Range{}, d.Root != other.Root
	}
	i := 0
	for i < len(a) && i < len(b) && bytes.Equal(a[i].Lo, b[i].Lo) && a[i].Rows == b[i].Rows && a[i].Sum == b[i].Sum {
		i++
	}
	if i == len(a) && i == len(b) {
		return Range{}, false
	}
	a, b = a[i:], b[i:]
	var r Range
	switch {
	case len(a) == 0:
		return Range{Lo: b[0].Lo}, true
	case len(b) == 0:
		return Range{Lo: a[0].Lo}, true
	case bytes.Compare(a[0].Lo, b[0].Lo) <= 0:
		r.Lo = a[0].Lo
	default:
		r.Lo = b[0].Lo
	}
	r.Hi = nextCommon(a, b, r.Lo)
	return r, true
}

func commonLevel(a, b []DigestLevel) (x, y []DigestRange, ok bool) {
	for _, p := range a {
		for _, q := range b {
			if p.Level == q.Level {
				return p.Ranges, q.Ranges, true
			}
		}
	}
	return nil, nil, false
}

// nextCommon is the least boundary above lo that both have, nil if none.
func nextCommon(a, b []DigestRange, lo []byte) []byte {
	for len(a) > 0 && len(b) > 0 {
		switch c := bytes.Compare(a[0].Lo, b[0].Lo); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		case bytes.Compare(a[0].Lo, lo) > 0:
			return a[0].Lo
		default:
			a, b = a[1:], b[1:]
		}
	}
	return nil
}

// Digest computes the digest of the rows of r in one snapshot, by walking
// them. An empty Range is the whole state, with the root that an export of it
// carries.
func (s *Store) Digest(ctx context.Context, r Range) (Digest, error) {
	c, err := s.Capture(ctx)
	if err != nil {
		return Digest{}, err
	}
	defer c.Release()
	return c.Digest(ctx, r)
}
