// Package examples holds programs that show how to use Trimaran. Its test holds
// the README to what it says.
package examples

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
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
// step runs: from within a test it would run itself.
func TestReadmeCommands(t *testing.T) {
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(t, "sh") {
		for command := range strings.Lines(block) {
			command = strings.TrimSpace(command)
			if strings.Contains(string(ci), "\ntests() { "+command+"; }\n") {
				continue
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
			cmd.Dir = ".."
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", command, err, out)
			}
		}
	}
}

// Every piece of Go in the README is a piece of tour, which runs.
func TestReadmeCode(t *testing.T) {
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(t, "go") {
		if !strings.Contains(flush(string(source)), flush(block)) {
			t.Errorf("this is not in tour, line by line:\n%s", block)
		}
	}
	if err := tour(t.Context(), t.TempDir(), []byte("node-a")); err != nil {
		t.Fatal(err)
	}
}

// flush removes the indentation of every line.
func flush(code string) string {
	return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(code, "")
}

func tour(ctx context.Context, dir string, members []byte) error {
	engine, err := memkv.New(nil)
	if err != nil {
		return err
	}
	data, err := kv.New(engine, nil)
	if err != nil {
		return err
	}
	defer data.Close()
	snapshots, err := snapshot.New(membucket.New(nil), nil)
	if err != nil {
		return err
	}
	defer snapshots.Close()

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

	err = data.Update(ctx, func(tx *kv.WriteTx) error {
		if err := tx.Put([]byte("x"), []byte("1")); err != nil {
			return err
		}
		return tx.SetMark(kv.Mark{Index: 1, Term: 1})
	})
	if err != nil {
		return err
	}

	capture, err := data.Capture(ctx)
	if err != nil {
		return err
	}
	defer capture.Release()
	mark := capture.Mark()
	w, err := snapshots.Create(ctx, snapshot.Info{Index: mark.Index, Term: mark.Term, Membership: members}, nil)
	if err != nil {
		return err
	}
	defer w.Close() // discards what was not committed
	if _, err := capture.WriteTo(w); err != nil {
		return err
	}
	meta, err := w.Commit()
	if err != nil {
		return err
	}

	err = log.CompactTo(meta.Index)
	if err != nil {
		return err
	}

	return severalGroups(store)
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
