// Package examples holds programs that show how to use Trimaran. Its test holds
// the README to what it says.
package examples

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

// blocks returns the code blocks of one language in the README.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("no %s in the README", language)
	}
	return found
}

// Every command of the README runs. The one that tests everything is what CI's
// step runs: from within a test it would run itself. The node runs beside the
// commands after it, with its data in a directory of the test.
func TestReadmeCommands(t *testing.T) {
	for _, address := range []string{"127.0.0.1:6380", "127.0.0.1:7380", "127.0.0.1:8380"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("a node runs on this machine already: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	data := "" // of the node
	for _, block := range blocks(t, "sh") {
		for command := range strings.Lines(block) {
			command = strings.TrimSpace(command)
			name, _, _ := strings.Cut(command, " ")
			switch {
			case strings.Contains(string(ci), "\ntests() { "+command+"; }\n"):
			case command == "go run ./cmd/trimaran serve":
				data = serve(t)
			case name != "go" && missing(name):
				t.Logf("%s is not on this machine, so this was not run: %s", name, command)
			default:
				command = strings.ReplaceAll(command, "trimaran-data", data)
				if out, err := shell(t, command).CombinedOutput(); err != nil || bytes.HasPrefix(out, []byte("(error)")) {
					t.Errorf("%s: %v\n%s", command, err, out)
				}
			}
		}
	}
	if data == "" {
		t.Error("the README does not say how to run a node")
	}
}

func missing(program string) bool {
	_, err := exec.LookPath(program)
	return err != nil
}

func shell(t *testing.T, command string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = ".."
	return cmd
}

// serve does what the README's first command does, in another directory, and
// returns where the data is.
func serve(t *testing.T) (data string) {
	t.Helper()
	dir := t.TempDir()
	exe := filepath.Join(dir, "trimaran")
	if out, err := shell(t, "go build -o "+exe+" ./cmd/trimaran").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(exe, "serve")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Errorf("stop with Ctrl-C: %v", err)
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Ctrl-C") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return filepath.Join(dir, "trimaran-data")
		}
	}
	t.Fatal("serve ended before it was ready")
	return ""
}

// Every piece of Go in the README is a piece of tour, which runs, or of the
// Example of an adapter that is a module of its own.
func TestReadmeCode(t *testing.T) {
	var source []byte
	for _, name := range []string{"readme_test.go", "hashicorp_test.go", "../adapter/dragonboat/example_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, b...)
	}
	for _, block := range blocks(t, "go") {
		if !strings.Contains(flush(string(source)), flush(block)) {
			t.Errorf("this is not in tour, line by line:\n%s", block)
		}
	}
	if err := tour(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

// flush removes the indentation of every line.
func flush(code string) string {
	return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(code, "")
}

func tour(ctx context.Context, dir string) error {
	if err := together(ctx, filepath.Join(dir, "storage")); err != nil {
		return err
	}
	if err := belowHashicorp(ctx, filepath.Join(dir, "hashicorp")); err != nil {
		return err
	}
	if err := belowOwnMachine(filepath.Join(dir, "machine")); err != nil {
		return err
	}
	if err := belowEtcd(filepath.Join(dir, "etcd")); err != nil {
		return err
	}
	dir = filepath.Join(dir, "log")
	store, err := seglog.Open(dir, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	log, err := store.Log(raftlog.Group{})
	if err != nil {
		return err
	}
	defer log.Close()
	err = log.Write(raftlog.Batch{
		Entries: []raftlog.Entry{{Index: 1, Term: 1, Data: []byte("set x 1")}},
		Stable:  []raftlog.StableKV{{Key: "vote", Value: []byte("node-a in term 1")}},
	})
	if err != nil {
		return err
	}
	return severalGroups(store)
}

func together(ctx context.Context, dir string) error {
	storage, err := config.OpenDir(dir, nil)
	if err != nil {
		return err
	}
	defer storage.Close()
	entries := []raftlog.Entry{
		{Index: 1, Term: 1, Kind: raftlog.Configuration, Data: []byte("node-a")},
		{Index: 2, Term: 1, Data: []byte("x")},
	}
	if err := storage.Log().Append(entries...); err != nil {
		return err
	}
	err = storage.Apply(ctx, entries, func(tx *kv.WriteTx, e raftlog.Entry) error {
		return tx.Put(e.Data, nil)
	})
	if err != nil {
		return err
	}
	meta, err := storage.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	if meta.Index != 2 {
		return fmt.Errorf("snapshot at index %d, want 2", meta.Index)
	}
	return nil
}

func severalGroups(store *seglog.Store) (err error) {
	first := raftlog.Batch{Entries: []raftlog.Entry{{Index: 1, Term: 1}}}
	second := raftlog.Batch{Entries: []raftlog.Entry{{Index: 1, Term: 7}}}
	err = store.Write(
		raftlog.GroupBatch{Group: raftlog.Group{Shard: 1}, Batch: first},
		raftlog.GroupBatch{Group: raftlog.Group{Shard: 2}, Batch: second},
	)
	return err
}

func belowEtcd(dir string) error {
	var machine nothing
	var transport nothing
	raftConfig := &raft.Config{ID: 1, ElectionTick: 10, HeartbeatTick: 1, MaxInflightMsgs: 256}
	storage, err := etcdraft.Open(dir, nil)
	if err != nil {
		return err
	}
	defer storage.Close()
	node, err := etcdraft.Start(raftConfig, storage, machine, transport, nil)
	if err != nil {
		return err
	}
	return node.Close()
}

// nothing is a state machine and a transport that do nothing.
type nothing struct{}

func (nothing) Send([]*raftpb.Message)                            {}
func (nothing) Applied() (uint64, *raftpb.ConfState, error)       { return 0, nil, nil }
func (nothing) Apply(context.Context, []etcdraft.Committed) error { return nil }
func (nothing) Restore(context.Context, *raftpb.Snapshot) error   { return nil }
