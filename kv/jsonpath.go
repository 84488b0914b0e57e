package kv

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/trimarandb/trimaran/fault"
)

// JSONType is the type of the values in an index over JSON documents. A value
// of another type is not in the index.
type JSONType uint8

const (
	// JSONString orders by the bytes of the decoded string.
	JSONString JSONType = iota
	// JSONNumber orders numerically, as float64; query with [NumberKey].
	JSONNumber
	// JSONBool is one byte, 0 or 1.
	JSONBool
)

func (t JSONType) String() string {
	switch t {
	case JSONString:
		return "string"
	case JSONNumber:
		return "number"
	case JSONBool:
		return "bool"
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// NumberKey is the index value of a number under [JSONNumber]: eight bytes
// whose order is that of the numbers. Both zeros are one.
func NumberKey(f float64) []byte {
	if f == 0 {
		f = 0
	}
	n := math.Float64bits(f)
	if n>>63 == 0 {
		n |= 1 << 63
	} else {
		n = ^n
	}
	return binary.BigEndian.AppendUint64(nil, n)
}

// step is a field name, or an element of an array when name is empty.
type step struct {
	name string
	i    int
}

// path leads to one value inside a JSON document.
type path []step

// String writes the path as parsePath reads it.
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.name == "":
			b.WriteString("[" + strconv.Itoa(s.i) + "]")
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// parsePath reads names separated by dots, each followed by any number of
// [n]. A path may begin with [n]. There is one spelling for a path.
func parsePath(s string) (path, error) {
	var p path
	for rest := s; rest != ""; {
		if len(p) == maxPathSteps {
			return nil, pathError(s, fmt.Sprintf("more than %d steps", maxPathSteps))
		}
		if rest[0] == '[' {
			digits, after, ok := strings.Cut(rest[1:], "]")
			n, err := strconv.Atoi(digits)
			if !ok || err != nil || n < 0 || strconv.Itoa(n) != digits {
				return nil, pathError(s, "want a number in brackets")
			}
			p, rest = append(p, step{i: n}), after
			continue
		}
		if len(p) > 0 {
			if rest[0] != '.' {
				return nil, pathError(s, "want a dot before a name")
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if name := rest[:end]; name == "" || strings.ContainsAny(name, "]\"") {
			return nil, pathError(s, "want a name")
		}
		p, rest = append(p, step{name: rest[:end]}), rest[end:]
	}
	if len(p) == 0 || !utf8.ValidString(s) {
		return nil, pathError(s, "want names and [n], in UTF-8")
	}
	return p, nil
}

func pathError(s, reason string) error {
	return fmt.Errorf("parse JSON path %q: %s: %w", s, reason, fault.ErrInvalid)
}

// extract returns the value at the path, or false if the document is not JSON
// or has no such value of that type. Of a field that comes twice the last
// counts.
func (p path) extract(doc []byte, t JSONType) ([]byte, bool) {
	at := json.RawMessage(doc)
	for _, s := range p {
		if s.name == "" {
			var list []json.RawMessage
			if json.Unmarshal(at, &list) != nil || s.i >= len(list) {
				return nil, false
			}
			at = list[s.i]
			continue
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(at, &fields) != nil {
			return nil, false
		}
		var ok bool
		if at, ok = fields[s.name]; !ok {
			return nil, false
		}
	}
	return scalar(at, t)
}

func scalar(raw json.RawMessage, t JSONType) ([]byte, bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil, false
	}
	switch v := v.(type) {
	case string:
		return []byte(v), t == JSONString
	case float64:
		return NumberKey(v), t == JSONNumber
	case bool:
		if v {
			return []byte{1}, t == JSONBool
		}
		return []byte{0}, t == JSONBool
	}
	return nil, false
}
