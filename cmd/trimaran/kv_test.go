package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
)

// data fills a data directory.
func data(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := config.Default().OpenData(t.Context(), dir)
	must(t, err)
	must(t, s.Update(t.Context(), func(tx *kv.WriteTx) error {
		clock := time.Unix(1_700_000_000, 0)
		return errors.Join(
			tx.SetMark(kv.Mark{Index: 9, Term: 2, Clock: clock}),
			tx.Put([]byte("a1"), []byte("x one")), tx.Put([]byte("a2"), []byte("y\ttwo")),
			tx.Put([]byte("b"), []byte("\xff\x00")), tx.PutTTL([]byte("c"), []byte("x"), time.Minute),
			tx.CreateIndex(kv.Index{Name: "begun", JSONPath: "status"}),
		)
	}))
	must(t, s.CreateIndex(t.Context(), kv.Index{Name: "first", Bytes: &kv.ByteRange{Len: 1}}))
	must(t, s.Close())
	return dir
}

func TestKVGetAndScan(t *testing.T) {
	dir := data(t)
	if out, _ := typed(t, exitOK, "kv", "get", "b", "--data", dir); out != "\xff\x00" {
		t.Errorf("get = %q", out)
	}
	typed(t, exitNotFound, "kv", "get", "nothing", "--data", dir)
	row := decode[rowLine](t, first(typed(t, exitOK, "kv", "get", "b", "--data", dir, "-o", "json")))
	if row.Key == nil || *row.Key != "b" || row.Value != nil || row.ValueBase64 == nil || *row.ValueBase64 != "/wA=" {
		t.Errorf("get -o json = %+v", row)
	}
	for _, tc := range []struct{ args, want string }{
		{"", `"a1"	"x one"|"a2"	"y\ttwo"|"b"	"\xff\x00"|"c"	"x"|`},
		{"--prefix a --keys", `"a1"|"a2"|`},
		{"--from a2 --to c --keys", `"a2"|"b"|`},
		{"--reverse --limit 2 --keys", `"c"|"b"|`},
		{"--prefix a --limit 1 -o json", `{"key":"a1","value":"x one"}|`},
	} {
		out, _ := typed(t, exitOK, append([]string{"kv", "scan", "--data", dir}, strings.Fields(tc.args)...)...)
		if got := strings.ReplaceAll(out, "\n", "|"); got != tc.want {
			t.Errorf("scan %s = %s, want %s", tc.args, got, tc.want)
		}
	}
	typed(t, exitUsage, "kv", "scan", "--prefix", "a", "--from", "b", "--data", dir)
	typed(t, exitUsage, "kv", "get", "--data", dir)
}

func first(out, _ string) string { return out }

func TestKVStatsAndIndex(t *testing.T) {
	dir := data(t)
	out, _ := typed(t, exitOK, "kv", "stats", "--digest", "--data", dir)
	for _, want := range []string{"engine         pebble", "entry 9 of term 2", "2023-11-14T22:13:20Z", "next deadline  2023-11-14T22:14:20Z", "indexes        2", "rows           4"} {
		if !strings.Contains(out, want) {
			t.Errorf("stats = %s, want %q in it", out, want)
		}
	}
	st := decode[dataStats](t, first(typed(t, exitOK, "kv", "stats", "--data", dir, "-o", "json")))
	if st.Engine != "pebble" || st.Index != 9 || st.Rows != nil || st.Digest != "" {
		t.Errorf("stats -o json = %+v", st)
	}
	if out, _ := typed(t, exitOK, "kv", "index", "--data", dir); out != "begun: string at status, not built\nfirst: 1 bytes from 0, built\n" {
		t.Errorf("index = %q", out)
	}
	for args, want := range map[string]string{
		"--exact x --keys": "\"a1\"\n\"c\"\n", "--from y --keys": "\"a2\"\n\"b\"\n", "--reverse --limit 1 --keys": "\"b\"\n", "--prefix y": "\"a2\"\t\"y\\ttwo\"\n",
	} {
		if out, _ := typed(t, exitOK, append([]string{"kv", "index", "first", "--data", dir}, strings.Fields(args)...)...); out != want {
			t.Errorf("index first %s = %q, want %q", args, out, want)
		}
	}
	typed(t, exitUsage, "kv", "index", "begun", "--data", dir)
	typed(t, exitNotFound, "kv", "index", "other", "--data", dir)
}

func TestKVExportAndImport(t *testing.T) {
	dir, files, copyDir := data(t), t.TempDir(), t.TempDir()
	file := filepath.Join(files, "data.tkv")
	c := decode[copied](t, first(typed(t, exitOK, "kv", "export", file, "--data", dir, "-o", "json")))
	if c.Rows != 4 || c.Index != 9 || c.Term != 2 || c.File != file {
		t.Errorf("export = %+v", c)
	}
	typed(t, exitFailure, "kv", "export", file, "--data", dir) // it is there
	again := decode[copied](t, first(typed(t, exitOK, "kv", "import", file, "--data", copyDir, "-o", "json")))
	if again != c {
		t.Errorf("import = %+v, want %+v", again, c)
	}
	stream, _ := typed(t, exitOK, "kv", "export", "-", "--data", copyDir)
	b, err := os.ReadFile(file)
	must(t, err)
	if stream != string(b) {
		t.Error("the export of what was imported is another")
	}
	must(t, os.WriteFile(file, b[:len(b)-1], 0o600))
	typed(t, exitDamage, "kv", "import", file, "--data", copyDir)
	if out, _ := typed(t, exitOK, "kv", "get", "a1", "--data", copyDir); out != "x one" {
		t.Errorf("after a failed import a1 = %q", out)
	}
	must(t, os.Mkdir(filepath.Join(copyDir, config.Default().Log.Path), 0o700))
	if _, errout := typed(t, exitUsage, "kv", "import", file, "--data", copyDir); !strings.Contains(errout, "--data") {
		t.Errorf("import into a node = %s", errout)
	}
}

func TestKVWithoutData(t *testing.T) {
	dir := t.TempDir()
	for _, verb := range []string{"scan", "stats", "index"} {
		typed(t, exitNotFound, "kv", verb, "--data", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("looking for data left %v, %v", entries, err)
	}
	s, err := config.Default().OpenData(t.Context(), dir)
	must(t, err)
	_, errout := typed(t, exitLocked, "kv", "stats", "--data", dir)
	if !strings.Contains(errout, "stop it") {
		t.Errorf("stats of data that is held = %s", errout)
	}
	must(t, s.Close())
}
