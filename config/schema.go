package config

import (
	"encoding/json"
	"fmt"
	"math"
)

// Schema returns, as JSON, the schema of the files that read reads: every key
// that it asks for, what its value may be and what it is when absent. It is
// made by running read on a document that only records the questions; what a
// schema cannot say, such as that two keys contradict each other, is left to
// reading. YAML editors understand it.
func Schema(title string, read func(d *Document)) []byte {
	d := &Document{}
	d.root = d.question("")
	read(d)
	d.root.asked.Type = "object"
	d.root.asked.Draft, d.root.asked.Title = "https://json-schema.org/draft/2020-12/schema", title
	b, err := json.MarshalIndent(d.root.asked, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("a schema consists of texts and numbers: %v", err))
	}
	return append(b, '\n')
}

// schema is as much of JSON Schema as a configuration needs.
type schema struct {
	Draft      string             `json:"$schema,omitempty"`
	Title      string             `json:"title,omitempty"`
	Type       any                `json:"type,omitempty"`
	Const      string             `json:"const,omitempty"`
	Enum       []string           `json:"enum,omitempty"`
	Minimum    *int64             `json:"minimum,omitempty"`
	Maximum    *int64             `json:"maximum,omitempty"`
	Default    any                `json:"default,omitempty"`
	Items      *schema            `json:"items,omitempty"`
	OneOf      []*schema          `json:"oneOf,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Properties map[string]*schema `json:"properties,omitempty"`
	Closed     *bool              `json:"additionalProperties,omitempty"` // false: no other keys
}

// mapping is the schema of a section, which may also be there without a value.
func mapping() *schema {
	return &schema{Type: []string{"object", "null"}, Properties: map[string]*schema{}, Closed: new(bool)}
}

// question is a section that records what it is asked, answers with defaults,
// has every key, and finds no mistakes.
func (d *Document) question(path string) *Section {
	return &Section{doc: d, path: path, skipped: true, present: true, asked: mapping()}
}

// ask records a key, unless it was recorded already or the section is that of a
// file.
func (s *Section) ask(key string, value *schema) {
	if s.asked == nil || s.asked.Properties[key] != nil {
		return
	}
	s.asked.Properties[key] = value
}

// need records that keys have to be there.
func (s *Section) need(keys ...string) {
	if s.asked != nil {
		s.asked.Required = append(s.asked.Required, keys...)
		s.asked.Type = "object"
	}
}

func textSchema(otherwise string) *schema {
	s := &schema{Type: "string"}
	if otherwise != "" {
		s.Default = otherwise
	}
	return s
}

func choiceSchema(otherwise string, names []string) *schema {
	s := textSchema(otherwise)
	if s.Enum = names; len(names) == 1 {
		s.Enum, s.Const = nil, names[0]
	}
	return s
}

// number leaves out bounds that are none, and defaults that no file could say.
func intSchema(otherwise, lo, hi int64) *schema {
	s := &schema{Type: "integer"}
	if lo > math.MinInt64 {
		s.Minimum = &lo
	}
	if hi < math.MaxInt64 {
		s.Maximum = &hi
	}
	if lo > math.MinInt64 && lo <= otherwise && otherwise <= hi {
		s.Default = otherwise
	}
	return s
}

// ask records what each backend of a layer may be told.
func (t table[L, D]) ask(s *Section, l *L, at *Layer) {
	s.asked.Properties, s.asked.Closed, s.asked.Type = nil, nil, "object"
	for _, b := range t {
		one, as := s.doc.question(s.path), *l
		_ = one.Choice("backend_type", "", b.name)
		if !b.volatile {
			_ = one.Text("path", at.Path)
		}
		b.read(one.Section("config"), &as)
		if len(one.Section("config").asked.Required) > 0 {
			one.need("config")
		}
		s.asked.OneOf = append(s.asked.OneOf, one.asked)
	}
}
