package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/doctor"
)

// filled is the directory of a node that was stopped, with a snapshot and ten
// keys.
func filled(t *testing.T) (*process, string) {
	t.Helper()
	dir := t.TempDir()
	p := newProcess(t, dir)
	p.start()
	for i := range 10 {
		p.do("SET", fmt.Sprint("key", i), fmt.Sprint("value", i))
		if i == 5 {
			p.get("POST", "/v1/snapshot")
		}
	}
	refused(t, exitLocked, "the node runs", "doctor", dir)
	p.stop(syscall.SIGTERM)
	return p, dir
}

// A node that does not start says who to ask; doctor says what is broken,
// repairs it, and the node has all it had.
func TestDoctor(t *testing.T) {
	p, dir := filled(t)
	if code, out, errout := runCLI("doctor", dir); code != exitOK || !strings.Contains(out, "sound; it opens") {
		t.Fatalf("doctor of a sound node = %d, %s\n%s", code, errout, out)
	}
	if err := os.Remove(filepath.Join(dir, "data", "GENERATION")); err != nil {
		t.Fatal(err)
	}
	refused(t, exitDamage, "trimaran doctor "+dir, p.args...)
	code, out, _ := runCLI("doctor", dir)
	for _, want := range []string{"DAMAGED; a repair loses nothing", "GENERATION", "it refuses", "1. set the data aside", "bring it back", "It was rehearsed", "--apply"} {
		if code != exitDamage || !strings.Contains(out, want) {
			t.Errorf("doctor = %d, want %q in\n%s", code, want, out)
		}
	}
	if code, out, _ := runCLI("doctor", dir, "--plan"); code != exitDamage || strings.Contains(out, "holds") || !strings.Contains(out, "1. set the data aside") {
		t.Errorf("doctor --plan = %d\n%s", code, out)
	}
	var e examined
	code, out, _ = runCLI("doctor", dir, "--apply", "-o", "json")
	if err := json.Unmarshal([]byte(out), &e); err != nil || code != exitOK || e.Applied == nil || e.Applied.State != doctor.Sound || len(e.Applied.Kept) == 0 || !strings.HasPrefix(e.Applied.Kept[0], dir) {
		t.Fatalf("doctor --apply = %d, %v\n%s", code, err, out)
	}
	p.start()
	for i := range 10 {
		if got := p.do("GET", fmt.Sprint("key", i)); got != fmt.Sprint("value", i) {
			t.Errorf("key%d is %q after the repair", i, got)
		}
	}
	p.kill()
	if code, out, _ := runCLI("doctor", dir); code != exitOK {
		t.Errorf("doctor of a node that was killed = %d\n%s", code, out)
	}
}

// Layers may be anywhere; scratch is left empty.
func TestDoctorFollowsTheConfiguration(t *testing.T) {
	_, dir := filled(t)
	elsewhere := filepath.Join(t.TempDir(), "snaps")
	if err := os.Rename(filepath.Join(dir, "snapshots"), elsewhere); err != nil {
		t.Fatal(err)
	}
	file := write(t, fmt.Sprintf("node: {data: %q}\nraft_storage:\n  log_storage: {backend_type: append_log}\n  snapshot_storage: {backend_type: compressed_file, path: %q}\n  app_storage: {backend_type: pebble}\n", dir, elsewhere))
	scratch := t.TempDir()
	code, out, errout := runCLI("doctor", "--config", file, "--scratch", scratch, "-o", "json")
	var e examined
	if err := json.Unmarshal([]byte(out), &e); err != nil || code != exitOK || e.State != doctor.Sound || !strings.HasPrefix(e.Parts[1].Is, "1, newest first") {
		t.Errorf("doctor --config = %d, %v, %s\n%s", code, err, errout, out)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left in scratch: %v, %v", left, err)
	}
}

func TestDoctorRefuses(t *testing.T) {
	refused(t, exitUsage, "want the data directory", "doctor")
	refused(t, exitNotFound, "no node here", "doctor", t.TempDir())
	refused(t, exitNotFound, "no such file", "doctor", filepath.Join(t.TempDir(), "none"))
	refused(t, exitUsage, "only one", "doctor", t.TempDir(), "--plan", "--apply")
	refused(t, exitFailure, "nothing to examine", "doctor", t.TempDir(), "--config", "../../examples/memory-optimized.yaml")
	s3 := write(t, "raft_storage:\n  log_storage: {backend_type: append_log}\n  snapshot_storage: {backend_type: s3, config: {endpoint: 'http://127.0.0.1:1', bucket: a-bucket, prefix: n1}}\n  app_storage: {backend_type: pebble}\n")
	refused(t, exitFailure, "aws s3 sync s3://a-bucket/n1", "doctor", t.TempDir(), "--config", s3)
	rocks := write(t, "raft_storage:\n  log_storage: {backend_type: append_log}\n  snapshot_storage: {backend_type: compressed_file}\n  app_storage: {backend_type: rocksdb}\n")
	refused(t, exitFailure, "ldb --db=data checkconsistency", "doctor", t.TempDir(), "--config", rocks)
}

// Data in memory comes back at each open: doctor says whether log and snapshots
// can do that.
func TestDoctorWithDataInMemory(t *testing.T) {
	_, dir := filled(t)
	file := write(t, fmt.Sprintf("node: {data: %q}\nraft_storage:\n  log_storage: {backend_type: append_log}\n  snapshot_storage: {backend_type: compressed_file}\n  app_storage: {backend_type: memory}\n", dir))
	code, out, errout := runCLI("doctor", "--config", file, "-o", "json")
	var e examined
	if err := json.Unmarshal([]byte(out), &e); err != nil || code != exitOK || e.State != doctor.Recovers || !strings.Contains(out, "it restores snapshot") || !strings.Contains(out, "in memory") {
		t.Errorf("doctor = %d, %v, want that it recovers from a snapshot\n%s%s", code, err, errout, out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runCLI("doctor", "--config", file); code != exitDamage || !strings.Contains(out, "let it join anew") || strings.Contains(out, "kv export") {
		t.Errorf("doctor without the log = %d\n%s", code, out)
	}
}

// A part of another node is refused, unless it is adopted, which counts from
// then on.
func TestServeAdopts(t *testing.T) {
	p, dir := filled(t)
	_, other := filled(t)
	for _, part := range []string{"snapshots", "data"} {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(other, part), filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, exitDamage, "belong to node", p.args...)
	if code, out, _ := runCLI("doctor", dir); code != exitDamage || !strings.Contains(out, "--adopt") {
		t.Errorf("doctor = %d, want that it names --adopt in\n%s", code, out)
	}
	plain := p.args
	p.args = append(p.args, "--adopt")
	p.start()
	p.stop(syscall.SIGTERM)
	p.args = plain
	p.start()
	if got := p.do("GET", "key9"); got != "value9" {
		t.Errorf("key9 = %q", got)
	}
	p.stop(syscall.SIGTERM)
}
