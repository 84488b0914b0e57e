package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// ownFiles are packages that may reach files without vfs.
var ownFiles = map[string]string{
	"vfs":               "it is the one place",
	"snapshot/s3bucket": "reads credentials where the standard tools keep them",
	"kv/rockskv":        "RocksDB opens its own files, from C",
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if find(s.pkg) == nil {
			t.Error(noPlace(s.pkg))
			continue
		}
		for _, wrong := range s.wrongImports() {
			t.Error(wrong)
		}
	}
}

// An allowed module could bring a Raft library along; only the whole closure
// shows that.
func TestRaftLibrariesStayAtTheEdge(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-tags", "rocksdb", "-json=ImportPath,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range checkClosure(pkg.ImportPath, pkg.Deps) {
			t.Error(wrong)
		}
	}
}

func TestFilesAreReachedThroughVFS(t *testing.T) {
	for _, s := range sources(t) {
		r := find(s.pkg)
		if s.test || r == nil || r.level > 3 || ownFiles[s.pkg] != "" {
			continue
		}
		for _, wrong := range s.fileCalls() {
			t.Error(wrong)
		}
	}
}

// Whoever imports a package gets no hidden start-up and no shared state.
func TestNothingHappensByImporting(t *testing.T) {
	vars := map[string]map[string]bool{}
	library := slices.DeleteFunc(sources(t), func(s source) bool { return s.test })
	for _, s := range library {
		if vars[s.pkg] == nil {
			vars[s.pkg] = map[string]bool{}
		}
		s.packageVars(vars[s.pkg])
	}
	for _, s := range library {
		for _, wrong := range append(s.inits(), s.assignments(vars[s.pkg])...) {
			t.Error(wrong)
		}
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	all, err := readModule(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
