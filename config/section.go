package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Section is a mapping of the file. Each method that takes a key makes it a
// known one and returns its value, or a default where the key is absent or its
// value is a mistake. A section that is absent is an empty one.
type Section struct {
	doc       *Document
	path      string
	line, col int // of its key
	fields    []field
	present   bool
	below     map[string]*Section
	skipped   bool     // nothing in it is looked at any more
	known     []string // keys that somebody asked for
	settled   []string // keys of which nothing more is to be said
	asked     *schema  // what was asked for; nil for the section of a file
}

// Present reports whether the file has this section.
func (s *Section) Present() bool { return s.present }

// Has reports whether the section has that key, and makes it a known one.
func (s *Section) Has(key string) bool { return s.find(key) != nil || s.asked != nil }

// Section returns the section below a key, the same one each time.
func (s *Section) Section(key string) *Section {
	if sub := s.below[key]; sub != nil {
		return sub
	}
	var sub *Section
	if f := s.find(key); s.asked != nil {
		sub = s.doc.question(below(s.path, key))
		s.ask(key, sub.asked)
	} else if f != nil {
		sub = s.doc.section(f.value, below(s.path, key), f.line, f.col)
	} else {
		sub = &Section{doc: s.doc, path: below(s.path, key), line: s.line, col: s.col, skipped: s.skipped}
	}
	if s.below == nil {
		s.below = map[string]*Section{}
	}
	s.below[key] = sub
	return sub
}

// Sections returns the mappings in the list below a key.
func (s *Section) Sections(key string) []*Section {
	if s.asked != nil {
		item := s.doc.question(below(s.path, key))
		s.ask(key, &schema{Type: "array", Items: item.asked})
		return []*Section{item}
	}
	n := s.value(key)
	if n == nil {
		return nil
	}
	if n.kind != kindList {
		s.Fail(key, "want a list of mappings, not %v", n)
		return nil
	}
	var all []*Section
	for i, item := range n.items {
		all = append(all, s.doc.section(item, fmt.Sprintf("%s[%d]", below(s.path, key), i), item.line, item.col))
	}
	return all
}

// Text returns a text. Numbers and the like have to be in quotes to be one.
func (s *Section) Text(key, otherwise string) string {
	s.ask(key, textSchema(otherwise))
	n := s.value(key)
	switch {
	case n == nil:
		return otherwise
	case n.kind == kindNumber || n.kind == kindBool:
		s.Fail(key, "want a text, not %v: put it in quotes", n)
		return otherwise
	case n.kind != kindText:
		s.Fail(key, "want a text, not %v", n)
		return otherwise
	}
	return n.text
}

// Secret returns a text that no message repeats, whatever is wrong with it.
func (s *Section) Secret(key string) string {
	s.ask(key, textSchema(""))
	n := s.value(key)
	if n == nil {
		return ""
	}
	if n.kind != kindText || n.text == "" {
		s.Fail(key, "want a text that is not empty, in quotes")
		return ""
	}
	return n.text
}

// Texts returns the texts in the list below a key.
func (s *Section) Texts(key string) []string {
	s.ask(key, &schema{Type: "array", Items: textSchema("")})
	n := s.value(key)
	if n == nil {
		return nil
	}
	if n.kind != kindList {
		s.Fail(key, "want a list of texts, not %v", n)
		return nil
	}
	var all []string
	for i, item := range n.items {
		if item.kind != kindText {
			s.failAt(item.line, item.col, fmt.Sprintf("%s[%d]", below(s.path, key), i), fmt.Sprintf("want a text, not %v", item))
			continue
		}
		all = append(all, item.text)
	}
	return all
}

// Choice returns one of the names. Without a default the key must be there.
// Where the value is a mistake it returns the name that was probably meant, so
// that reading can go on, or "".
func (s *Section) Choice(key, otherwise string, names ...string) string {
	s.ask(key, choiceSchema(otherwise, names))
	if otherwise == "" {
		s.need(key)
	}
	n := s.value(key)
	switch {
	case n == nil:
		if otherwise == "" && !slices.Contains(s.settled, key) {
			s.Fail(key, "missing; want %s", list(names, "or"))
		}
		return otherwise
	case n.kind == kindMapping || n.kind == kindList:
		s.Fail(key, "want %s, not %v", list(names, "or"), n)
		return ""
	case slices.Contains(names, n.text):
		return n.text
	}
	s.Fail(key, "unknown value %s; %s", quote(n.text), meant(n.text, names, "want "+list(names, "or")))
	return nearest(n.text, names)
}

// Bool returns true or false.
func (s *Section) Bool(key string, otherwise bool) bool {
	s.ask(key, &schema{Type: "boolean", Default: otherwise})
	n := s.value(key)
	switch {
	case n == nil:
		return otherwise
	case n.kind == kindBool && n.text == "true":
		return true
	case n.kind == kindBool && n.text == "false":
		return false
	}
	s.Fail(key, "want true or false, not %v", n)
	return otherwise
}

// Int returns a whole number from lo to hi.
func (s *Section) Int(key string, otherwise, lo, hi int64) int64 {
	s.ask(key, intSchema(otherwise, lo, hi))
	n := s.value(key)
	if n == nil {
		return otherwise
	}
	if n.kind != kindNumber || !decimal(n.text) {
		s.Fail(key, "want a whole number, not %v", n)
		return otherwise
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || v < lo || v > hi {
		if hi == math.MaxInt64 {
			s.Fail(key, "want %d or more, not %v", lo, n)
		} else {
			s.Fail(key, "want %d to %d, not %v", lo, hi, n)
		}
		return otherwise
	}
	return v
}

// decimal refuses what another reader of YAML may take for another number.
func decimal(s string) bool {
	if len(s) > 1 && s[0] == '-' {
		s = s[1:]
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s == "0" || s != "" && s[0] != '0'
}

// Fail reports a mistake at a key or, where that is absent, at the section.
func (s *Section) Fail(key, format string, args ...any) {
	if s.skipped {
		return
	}
	p := s.placeOf(key)
	s.failAt(p.Line, p.Column, p.Path, fmt.Sprintf(format, args...))
}

// Note reports something worth knowing at a key.
func (s *Section) Note(key, format string, args ...any) {
	if !s.skipped {
		s.doc.notes = append(s.doc.notes, Note{s.placeOf(key), fmt.Sprintf(format, args...)})
	}
}

func (s *Section) failAt(line, col int, path, message string) {
	s.doc.mistakes = append(s.doc.mistakes, Mistake{s.doc.place(line, col, path), message})
}

// placeOf is where the value of a key stands, or its key if it is more than a
// line.
func (s *Section) placeOf(key string) Place {
	p := s.doc.place(s.line, s.col, below(s.path, key))
	for _, f := range s.fields {
		if f.key == key {
			p.Line, p.Column = f.line, f.col
			if v := f.value; v.kind >= kindText && (v.kind != kindNull || v.text != "") {
				p.Line, p.Column = f.value.line, f.value.col
			}
		}
	}
	return p
}

// find returns the field of a key and makes it a known one.
func (s *Section) find(key string) *field {
	if !slices.Contains(s.known, key) {
		s.known = append(s.known, key)
	}
	if s.skipped {
		return nil
	}
	i := slices.IndexFunc(s.fields, func(f field) bool { return f.key == key })
	if i < 0 {
		return nil
	}
	return &s.fields[i]
}

// value returns the value of a key; nil if there is none, which is a mistake
// where the key is there.
func (s *Section) value(key string) *node {
	f := s.find(key)
	switch {
	case f == nil:
		return nil
	case f.value.kind == kindRefused:
		s.settle(key)
		return nil
	case f.value.kind == kindNull:
		if !slices.Contains(s.settled, key) {
			s.Fail(key, "has no value")
			s.settle(key)
		}
		return nil
	}
	return f.value
}

// raw is the text of a scalar, without saying anything about it.
func (s *Section) raw(key string) string {
	for _, f := range s.fields {
		if f.key == key {
			return f.value.text
		}
	}
	return ""
}

// settle keeps a key from being reported as unknown or missing: something was
// said about it already.
func (s *Section) settle(key string) { s.settled = append(s.settled, key) }

// skip ends reading of a section about which something was said already.
func (s *Section) skip() { s.skipped = true }

// unknown reports the keys that nobody asked for, once.
func (s *Section) unknown() {
	if s.skipped {
		return
	}
	for _, f := range s.fields {
		if slices.Contains(s.known, f.key) || slices.Contains(s.settled, f.key) {
			continue
		}
		s.settle(f.key)
		message := "unknown key; " + meant(f.key, s.known, "known here: "+list(s.known, "and"))
		s.failAt(f.line, f.col, below(s.path, f.key), message)
	}
}
