package main

import (
	"context"
	"errors"
	"io"
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

// What a flag says of an index over numbers or booleans is one, not its bytes.
func TestKVIndexOfNumbers(t *testing.T) {
	dir := t.TempDir()
	s, err := config.Default().OpenData(t.Context(), dir)
	must(t, err)
	must(t, s.CreateIndex(t.Context(), kv.Index{Name: "age", JSONPath: "age", JSONType: kv.JSONNumber}))
	must(t, s.CreateIndex(t.Context(), kv.Index{Name: "on", JSONPath: "on", JSONType: kv.JSONBool}))
	for key, value := range map[string]string{"p1": `{"age":7,"on":true}`, "p2": `{"age":30,"on":false}`, "p3": `{"age":-2.5}`} {
		must(t, s.Put(t.Context(), []byte(key), []byte(value)))
	}
	must(t, s.Close())
	for args, want := range map[string]string{
		"age": `"p3" "p1" "p2" `, "age --exact 30": `"p2" `, "age --from=-3 --to 7.5": `"p3" "p1" `, "on --exact true": `"p1" `, "on --to true": `"p2" `,
	} {
		out, _ := typed(t, exitOK, append([]string{"kv", "index", "--keys", "--data", dir}, strings.Fields(args)...)...)
		if got := strings.ReplaceAll(out, "\n", " "); got != want {
			t.Errorf("index %s = %s, want %s", args, got, want)
		}
	}
	for _, args := range []string{"age --exact x", "on --exact 7", "age --exact 7 --base64", "age --from 1 --exact 2"} {
		typed(t, exitUsage, append([]string{"kv", "index", "--data", dir}, strings.Fields(args)...)...)
	}
	if _, errout := typed(t, exitNotFound, "kv", "index", "nope", "--data", dir); !strings.Contains(errout, `"age", "on"`) {
		t.Errorf("index nope = %s, want the names of those that are there", errout)
	}
}

// Keys that are no text go in as they come out.
func TestKVBase64(t *testing.T) {
	dir := t.TempDir()
	s, err := config.Default().OpenData(t.Context(), dir)
	must(t, err)
	must(t, s.Put(t.Context(), []byte("\x00\x01\xff"), []byte("value")))
	must(t, s.Close())
	row := decode[rowLine](t, first(typed(t, exitOK, "kv", "scan", "--data", dir, "-o", "json")))
	if row.KeyBase64 == nil || *row.KeyBase64 != "AAH/" {
		t.Fatalf("scan -o json = %+v", row)
	}
	if out, _ := typed(t, exitOK, "kv", "get", *row.KeyBase64, "--base64", "--data", dir); out != "value" {
		t.Errorf("get = %q", out)
	}
	for args, want := range map[string]string{"--prefix AAE=": "\"\\x00\\x01\\xff\"\n", "--from AAI=": "", "--to AAI=": "\"\\x00\\x01\\xff\"\n"} {
		if out, _ := typed(t, exitOK, append([]string{"kv", "scan", "--base64", "--keys", "--data", dir}, strings.Fields(args)...)...); out != want {
			t.Errorf("scan --base64 %s = %q, want %q", args, out, want)
		}
	}
	typed(t, exitUsage, "kv", "get", "no base64", "--base64", "--data", dir)
	typed(t, exitUsage, "kv", "scan", "--to", "no base64", "--base64", "--data", dir)
}

// An import that fails leaves no store where none was.
func TestKVImportLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.tkv")
	must(t, os.WriteFile(bad, []byte("this is not what export writes, whoever wrote it"), 0o600))
	target := filepath.Join(dir, "a", "b")
	for file, code := range map[string]int{bad: exitDamage, filepath.Join(dir, "none"): exitNotFound, dir: exitUsage} {
		_, errout := typed(t, code, "kv", "import", file, "--data", target)
		if !strings.Contains(errout, file) {
			t.Errorf("import %s = %s, want the name of the file in it", file, errout)
		}
	}
	if left, err := os.ReadDir(dir); len(left) != 1 || err != nil {
		t.Errorf("failed imports left %v, %v, want the file alone", left, err)
	}
}

// An import from a pipe that has nothing to give can be interrupted.
func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent, _ := io.Pipe()
	r := interruptible(ctx, io.MultiReader(strings.NewReader("some"), silent))
	b := make([]byte, 4)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != "some" {
		t.Errorf("read %q, %v, want some", b, err)
	}
	cancel()
	if _, err := r.Read(b); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after an interrupt = %v, want canceled", err)
	}
	must(t, silent.Close())
}

// A verb that there is not is a mistake on every level.
func TestUnknownVerbs(t *testing.T) {
	for args, want := range map[string]string{"kv gett": "did you mean get?", "log frob": "--help", "snapshot x": "--help", "config shw": "did you mean show?", "serv": "did you mean serve?", "frob": "--help"} {
		if _, errout := typed(t, exitUsage, strings.Fields(args)...); !strings.Contains(errout, want) {
			t.Errorf("trimaran %s = %s, want %q in it", args, errout, want)
		}
	}
	for _, args := range []string{"kv", "kv --help", "help kv", "help", "completion bash"} {
		typed(t, exitOK, strings.Fields(args)...)
	}
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
