package kv

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// Cursor says where a page ended. It is opaque, printable and safe in a URL,
// and good for the range or query it came from only.
type Cursor string

// binding ties a cursor to what it walks.
type binding [8]byte

const (
	cursorVersion = 1
	cursorHeader  = 1 + 8
)

func bindPage(r Range) binding { return bind("page", r) }

func bindQuery(q Query) binding {
	fixed := "range"
	switch {
	case q.Exact != nil:
		fixed = "exact"
	case q.Prefix != nil:
		fixed = "prefix"
	}
	return bind("query", Range{Lo: q.Lo, Hi: q.Hi, Reverse: q.Reverse}, []byte(q.Index), []byte(fixed), q.Exact, q.Prefix)
}

func bind(kind string, r Range, more ...[]byte) binding {
	reverse := []byte{0}
	if r.Reverse {
		reverse[0] = 1
	}
	var b []byte
	for _, field := range slices.Concat([][]byte{[]byte(kind), r.Lo, r.Hi, reverse}, more) {
		b = appendBytes(b, field)
	}
	sum := sha256.Sum256(b)
	return binding(sum[:8])
}

// newCursor says that the walk has passed key, which is never empty.
func newCursor(bound binding, key []byte) Cursor {
	b := append([]byte{cursorVersion}, bound[:]...)
	b = append(b, key...)
	b = binary.BigEndian.AppendUint32(b, frame.Sum(0, b))
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// parse returns what newCursor was given.
func (c Cursor) parse() (bound binding, key []byte, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	n := len(b) - 4
	switch {
	case err != nil:
		return bound, nil, fmt.Errorf("cursor: %w: %w", err, fault.ErrInvalid)
	case strings.ContainsAny(string(c), "\r\n"): // which the decoder skips
		return bound, nil, fmt.Errorf("cursor with a line break: %w", fault.ErrInvalid)
	case n <= cursorHeader || b[0] != cursorVersion || frame.Sum(0, b[:n]) != binary.BigEndian.Uint32(b[n:]):
		return bound, nil, fmt.Errorf("cursor of %d characters is none of ours: %w", len(c), fault.ErrInvalid)
	}
	return binding(b[1:cursorHeader]), b[cursorHeader:n], nil
}

// resume returns what is left of r after the cursor.
func (c Cursor) resume(bound binding, r Range) (Range, error) {
	if c == "" {
		return r, nil
	}
	from, key, err := c.parse()
	if err != nil {
		return r, err
	}
	if from != bound || !r.contains(key) {
		return r, fmt.Errorf("cursor belongs to another range: %w", fault.ErrInvalid)
	}
	return r.after(key), nil
}
