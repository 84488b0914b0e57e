package archtest

import (
	"strings"
	"testing"
)

// What the checks must say of small inputs: a check that cannot fail proves
// nothing.

func TestImportRule(t *testing.T) {
	const own = module + "/"
	for _, c := range []struct {
		from, imported string
		test           bool
		want           string // "" when allowed
	}{
		{"raftlog", "fmt", false, ""},
		{"raftlog", own + "fault", false, ""},
		{"raftlog", own + "snapshot", false, "raftlog (level 1) must not import snapshot"},
		{"raftlog", own + "raftlog/memlog", false, "must not import raftlog/memlog"},
		{"raftlog", own + "raftlog/memlog", true, ""},
		{"raftlog", own + "vfs/simdisk", true, ""},
		{"raftlog", own + "snapshot/membucket", true, "must not import snapshot/membucket"},
		{"raftlog", module, true, "must not import ."},
		{"raftlog", "github.com/klauspost/compress/zstd", false, "does not name that module"},
		{"snapshot", "github.com/klauspost/compress/zstd", false, ""},
		{"snapshot", "github.com/klauspost/compressed", false, "does not name that module"},

		{"fault", own + "vfs", false, "fault (level 0) must not import vfs"},
		{"vfs/simdisk", own + "vfs", false, ""},
		{"vfs", own + "vfs/simdisk", false, "must not import vfs/simdisk"},
		{"vfs", own + "vfs/simdisk", true, ""},
		{"internal/frame", own + "raftlog", true, "must not import raftlog"},
		{"vfs", "golang.org/x/sys/unix", false, "does not name that module"},

		{"kv/memkv", own + "kv", false, ""},
		{"kv/memkv", own + "internal/gate", false, ""},
		{"kv/memkv", own + "raftlog", false, "must not import raftlog"},
		{"kv/memkv", own + "kv/kvtest", false, "must not import kv/kvtest"},
		{"kv/memkv", own + "kv/kvtest", true, ""},
		{"kv/memkv", module, false, "must not import ."},
		{"kv/memkv", "github.com/tidwall/btree", false, ""},
		{"kv/memkv", "pgregory.net/rapid", false, "does not name that module"},
		{"kv/memkv", "pgregory.net/rapid", true, ""},

		{".", own + "kv", false, ""},
		{".", own + "kv/memkv", false, "must not import kv/memkv"},
		{".", own + "kv/memkv", true, ""},
		{".", own + "config", true, "must not import config"},

		{"config", module, false, ""},
		{"config", own + "kv/pebblekv", false, ""},
		{"config", own + "doctor", false, "must not import doctor"},
		{"config", "github.com/hashicorp/raft", false, "does not name that module"},

		{"adapter/hashiraft", "github.com/hashicorp/raft", false, ""},
		{"adapter/hashiraft", own + "adapter/etcdraft", false, "must not import adapter/etcdraft"},
		{"adapter/dragonboat", dragonboat + "raftpb", false, ""},
		{"adapter/dragonboat", dragonboat + "plugin/tan", false, "does not name that module"},
		{"adapter/dragonboat", dragonboat + "plugin/tan", true, ""},
		{"server", own + "adapter/hashiraft", false, ""},
		{"cmd/trimaran", own + "server", false, ""},
		{"cmd/trimaran", "example.com/anything", false, ""},

		{"raftlog/newlog", own + "raftlog", false, "package raftlog/newlog has no place: add a row"},
		{"raftlog", own + "nowhere", false, "must not import nowhere"},
	} {
		got := checkImport(c.from, c.imported, c.test)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s, test %v: %q, want %q", c.from, c.imported, c.test, got, c.want)
		}
	}
}

func TestClosureRule(t *testing.T) {
	raft := []string{"fmt", "github.com/hashicorp/raft"}
	for pkg, want := range map[string]int{"/config": 1, "/raftlog": 1, "": 1, "/server": 0, "/adapter/hashiraft": 0} {
		if got := checkClosure(module+pkg, raft); len(got) != want {
			t.Errorf("%s: %q, want %d findings", module+pkg, got, want)
		}
	}
	if got := checkClosure(module+"/config", []string{"fmt", "github.com/hashicorp/raftlike"}); got != nil {
		t.Errorf("a name that only starts alike: %q", got)
	}
}

func TestSourceRules(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       string // "" when there is nothing to find
	}{
		{"open", `import "os"; func f() { os.Open("x") }`, "os.Open: files are reached through vfs only"},
		{"value", `import "os"; var open = os.OpenFile`, "os.OpenFile"},
		{"renamed import", `import files "os"; func f() { files.Remove("x") }`, "files.Remove"},
		{"all names", `import . "os"; func f() { Remove("x") }`, "all names of os are imported"},
		{"old package", `import "io/ioutil"; func f() { ioutil.ReadFile("x") }`, "ioutil.ReadFile"},
		{"system call", `import "syscall"; func f() { syscall.Rename("x", "y") }`, "syscall.Rename"},
		{"walk", `import "path/filepath"; func f() { filepath.WalkDir("x", nil) }`, "filepath.WalkDir"},
		{"errors are fine", `import ("os"; "syscall"); var _ = []error{os.ErrNotExist, syscall.ENOSPC, syscall.E2BIG}`, ""},
		{"a local os is fine", `import "os"; var _ = os.Getpid; func f(os interface{ Open() }) { os.Open() }`, ""},

		{"init", `func init() {}`, "func init"},
		{"init method is fine", `type t int; func (t) init() {}`, ""},

		{"assign", `var x int; func f() { x = 1 }`, "package variable x is changed"},
		{"count", `var x int; func f() { x++ }`, "package variable x"},
		{"element", `var x map[int]int; func f() { x[1] = 2 }`, "package variable x"},
		{"field", `var x struct{ a []int }; func f() { x.a[0] = 2 }`, "package variable x"},
		{"delete", `var x map[int]int; func f() { delete(x, 1) }`, "package variable x"},
		{"a local x is fine", `var x int; func f() { x := 1; x = 2 }`, ""},
		{"an argument x is fine", `var x int; func f(x int) { x++ }`, ""},
		{"nothing is fine", `var _ = 1; func f() { _ = 2 }`, ""},
		{"reading is fine", `var x = map[int]int{}; func f() int { y := x[1]; y++; return y }`, ""},
	} {
		s, err := parse("raftlog/x.go", "package raftlog\n"+c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		vars := map[string]bool{}
		s.packageVars(vars)
		found := append(append(s.fileCalls(), s.inits()...), s.assignments(vars)...)
		got := strings.Join(found, "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAssignmentsInAnotherFileAreFound(t *testing.T) {
	s, err := parse("raftlog/x.go", "package raftlog\nfunc f() { elsewhere = 1 }")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.assignments(map[string]bool{"elsewhere": true}); len(got) != 1 {
		t.Errorf("findings = %q, want one", got)
	}
}
