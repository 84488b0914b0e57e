package config

import (
	"fmt"
	"io"
	"os"
	"slices"
)

// Document is a file that is being read, section by section. It collects the
// mistakes; [Document.Finish] returns them. One goroutine uses it.
//
// A program with a section of its own reads it beside the storage:
//
//	d, err := config.ReadFile(path)
//	if err != nil {
//		return err
//	}
//	node := d.Root().Section("node")
//	address := node.Text("address", ":8500")
//	storage := d.Storage()
//	if err := d.Finish(); err != nil {
//		return err
//	}
type Document struct {
	name     string
	root     *Section
	sections []*Section
	mistakes Mistakes
	notes    []Note
}

// ReadFile reads a file. The error is that of the file system; mistakes in the
// file are for Finish to tell.
func ReadFile(path string) (*Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Read(path, b), nil
}

// Read is ReadFile for text that is at hand. The name is for messages.
func Read(name string, b []byte) *Document {
	d := &Document{name: name}
	n, mistakes := parse(name, b)
	d.mistakes = mistakes
	if n == nil {
		d.root = &Section{doc: d, skipped: true}
		return d
	}
	d.root = d.section(n, "", n.line, n.col)
	return d
}

// Root is the top level of the file, whose keys are the sections.
func (d *Document) Root() *Section { return d.root }

// Finish returns all mistakes found so far, as [Mistakes], or nil. Keys that
// nobody asked for are mistakes too, so it is called when everybody has read.
func (d *Document) Finish() error {
	for _, s := range d.sections {
		s.unknown()
	}
	if len(d.mistakes) == 0 {
		return nil
	}
	sortMistakes(d.mistakes)
	return slices.Clone(d.mistakes)
}

// Notes returns what was accepted and is worth knowing, in the order of the
// file.
func (d *Document) Notes() []Note {
	sortNotes(d.notes)
	return slices.Clone(d.notes)
}

func (d *Document) place(line, col int, path string) Place { return Place{d.name, line, col, path} }

// section makes a section of a value that should be a mapping; nothing is an
// empty one.
func (d *Document) section(n *node, path string, line, col int) *Section {
	s := &Section{doc: d, path: path, line: line, col: col, present: true}
	switch n.kind {
	case kindMapping:
		s.fields = n.fields
	case kindNull:
	case kindRefused:
		s.skipped = true
	default:
		s.skipped = true
		d.mistakes = append(d.mistakes, Mistake{d.place(n.line, n.col, path), fmt.Sprintf("want a mapping, not %v", n)})
	}
	d.sections = append(d.sections, s)
	return s
}
