package archtest

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/events.md anew")

// event is what a package logs.
type event struct {
	pkg, level, message string
	keys                []string
}

// events are the calls Logger.Info and the like whose message is a constant.
func (s source) events() (all []event, wrong []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, f.Sel.Name) || !isLogger(f.X) {
			return true
		}
		if len(call.Args) == 0 || text(call.Args[0]) == "" {
			wrong = append(wrong, s.at(call, "the message of an event is no constant"))
			return true
		}
		e := event{pkg: s.pkg, level: f.Sel.Name, message: text(call.Args[0])}
		for i := 1; i < len(call.Args); i += 2 {
			key := text(call.Args[i])
			if key == "" {
				wrong = append(wrong, s.at(call, "event %q: key %d is no constant", e.message, i))
			}
			e.keys = append(e.keys, key)
		}
		all = append(all, e)
		return true
	})
	return all, wrong
}

func isLogger(x ast.Expr) bool {
	f, ok := x.(*ast.SelectorExpr)
	return ok && f.Sel.Name == "Logger"
}

// text is the value of a string literal, else "".
func text(x ast.Expr) string {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}

// Whoever watches logs relies on messages and keys: docs/events.md lists all of
// them, and says what each key means.
func TestEventsAreListed(t *testing.T) {
	var all []event
	for _, s := range sources(t) {
		if s.test || s.pkg == "snapshot/snaptest" {
			continue
		}
		events, wrong := s.events()
		for _, w := range wrong {
			t.Error(w)
		}
		all = append(all, events...)
	}
	slices.SortFunc(all, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.message, b.message), slices.Compare(a.keys, b.keys))
	})
	all = slices.CompactFunc(all, func(a, b event) bool { return fmt.Sprint(a) == fmt.Sprint(b) })

	const head = "| package | level | message | keys |\n|---|---|---|---|\n"
	name := filepath.Join(root, "docs", "events.md")
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	prose, _, ok := bytes.Cut(page, []byte(head))
	if !ok {
		t.Fatalf("%s has no table that begins with\n%s", name, head)
	}
	want := bytes.NewBuffer(slices.Clone(prose))
	want.WriteString(head)
	used := map[string]bool{}
	for _, e := range all {
		fmt.Fprintf(want, "| `%s` | %s | %s | %s |\n", e.pkg, strings.ToLower(e.level), e.message, strings.Join(e.keys, ", "))
		for _, k := range e.keys {
			used[k] = true
		}
	}
	if *update {
		if err := os.WriteFile(name, want.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(page, want.Bytes()) {
		t.Errorf("%s does not list what the code logs; go test ./internal/archtest -run Events -update writes it", name)
	}
	said := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| [a-z]").FindAllSubmatch(prose, -1) {
		said[string(m[1])] = true
	}
	for _, k := range slices.Sorted(maps.Keys(used)) {
		if !said[k] {
			t.Errorf("%s does not say what key %q means", name, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(said)) {
		if !used[k] {
			t.Errorf("%s explains key %q, which nothing logs", name, k)
		}
	}
}
