package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

var (
	logGroup0 = raftlog.Group{}
	logGroup1 = raftlog.Group{Shard: 1, Replica: 2}
	logTime   = time.Date(2026, 11, 23, 10, 0, 0, 5, time.UTC)
)

// openedLog makes a node's log with two groups, in small segments, and leaves
// it open. stop closes it.
func openedLog(t *testing.T) (data string, stop func()) {
	t.Helper()
	data = t.TempDir()
	s, err := seglog.Open(filepath.Join(data, "log"), &seglog.Options{SegmentSize: 2000, Background: func(work func()) { work() }})
	must(t, err)
	write := func(g raftlog.Group, b raftlog.Batch) {
		must(t, s.Write(raftlog.GroupBatch{Group: g, Batch: b}))
	}
	for i := uint64(1); i <= 30; i++ {
		write(logGroup0, raftlog.Batch{
			Entries: []raftlog.Entry{{Index: i, Term: 1 + i/20, Data: bytes.Repeat([]byte(fmt.Sprintf("entry %02d;", i)), 10)}},
			Stable:  []raftlog.StableKV{{Key: "vote", Value: fmt.Appendf(nil, "in %d", i)}},
		})
	}
	write(logGroup0, raftlog.Batch{CompactTo: 5})
	write(logGroup1, raftlog.Batch{Entries: []raftlog.Entry{
		{Index: 1, Term: 3, Kind: raftlog.NoOp, Time: logTime}, {Index: 2, Term: 3, Data: []byte("a\n\x00b"), Ext: []byte("ext")},
	}})
	return data, func() { must(t, s.Close()) }
}

// tree is every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	}))
	return files
}

// linesOf decodes what dump -o json prints.
func linesOf(t *testing.T, text string) (all []dumped) {
	t.Helper()
	for line := range strings.Lines(text) {
		all = append(all, decode[dumped](t, line))
	}
	return all
}

// All verbs say the same of a log that is held and of one that was closed, in
// the data directory or the log's own, and change nothing.
func TestLogVerbs(t *testing.T) {
	data, stop := openedLog(t)
	logVerbs(t, data, "live", os.Getpid())
	stop()
	logVerbs(t, data, "closed", 0)
	logVerbs(t, filepath.Join(data, "log"), "closed", 0)
	must(t, os.Remove(filepath.Join(data, "log", "CLEAN")))
	logVerbs(t, data, "crashed", 0)
}

// With a configuration file the log is where that says, below another data
// directory if one is given.
func TestLogByConfiguration(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	must(t, os.Rename(filepath.Join(data, "log"), filepath.Join(data, "wal")))
	section := func(node string) string {
		return write(t, node+"raft_storage:\n  log_storage: {backend_type: append_log, path: wal}\n"+
			"  snapshot_storage: {backend_type: compressed_file}\n  app_storage: {backend_type: pebble}\n")
	}
	for _, args := range [][]string{{"--config", section("node: {data: " + data + "}\n")}, {data, "--config", section("")}} {
		for _, verb := range []string{"stats", "dump", "verify"} {
			out, _ := typed(t, exitOK, append([]string{"log", verb, "-o", "json"}, args...)...)
			if verb != "dump" && decode[logState](t, out).Dir != filepath.Join(data, "wal") || out == "" {
				t.Errorf("log %s %v = %s", verb, args, out)
			}
		}
	}
	typed(t, exitUsage, "log", "stats")
	typed(t, exitUsage, "log", "stats", data, data)
	typed(t, exitNotFound, "log", "stats", "--config", write(t, "node: {data: "+data+"}\n"))
	if _, said := typed(t, exitUsage, "log", "verify", "--config", "../../examples/memory-optimized.yaml"); !strings.Contains(said, "in memory") {
		t.Errorf("a log in memory: %s", said)
	}
}

func logVerbs(t *testing.T, dir, state string, pid int) {
	t.Helper()
	before := tree(t, dir)
	out, _ := typed(t, exitOK, "log", "stats", dir, "-o", "json")
	s := decode[logStats](t, out)
	if s.State != state || s.Holder != pid || len(s.ID) != 32 || s.Torn != nil {
		t.Errorf("stats = %+v, want it %s by %d", s.logState, state, pid)
	}
	if len(s.Groups) != 2 || s.Groups[1].Group != "1/2" || s.Sums.Entries != 27 || s.Sums.Segments < 2 || s.Segments[s.Sums.Segments-1].State != "active" {
		t.Fatalf("stats = %+v", s)
	}
	if g := s.Groups[0]; g.Base != 5 || g.First != 6 || g.Last != 30 || g.LastTerm != 2 || !slices.Equal(g.Terms, []logTerm{{6, 1}, {20, 2}}) || !slices.Equal(g.Keys, []string{"vote"}) {
		t.Errorf("stats of 0/0 = %+v", g)
	}
	text, _ := typed(t, exitOK, "log", "stats", dir)
	if !strings.Contains(text, "0/0") || !strings.Contains(text, "active") || !strings.Contains(text, "entries: 27") {
		t.Errorf("stats says\n%s", text)
	}
	out, _ = typed(t, exitOK, "log", "verify", dir, "-o", "json")
	if v := decode[logVerified](t, out); !v.Valid || v.State != state || v.Entries < 27 || v.Bytes == 0 {
		t.Errorf("verify = %+v", v)
	}
	out, _ = typed(t, exitOK, "log", "dump", dir, "--stable", "--data", "text", "-o", "json")
	all := linesOf(t, out)
	if len(all) != 28 || all[0].Stable != "vote" || *all[0].Data != "in 30" || all[1].Index != 6 || *all[1].Data != strings.Repeat("entry 06;", 10) {
		t.Fatalf("dump = %d lines, %+v", len(all), all[:2])
	}
	if e := all[26]; e.Group != "1/2" || e.Kind != "noop" || e.Time == nil || !e.Time.Equal(logTime) || e.Term != 3 || e.Size != 0 {
		t.Errorf("dump of 1/2 = %+v", e)
	}
	if after := tree(t, dir); !maps.Equal(before, after) {
		t.Errorf("the log verbs changed files of %s", dir)
	}
}

func TestLogDumpSelects(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	for _, c := range []struct {
		args string
		want []string // the lines below the heads hold these
	}{
		{"--group 0/0 --from 29", []string{" 29 ", " 30 "}},
		{"--from 7 --to 8", []string{" 7 ", " 8 "}},
		{"--group 1/2 --data hex", []string{"noop", "610a0062"}},
		{"--group 1/2 --data text --from 2", []string{`"a\n\x00b"`}},
		{"--group 1/2 --stable --to 1", []string{"2026-11-23T10:00:00.000000005Z"}},
		{"--group 0/0 --from 99", nil},
	} {
		out, _ := typed(t, exitOK, append([]string{"log", "dump", data}, strings.Fields(c.args)...)...)
		got := strings.Split(strings.TrimSpace(out), "\n")
		if c.want == nil && out == "" {
			continue
		}
		if len(got) != len(c.want)+1 || !strings.HasPrefix(got[0], "GROUP") {
			t.Errorf("dump %s says\n%s\nwant %d lines", c.args, out, len(c.want))
			continue
		}
		for n, want := range c.want {
			if !strings.Contains(got[n+1], want) {
				t.Errorf("dump %s: line %q, want %q in it", c.args, got[n+1], want)
			}
		}
	}
}

// Damage is told with its place; what is intact is printed all the same.
func TestLogDamage(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	file := damage(t, data, "entry 17;")
	out, _ := typed(t, exitDamage, "log", "verify", data, "-o", "json")
	v := decode[logVerified](t, out)
	if v.Valid || len(v.Damages) != 1 || v.Damages[0].File != file || v.Damages[0].Index != 17 || v.Damages[0].Offset <= 0 || v.Damages[0].Class != "committed" {
		t.Errorf("verify = %+v, want damage of entry 17 in %s", v, file)
	}
	text, _ := typed(t, exitDamage, "log", "verify", data)
	if !strings.Contains(text, "DAMAGED") || !strings.Contains(text, "index 17") {
		t.Errorf("verify says\n%s", text)
	}
	out, _ = typed(t, exitDamage, "log", "dump", data, "-o", "json")
	all := linesOf(t, out)
	if len(all) != 27 || all[11].Index != 17 || all[11].Damage == "" || all[12].Index != 18 || all[12].Damage != "" {
		t.Errorf("dump = %d lines, %+v", len(all), all[11:13])
	}
	text, _ = typed(t, exitDamage, "log", "dump", data)
	if strings.Count(text, "DAMAGED") != 1 {
		t.Errorf("dump says\n%s", text)
	}
}

// Damage that keeps the log from being opened is told as well.
func TestLogDamageThatRefuses(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	must(t, os.WriteFile(filepath.Join(data, "log", "IDENTITY"), []byte("nonsense"), 0o600))
	out, _ := typed(t, exitDamage, "log", "verify", data, "-o", "json")
	if v := decode[logVerified](t, out); v.Valid || v.State != "damaged" || len(v.Damages) != 1 || !strings.HasSuffix(v.Damages[0].File, "IDENTITY") {
		t.Errorf("verify = %+v", v)
	}
	typed(t, exitDamage, "log", "stats", data)
	typed(t, exitDamage, "log", "dump", data)
}

// damage flips a bit of that text and returns the file that it is in.
func damage(t *testing.T, data, text string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "log", "0*.seg"))
	must(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(t, err)
		if i := bytes.Index(b, []byte(text)); i >= 0 {
			b[i] ^= 1
			must(t, os.WriteFile(file, b, 0o600))
			return file
		}
	}
	t.Fatalf("no segment holds %q", text)
	return ""
}

func TestLogTornTail(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	must(t, os.Remove(filepath.Join(data, "log", "CLEAN")))
	file := damage(t, data, "a\n\x00b") // in the last write
	out, _ := typed(t, exitOK, "log", "stats", data, "-o", "json")
	if s := decode[logStats](t, out); s.State != "crashed" || s.Torn == nil || s.Torn.File != file || s.Sums.Entries != 25 {
		t.Errorf("stats = %+v, want a torn tail in %s", s, file)
	}
	text, _ := typed(t, exitOK, "log", "verify", data)
	if !strings.Contains(text, "torn:") || !strings.Contains(text, "valid:") {
		t.Errorf("verify says\n%s", text)
	}
}

func TestLogMistakes(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	empty := t.TempDir()
	for _, c := range []struct {
		code int
		args string
	}{
		{exitNotFound, "stats " + filepath.Join(empty, "nowhere")},
		{exitNotFound, "dump " + empty},
		{exitNotFound, "verify " + empty},
		{exitUsage, "stats"},
		{exitUsage, "dump a b"},
		{exitUsage, "dump --group 5 " + data},
		{exitNotFound, "dump --group 5/5 " + data},
		{exitUsage, "dump --from 5 --to 4 " + data},
		{exitUsage, "dump --data yes " + data},
		{exitUsage, "verify --rate -1 " + data},
	} {
		typed(t, c.code, append([]string{"log"}, strings.Fields(c.args)...)...)
	}
	if left := tree(t, empty); len(left) > 0 {
		t.Errorf("the log verbs made %v", left)
	}
}

// An interrupted dump ends with whole lines.
func TestLogDumpInterrupted(t *testing.T) {
	data, stop := openedLog(t)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, verb := range []string{"dump", "verify"} {
		cmd := newRoot()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"log", verb, data, "-o", "json"})
		if err := cmd.ExecuteContext(ctx); !errors.Is(err, context.Canceled) || exitCode(err) != exitInterrupted {
			t.Errorf("%s = %v, want it cancelled", verb, err)
		}
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) {
				t.Errorf("%s printed %q", verb, line)
			}
		}
	}
}

// The log of a node that runs, and of one that was killed.
func TestLogOfANode(t *testing.T) {
	data := t.TempDir()
	p := newProcess(t, data)
	p.start()
	for i := range 20 {
		p.do("SET", fmt.Sprint("key", i), fmt.Sprint("value ", i))
	}
	check := func(state string) {
		t.Helper()
		out, _ := typed(t, exitOK, "log", "stats", data, "-o", "json")
		if s := decode[logStats](t, out); s.State != state || state == "live" && s.Holder != p.cmd.Process.Pid || len(s.Groups) != 1 || s.Sums.Entries < 20 {
			t.Errorf("stats = %+v, want it %s", s, state)
		}
		out, _ = typed(t, exitOK, "log", "dump", data, "--data", "text", "-o", "json")
		if !strings.Contains(out, "value 0") || !strings.Contains(out, "value 19") {
			t.Errorf("dump says\n%s", out)
		}
		typed(t, exitOK, "log", "verify", data)
	}
	check("live")
	p.do("SET", "more", "value")
	p.kill()
	check("crashed")
	p.start()
	p.stop(os.Interrupt)
	check("closed")
}

// A dump beside a node goes on with what is left where the log has moved on.
func TestLogDumpMovesOn(t *testing.T) {
	data, stop := openedLog(t)
	stop()
	dir := filepath.Join(data, "log")
	s, err := seglog.Open(dir, &seglog.Options{SegmentSize: 2000, Background: func(work func()) { work() }})
	must(t, err)
	defer s.Close()
	i, err := seglog.Inspect(dir, nil)
	must(t, err)
	defer i.Close()
	for n := uint64(31); n <= 90; n++ {
		must(t, s.Write(raftlog.GroupBatch{Group: logGroup0, Batch: raftlog.Batch{
			Entries: []raftlog.Entry{{Index: n, Term: 2, Data: bytes.Repeat([]byte("x"), 100)}}, CompactTo: min(n-1, 27),
		}}))
	}
	cmd := newLogDump()
	var out, errout strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&errout)
	json := output("json")
	d := dumper{out: &json, data: "none", only: &logGroup0, to: 1000}
	must(t, d.run(t.Context(), cmd, dir, i))
	all := linesOf(t, out.String())
	if n := len(all); n < 3 || all[n-3].Index != 28 || all[n-1].Index != 30 {
		t.Errorf("dump = %+v, want it to end with entries 28 to 30", all)
	}
	if !strings.Contains(errout.String(), "to 27 were compacted meanwhile") {
		t.Errorf("dump says %q", errout.String())
	}
}
