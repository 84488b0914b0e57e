package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	module     = "github.com/trimarandb/trimaran"
	dragonboat = "github.com/lni/dragonboat/v4/"
)

// row says where a package stands. A level imports lower levels only:
//
//	5  adapter/*  server  cmd  examples        edges; Raft libraries are named here only
//	4  config  doctor  metrics/prom            name layers and drivers together
//	3  trimaran (root)                         composite; sees layers, never a driver
//	2  raftlog/*  snapshot/*  kv/*             drivers and contract suites; each sees its own layer only
//	1  raftlog  snapshot  kv                   three layers, blind to each other
//	0  fault  vfs  vfs/simdisk  internal/*     standard library only, blind to each other
type row struct {
	path    string // below the module, as for path.Match; the first row that matches counts
	level   int
	also    []string // imports beyond what the level allows
	modules []string // other modules, "*" for any
	tests   []string // and those that its tests need
}

// table has a row for each package that is or is planned. bench is a module of
// its own and is not read here.
var table = []row{
	{path: "fault", level: 0},
	{path: "vfs", level: 0},
	{path: "vfs/simdisk", level: 0, also: []string{"vfs"}}, // it is an FS
	{path: "vfs/crashtest", level: 0, also: []string{"vfs", "vfs/simdisk", "internal/race"}}, // it cuts their power
	{path: "internal/gendir", level: 0, also: []string{"fault", "vfs"}},                      // two engines keep their files in one
	{path: "internal/churn", level: 0, also: []string{"internal/race"}, modules: []string{"github.com/anishathalye/porcupine"}},
	{path: "internal/*", level: 0},

	{path: "raftlog", level: 1},
	{path: "snapshot", level: 1, modules: []string{"github.com/klauspost/compress", "github.com/pierrec/lz4/v4"}},
	{path: "kv", level: 1},

	{path: "raftlog/seglog", level: 2},
	{path: "raftlog/memlog", level: 2},
	{path: "raftlog/logtest", level: 2},
	{path: "snapshot/dirbucket", level: 2},
	{path: "snapshot/membucket", level: 2},
	{path: "snapshot/s3bucket", level: 2, modules: []string{"github.com/minio/minio-go/v7"}},
	{path: "snapshot/httptransfer", level: 2},
	{path: "snapshot/snaptest", level: 2},
	{path: "kv/memkv", level: 2, modules: []string{"github.com/tidwall/btree"}},
	{path: "kv/pebblekv", level: 2, modules: []string{"github.com/cockroachdb/pebble/v2"}},
	{path: "kv/rockskv", level: 2, modules: []string{"github.com/linxGnu/grocksdb"}},
	{path: "kv/kvtest", level: 2},

	{path: ".", level: 3},

	{path: "config", level: 4, modules: []string{"go.yaml.in/yaml/v4"}},
	{path: "doctor", level: 4},
	{path: "metrics/prom", level: 4, modules: []string{"github.com/prometheus/client_golang"}},

	{path: "adapter/hashiraft", level: 5, modules: []string{"github.com/hashicorp/raft", "github.com/hashicorp/go-hclog"}},
	{path: "adapter/etcdraft", level: 5, modules: []string{"go.etcd.io/raft/v3", "google.golang.org/protobuf"}},
	{
		path: "adapter/dragonboat", level: 5,
		modules: []string{dragonboat + "config", dragonboat + "raftio", dragonboat + "raftpb", dragonboat + "statemachine", dragonboat + "logger"},
		tests:   []string{"github.com/lni/dragonboat/v4", "github.com/lni/vfs"},
	},
	{
		path: "server", level: 5,
		also:    []string{"adapter/*", "server/*"}, // it replicates through one, and puts its own parts together
		modules: []string{"github.com/hashicorp/raft", "github.com/tidwall/redcon", "github.com/prometheus/client_golang"},
	},
	{path: "server/command", level: 5},
	{
		path: "server/resp", level: 5,
		also:    []string{"server/command"}, // it speaks them
		modules: []string{"github.com/tidwall/redcon"},
	},
	{path: "cmd/*", level: 5, also: everything, modules: everything},
	{path: "examples", level: 5, also: everything, modules: everything},
	{path: "examples/*", level: 5, also: everything, modules: everything},
}

// everything is for what puts the parts together for one purpose.
var everything = []string{"*", "*/*"}

// testModules may be imported by every test.
var testModules = []string{"pgregory.net/rapid", "github.com/anishathalye/porcupine"}

// raftLibraries must not be reachable from below level 5, by any path.
var raftLibraries = []string{"github.com/hashicorp/raft", "go.etcd.io/raft", "go.etcd.io/etcd", "github.com/lni/dragonboat"}

// find returns the row of a package, nil if it has none.
func find(pkg string) *row {
	i := slices.IndexFunc(table, func(r row) bool { return matches(r.path, pkg) })
	if i < 0 {
		return nil
	}
	return &table[i]
}

// layer is the layer that a package of level 1 or 2 belongs to.
func layer(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

// mayImport reports whether package from, at row r, may import package to of
// this module. A test may import what its package may, and level 0, and the
// drivers and contract suites of the layers that its package sees.
func mayImport(r *row, from string, to string, test bool) bool {
	target := find(to)
	switch {
	case target == nil:
		return false
	case from == to || slices.ContainsFunc(r.also, func(p string) bool { return matches(p, to) }):
		return true
	case test && target.level == 0:
		return true
	case test && target.level == 2 && (r.level > 2 || r.level > 0 && layer(from) == layer(to)):
		return true
	}
	switch r.level {
	case 0:
		return false
	case 2:
		return target.level == 0 || target.level == 1 && layer(from) == to
	case 3:
		return target.level <= 1
	default:
		return target.level < r.level
	}
}

func noPlace(pkg string) string {
	return fmt.Sprintf("package %s has no place: add a row to the table in internal/archtest/table_test.go, at the lowest level that fits", pkg)
}

// checkImport says what is wrong with an import, "" if nothing is.
func checkImport(from, imported string, test bool) string {
	r := find(from)
	if r == nil {
		return noPlace(from)
	}
	if to, ok := inModule(imported); ok {
		if mayImport(r, from, to, test) {
			return ""
		}
		return fmt.Sprintf("%s (level %d) must not import %s: see the table in internal/archtest/table_test.go", from, r.level, to)
	}
	allowed := r.modules
	if test {
		allowed = slices.Concat(allowed, testModules, r.tests)
	}
	if standard(imported) || slices.Contains(allowed, "*") || within(allowed, imported) {
		return ""
	}
	return fmt.Sprintf("%s (level %d) must not import %s: its row in internal/archtest/table_test.go does not name that module", from, r.level, imported)
}

// checkClosure says which Raft libraries a package below level 5 pulls in,
// directly or not.
func checkClosure(imported string, deps []string) (found []string) {
	pkg, ok := inModule(imported)
	if !ok {
		return nil
	}
	r := find(pkg)
	if r == nil || r.level >= 5 {
		return nil
	}
	for _, dep := range deps {
		if within(raftLibraries, dep) {
			found = append(found, fmt.Sprintf("%s (level %d) depends on %s, which only level 5 may", pkg, r.level, dep))
		}
	}
	return found
}

func inModule(imported string) (pkg string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func within(modules []string, imported string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") })
}

func matches(pattern, pkg string) bool {
	matched, err := path.Match(pattern, pkg)
	return err == nil && matched
}
