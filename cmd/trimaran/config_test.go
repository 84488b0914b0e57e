package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew, for review")

func runCLI(args ...string) (code int, out, errout string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigCheck(t *testing.T) {
	code, out, _ := runCLI("config", "check", "../../examples/memory-optimized.yaml")
	if code != exitOK || !strings.Contains(out, "valid, and means") || !strings.Contains(out, "max_entries: 100000") {
		t.Errorf("config check of a good file = %d\n%s", code, out)
	}
	bad := write(t, "node:\n  respaddress: x\n  http_address: nowhere\nraft_storage:\n  log_storage:\n    backend_type: append_lock\n")
	code, out, errout := runCLI("config", "check", bad)
	if code != exitUsage || errout != "" {
		t.Errorf("config check of a bad file = %d, %q", code, errout)
	}
	for _, want := range []string{":2:3: ", "respaddress", "resp_address", ":3:", "nowhere", ":6:", "append_log"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the mistakes:\n%s", want, out)
		}
	}
	code, out, _ = runCLI("config", "check", bad, "-o", "json")
	var c checked
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != exitUsage || c.Valid || len(c.Mistakes) < 3 {
		t.Errorf("config check -o json = %d, %+v, %v", code, c, err)
	}
	if code, _, errout := runCLI("config", "check", "no-such-file.yaml"); code != exitNotFound || !strings.Contains(errout, "no-such-file.yaml") {
		t.Errorf("config check of no file = %d, %q", code, errout)
	}
	if code, _, errout := runCLI("config", "check"); code != exitUsage || !strings.Contains(errout, "--help") {
		t.Errorf("config check without a file = %d, %q", code, errout)
	}
}

// What config show prints reads back as the same, and says everything.
func TestConfigShow(t *testing.T) {
	for _, args := range [][]string{nil, {"../../examples/memory-optimized.yaml"}, {write(t, "node:\n  id: \"7\"\n  insecure: true\n  resp_address: 0.0.0.0:1\n  peers: [{id: \"7\", raft_address: \"a:1\"}, {id: b, raft_address: \"b:1\"}]\n")}} {
		code, first, errout := runCLI(append([]string{"config", "show"}, args...)...)
		if code != exitOK || !strings.Contains(first, "snapshot_entries: 10000") || !strings.Contains(first, "compression: zstd") {
			t.Fatalf("config show %v = %d, %q\n%s", args, code, errout, first)
		}
		code, again, errout := runCLI("config", "show", write(t, first))
		if code != exitOK || again != first {
			t.Errorf("read back = %d, %q\n%s\nwant\n%s", code, errout, again, first)
		}
		code, out, _ := runCLI(append([]string{"config", "show", "-o", "json"}, args...)...)
		var v struct {
			Node struct {
				ID string `json:"id"`
			} `json:"node"`
			Storage map[string]any `json:"raft_storage"`
		}
		if err := json.Unmarshal([]byte(out), &v); code != exitOK || err != nil || v.Node.ID == "" || len(v.Storage) != 4 {
			t.Errorf("config show -o json = %d, %v\n%s", code, err, out)
		}
	}
	if code, _, errout := runCLI("config", "show", write(t, "nod: {}\n")); code != exitUsage || !strings.Contains(errout, `did you mean "node"`) {
		t.Errorf("config show of a bad file = %d, %q", code, errout)
	}
}

// The schema in docs is what this build reads.
func TestConfigSchema(t *testing.T) {
	const file = "../../docs/trimaran.schema.json"
	code, out, _ := runCLI("config", "schema")
	if code != exitOK {
		t.Fatalf("config schema = %d", code)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != out {
		t.Errorf("%s is not what this build reads (%v): review the difference and run go test ./cmd/trimaran -run ConfigSchema -update", file, err)
	}
}

// RocksDB is in a build with its tag only; another says what to do.
func TestConfigCheckWithoutRocksDB(t *testing.T) {
	code, out, _ := runCLI("config", "check", "../../examples/high-performance.yaml")
	if code == exitOK {
		t.Skip("this build has RocksDB")
	}
	for _, want := range []string{"-tags rocksdb", "librocksdb-dev", "pebble"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the refusal:\n%s", want, out)
		}
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := runCLI("version"); code != exitOK || !strings.HasPrefix(out, "trimaran ") {
		t.Errorf("version = %d, %q", code, out)
	}
	code, out, _ := runCLI("version", "-o", "json")
	var v version
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitOK || v.Go == "" {
		t.Errorf("version -o json = %d, %q, %v", code, out, err)
	}
	if code, _, errout := runCLI("version", "-o", "yaml"); code != exitUsage || !strings.Contains(errout, "text or json") {
		t.Errorf("version -o yaml = %d, %q", code, errout)
	}
}

// Every verb explains itself with examples.
func TestHelp(t *testing.T) {
	for _, verb := range [][]string{{"serve"}, {"config", "check"}, {"version"}, {"log", "stats"}, {"log", "dump"}, {"log", "verify"}, {"doctor"}, {"config", "show"}} {
		code, out, _ := runCLI(append(verb, "--help")...)
		if code != exitOK || !strings.Contains(out, "Examples:") || !strings.Contains(out, "--output") {
			t.Errorf("%v --help = %d\n%s", verb, code, out)
		}
	}
	if code, _, errout := runCLI("sevre"); code == exitOK || !strings.Contains(errout, "serve") {
		t.Errorf("a misspelled verb = %d, %q, want the one that was meant", code, errout)
	}
}
