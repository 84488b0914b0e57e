package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	for _, verb := range [][]string{{"serve"}, {"config", "check"}, {"version"}, {"log", "stats"}, {"log", "dump"}, {"log", "verify"}} {
		code, out, _ := runCLI(append(verb, "--help")...)
		if code != exitOK || !strings.Contains(out, "Examples:") || !strings.Contains(out, "--output") {
			t.Errorf("%v --help = %d\n%s", verb, code, out)
		}
	}
	if code, _, errout := runCLI("sevre"); code == exitOK || !strings.Contains(errout, "serve") {
		t.Errorf("a misspelled verb = %d, %q, want the one that was meant", code, errout)
	}
}
