package mutants

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mutant is a deliberate bug.
type mutant struct {
	name   string // what the bug does
	layer  string // that it is in
	breaks string // the promise that it breaks
	file   string // below the module
	old    string // occurs once in file
	new    string // replaces it
	test   target // has to fail
}

func (m *mutant) String() string { return m.layer + "/" + m.name }

// target is a test.
type target struct {
	pkg  string // below the module, "." for its root
	run  string // as for go test -run
	time string // flag that says how long it shall search; "" for a test that has none
	only string // of a campaign: regular expression for its workloads
}

// campaign is a test that takes the flags of package crashtest.
func campaign(pkg, run string) target { return target{pkg: pkg, run: run, time: "-crash.time"} }

// on is the campaign with those workloads alone that do what a mutant breaks.
func (t target) on(workloads string) target {
	t.only = workloads
	return t
}

// search are the flags with which the test searches for so long.
func (t target) search(d time.Duration) (flags []string) {
	if t.time != "" {
		flags = append(flags, t.time, d.String())
	}
	if t.only != "" {
		flags = append(flags, "-crash.only", t.only)
	}
	return flags
}

func (t target) String() string { return t.pkg + " " + t.run }

// mutate returns m's file with the bug in it. An error means that the code is
// no longer as the table says.
func (m *mutant) mutate(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", fmt.Errorf("the code moved: %w", err)
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", fmt.Errorf("the code moved: %s has the text to be replaced %d times, want once; it was\n%s", m.file, n, m.old)
	}
	text := strings.Replace(string(b), m.old, m.new, 1)
	if text == string(b) {
		return "", errors.New("it changes nothing")
	}
	if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, parser.SkipObjectResolution); err != nil {
		return "", fmt.Errorf("it does not parse: %w", err)
	}
	return text, nil
}

// overlay writes the mutated file, and the file that go build -overlay reads,
// to dir.
func (m *mutant) overlay(root, dir string) (string, error) {
	text, err := m.mutate(root)
	if err != nil {
		return "", err
	}
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
		return "", err
	}
	replace := fmt.Sprintf("{%q: {%q: %q}}", "Replace", filepath.Join(root, filepath.FromSlash(m.file)), mutated)
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, []byte(replace), 0o600)
}
