package kv

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/trimarandb/trimaran/fault"
)

// Every decoder: it never panics, and what it takes encodes to the same bytes.

func FuzzRow(f *testing.F) {
	f.Add(appendRow(nil, row{value: []byte("v")}))
	f.Add(appendRow(nil, row{deadline: 1, value: []byte("v")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRow(b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if again := appendRow(nil, r); !bytes.Equal(again, b) {
			t.Errorf("row %x encodes to %x", b, again)
		}
	})
}

func mustBeCorrupt(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("error = %v, want corrupt", err)
	}
}

func FuzzEntryKey(f *testing.F) {
	f.Add(entryKey(1, []byte("a\x00b"), []byte("key")))
	f.Add(entryKey(0xffffffff, nil, []byte("\x00\xff")))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, value, key, err := parseEntryKey(b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if again := entryKey(id, value, key); !bytes.Equal(again, b) {
			t.Errorf("entry %x encodes to %x", b, again)
		}
	})
}

func FuzzDeadlineKey(f *testing.F) {
	f.Add(deadlineKey(77, []byte("key")))
	f.Fuzz(func(t *testing.T, b []byte) {
		deadline, key, err := parseDeadlineKey(b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if again := deadlineKey(deadline, key); !bytes.Equal(again, b) {
			t.Errorf("deadline entry %x encodes to %x", b, again)
		}
	})
}

func FuzzMark(f *testing.F) {
	f.Add(appendMark(nil, someMark()))
	f.Add(appendMembership(nil, someMark()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m mark
		if err := parseMark(b, &m); err != nil {
			mustBeCorrupt(t, err)
		} else if again := appendMark(nil, m); !bytes.Equal(again, b) {
			t.Errorf("mark %x encodes to %x", b, again)
		}
		if err := parseMembership(b, &m); err != nil {
			mustBeCorrupt(t, err)
		} else if again := appendMembership(nil, m); !bytes.Equal(again, b) {
			t.Errorf("membership %x encodes to %x", b, again)
		}
	})
}

func FuzzDefinition(f *testing.F) {
	for _, x := range someDefinitions() {
		f.Add(storedDefinition(x))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseStoredDefinition(b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if again := storedDefinition(x); !bytes.Equal(again, b) {
			t.Errorf("definition %x encodes to %x", b, again)
		}
	})
}

func FuzzTrailer(f *testing.F) {
	f.Add(trailer{rows: 1, bytes: 2, root: Sum{3}, mark: someMark()}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseTrailer(b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if again := x.appendTo(nil); !bytes.Equal(again, b) {
			t.Errorf("trailer %x encodes to %x", b, again)
		}
	})
}

func FuzzStreamRow(f *testing.F) {
	f.Add(appendStreamRow(nil, []byte("key"), appendRow(nil, row{value: []byte("v")})))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, encoded, rest, err := streamRow(b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if again := append(appendStreamRow(nil, x.key, x.raw), rest...); !bytes.Equal(again, b) || len(encoded)+len(rest) != len(b) {
			t.Errorf("row %x encodes to %x", b, again)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(string(newCursor(bindPage(Range{}), []byte("key"))))
	f.Fuzz(func(t *testing.T, s string) {
		bound, key, err := Cursor(s).parse()
		if err != nil {
			if !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("error = %v, want invalid", err)
			}
		} else if again := newCursor(bound, key); string(again) != s {
			t.Errorf("cursor %q encodes to %q", s, again)
		}
	})
}

func FuzzPath(f *testing.F) {
	f.Add("user.emails[0]", []byte(`{"user":{"emails":["x"]}}`))
	f.Add("[2].a", []byte(`[1,2,{"a":true}]`))
	f.Add("a..b[01", []byte(`{"a":1e400}`))
	f.Fuzz(func(t *testing.T, s string, doc []byte) {
		p, err := parsePath(s)
		if err != nil {
			if !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("error = %v, want invalid", err)
			}
			return
		}
		if p.String() != s {
			t.Errorf("path %q encodes to %q", s, p)
		}
		for _, kind := range []JSONType{JSONString, JSONNumber, JSONBool} {
			if _, ok := p.extract(doc, kind); ok && !json.Valid(doc) {
				t.Errorf("%v found at %q in what is no JSON: %q", kind, s, doc)
			}
		}
	})
}
