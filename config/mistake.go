package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trimarandb/trimaran/fault"
)

// Place is where in a file something is said. Line and Column begin with 1;
// they are 0, and File is empty, for what no file says.
type Place struct {
	File         string
	Line, Column int
	Path         string // of the key: raft_storage.log_storage.path
}

// String is file:line:column: path, without the parts that are not known.
func (p Place) String() string {
	var parts []string
	switch {
	case p.File != "" && p.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column))
	case p.File != "":
		parts = append(parts, p.File)
	}
	if p.Path != "" {
		parts = append(parts, p.Path)
	}
	return strings.Join(parts, ": ")
}

func (p Place) compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// Mistake is one thing that is wrong with a configuration.
type Mistake struct {
	Place
	Message string
}

// Error is file:line:column: path: message.
func (m Mistake) Error() string { return join(m.Place, m.Message) }

// Unwrap returns fault.ErrInvalid.
func (m Mistake) Unwrap() error { return fault.ErrInvalid }

// Mistakes are all that is wrong with a configuration, in the order of the
// file. They match fault.ErrInvalid.
type Mistakes []Mistake

const maxMistakes = 100

// Error has a line for each mistake, up to a hundred.
func (m Mistakes) Error() string {
	var b strings.Builder
	for i, one := range m {
		if i == maxMistakes {
			fmt.Fprintf(&b, "\nand %d more", len(m)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.Error())
	}
	return b.String()
}

// Unwrap returns fault.ErrInvalid.
func (m Mistakes) Unwrap() error { return fault.ErrInvalid }

// Note is something that a configuration may say, and that whoever wrote it
// should know: a key without effect, a policy that is unsafe.
type Note struct {
	Place
	Message string
}

// String is file:line:column: path: message.
func (n Note) String() string { return join(n.Place, n.Message) }

func join(p Place, message string) string {
	if s := p.String(); s != "" {
		return s + ": " + message
	}
	return message
}

func sortMistakes(m Mistakes) {
	slices.SortStableFunc(m, func(a, b Mistake) int { return a.compare(b.Place) })
}

func sortNotes(n []Note) {
	slices.SortStableFunc(n, func(a, b Note) int { return a.compare(b.Place) })
}
