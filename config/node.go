package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// What a file may be. No configuration comes near it; a hostile one is refused
// before it costs memory.
const (
	maxFile  = 64 << 10
	maxDepth = 16
)

type kind uint8

const (
	kindMapping kind = iota
	kindList
	kindText
	kindNumber
	kindBool
	kindNull
	kindRefused // something was said about it already
)

// node is a value of the file. This file is the only one that knows which
// library reads YAML.
type node struct {
	kind      kind
	line, col int
	text      string
	fields    []field // of a mapping, in the order of the file
	items     []*node // of a list
}

type field struct {
	key       string
	line, col int
	value     *node
}

// parse reads one document. A nil node comes with at least one mistake.
func parse(name string, b []byte) (*node, Mistakes) {
	p := parser{file: name}
	if len(b) > maxFile {
		p.fail(0, 0, "", fmt.Sprintf("the file has %d bytes, at most %d are read", len(b), maxFile))
		return nil, p.mistakes
	}
	var doc yaml.Node
	if err := yaml.Load(b, &doc, yaml.WithV4Defaults(), yaml.WithPlugin(limits{})); err != nil {
		p.syntax(err)
		return nil, p.mistakes
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		p.fail(0, 0, "", "the file is empty")
		return nil, p.mistakes
	}
	return p.convert(doc.Content[0], ""), p.mistakes
}

// limits bounds what the library takes in. Aliases are refused later, and never
// expanded.
type limits struct{}

func (limits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	return nil
}

func (limits) CheckAlias(int, int) error { return nil }

type parser struct {
	file     string
	mistakes Mistakes
}

func (p *parser) fail(line, col int, path, message string) {
	p.mistakes = append(p.mistakes, Mistake{Place{p.file, line, col, path}, message})
}

// syntax reports what keeps the library from reading on.
func (p *parser) syntax(err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		p.fail(0, 0, "", err.Error())
		return
	}
	switch {
	case strings.Contains(e.Message, "no documents"):
		p.fail(0, 0, "", "the file is empty")
	case strings.Contains(e.Message, "found multiple"):
		p.fail(0, 0, "", "the file holds several documents, want one")
	default:
		message := e.Message
		if e.ContextMsg != "" {
			message = e.ContextMsg + ": " + message
		}
		p.fail(e.Mark.Line, e.Mark.Column, "", message)
	}
}

// convert keeps what a configuration may consist of and reports the rest.
func (p *parser) convert(y *yaml.Node, path string) *node {
	n := &node{line: y.Line, col: y.Column, text: y.Value}
	switch {
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		p.fail(y.Line, y.Column, path, "anchors and aliases are not supported")
	case y.Style&yaml.TaggedStyle != 0:
		p.fail(y.Line, y.Column, path, "tags are not supported")
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = kindMapping
		for i := 0; i+1 < len(y.Content); i += 2 {
			p.convertField(n, y.Content[i], y.Content[i+1], path)
		}
	case yaml.SequenceNode:
		n.kind = kindList
		for i, item := range y.Content {
			n.items = append(n.items, p.convert(item, fmt.Sprintf("%s[%d]", path, i)))
		}
	case yaml.ScalarNode:
		n.kind = scalarKind(y.ShortTag())
	default:
		n.kind = kindRefused
	}
	return n
}

func (p *parser) convertField(n *node, key, value *yaml.Node, path string) {
	switch {
	case key.Kind != yaml.ScalarNode:
		p.fail(key.Line, key.Column, path, "a key must be a name")
		return
	case key.ShortTag() == "!!merge":
		p.fail(key.Line, key.Column, path, "merge keys are not supported")
		return
	}
	at := below(path, key.Value)
	for _, f := range n.fields {
		if f.key == key.Value {
			p.fail(key.Line, key.Column, at, fmt.Sprintf("given twice, first in line %d", f.line))
			return
		}
	}
	n.fields = append(n.fields, field{key.Value, key.Line, key.Column, p.convert(value, at)})
}

func scalarKind(tag string) kind {
	switch tag {
	case "!!int", "!!float":
		return kindNumber
	case "!!bool":
		return kindBool
	case "!!null":
		return kindNull
	}
	return kindText
}

// String says what a value is, for mistakes.
func (n *node) String() string {
	switch n.kind {
	case kindMapping:
		return "a mapping"
	case kindList:
		return "a list"
	case kindText:
		return "the text " + quote(n.text)
	case kindNull:
		return "nothing"
	}
	return short(n.text)
}

// below is the path of a key in a section.
func below(path, key string) string {
	for i := range len(key) {
		c := key[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			key = quote(key)
			break
		}
	}
	if key == "" {
		key = `""`
	}
	if path == "" {
		return short(key)
	}
	return path + "." + short(key)
}

func quote(s string) string { return short(strconv.Quote(s)) }

// short keeps a message readable, whatever the file holds.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
