package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/snapshot"
)

// snapshots fills a data directory with so many snapshots.
func snapshots(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	c := config.Default()
	c.Snapshots.Retention = snapshot.Policy{}
	c.Options.NoMembership = true
	s, after, err := c.OpenSnapshots(t.Context(), dir)
	must(t, err)
	for i := range n {
		w, err := s.Create(t.Context(), snapshot.Info{Index: uint64(i + 1), Term: 1}, nil)
		must(t, err)
		_, err = w.Write(bytes.Repeat([]byte{byte(i)}, 10_000))
		must(t, err)
		_, err = w.Commit()
		must(t, err)
	}
	must(t, errors.Join(s.Close(), after.Close()))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// typed runs a command line and returns what it printed.
func typed(t *testing.T, code int, args ...string) (out, errout string) {
	t.Helper()
	var o, e strings.Builder
	if got := run(args, &o, &e); got != code {
		t.Fatalf("trimaran %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, o.String(), e.String())
	}
	return o.String(), e.String()
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestSnapshotVerbs(t *testing.T) {
	dir := snapshots(t, 3)
	text, _ := typed(t, exitOK, "snapshot", "list", "--data", dir)
	if strings.Count(text, "valid") != 3 {
		t.Errorf("list says\n%s", text)
	}
	out, _ := typed(t, exitOK, "snapshot", "list", "--data", dir, "-o", "json")
	all := decode[[]snapshotInfo](t, out)
	if len(all) != 3 || all[0].Index != 3 || all[0].Size != 10_000 {
		t.Fatalf("list = %+v", all)
	}
	out, _ = typed(t, exitOK, "snapshot", "inspect", all[1].ID, "--data", dir, "-o", "json")
	if i := decode[inspected](t, out); i.Index != 2 || i.Chunks != 1 || i.Largest != 10_000 {
		t.Errorf("inspect = %+v", i)
	}
	out, _ = typed(t, exitOK, "snapshot", "verify", "--data", dir, "-o", "json")
	if vs := decode[[]verified](t, out); len(vs) != 3 || !vs[0].Valid || vs[2].Bytes != 10_000 {
		t.Errorf("verify = %+v", vs)
	}
	out, _ = typed(t, exitOK, "snapshot", "prune", "--keep", "1", "--dry-run", "--data", dir, "-o", "json")
	if p := decode[pruned](t, out); len(p.Removed) != 2 || !p.DryRun {
		t.Errorf("prune --dry-run = %+v", p)
	}
	typed(t, exitOK, "snapshot", "prune", "--keep", "1", "--data", dir)
	out, _ = typed(t, exitOK, "snapshot", "list", "--data", dir, "-o", "json")
	if left := decode[[]snapshotInfo](t, out); len(left) != 1 || left[0].ID != all[0].ID {
		t.Errorf("after prune = %+v", left)
	}
}

func TestSnapshotExportImport(t *testing.T) {
	from, to := snapshots(t, 2), snapshots(t, 0)
	file := filepath.Join(t.TempDir(), "backup.tsnap")
	typed(t, exitOK, "snapshot", "export", file, "--data", from)
	_, said := typed(t, exitFailure, "snapshot", "export", file, "--data", from)
	if !strings.Contains(said, "exists") {
		t.Errorf("a second export says %q", said)
	}
	payload, _ := typed(t, exitOK, "snapshot", "export", "-", "--payload", "--data", from)
	if payload != strings.Repeat("\x01", 10_000) {
		t.Errorf("the payload has %d bytes", len(payload))
	}
	out, _ := typed(t, exitOK, "snapshot", "import", file, "--data", to, "-o", "json")
	if i := decode[snapshotInfo](t, out); i.Index != 2 || i.Size != 10_000 {
		t.Errorf("import = %+v", i)
	}
	whole, err := os.ReadFile(file)
	must(t, err)
	whole[len(whole)/2] ^= 1
	must(t, os.WriteFile(file, whole, 0o600))
	typed(t, exitDamage, "snapshot", "import", file, "--data", to)
	out, _ = typed(t, exitOK, "snapshot", "list", "--data", to, "-o", "json")
	if all := decode[[]snapshotInfo](t, out); len(all) != 1 {
		t.Errorf("a damaged import left %+v", all)
	}
}

func TestSnapshotDamage(t *testing.T) {
	dir := snapshots(t, 2)
	files, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.snap*"))
	must(t, err)
	if len(files) != 2 {
		t.Fatalf("files: %v", files)
	}
	b, err := os.ReadFile(files[1])
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(files[1], b, 0o600))
	out, _ := typed(t, exitDamage, "snapshot", "verify", "--data", dir, "-o", "json")
	vs := decode[[]verified](t, out)
	if vs[0].Valid == vs[1].Valid {
		t.Errorf("verify = %+v, want one of two damaged", vs)
	}
	for _, v := range vs {
		if v.Faults != int64(len(v.Damages)) || v.Valid != (v.Faults == 0) {
			t.Errorf("verify = %+v, want as many faults as damages", v)
		}
	}
	file := filepath.Join(t.TempDir(), "out")
	typed(t, exitDamage, "snapshot", "export", file, vs[0].ID, "--payload", "--data", dir)
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that could not be finished is there: %v", err)
	}
}

func TestSnapshotMistakes(t *testing.T) {
	dir := snapshots(t, 1)
	for _, c := range []struct {
		code int
		args string
	}{
		{exitNotFound, "list --data " + filepath.Join(dir, "nowhere")},
		{exitUsage, "inspect nonsense --data " + dir},
		{exitUsage, "inspect a b --data " + dir},
		{exitNotFound, "inspect 0000000000000001-0000000000000009-0000000000000001 --data " + dir},
		{exitUsage, "prune --keep 1 --max-total-size 5 --data " + dir},
		{exitUsage, "prune --keep -1 --data " + dir},
		{exitUsage, "prune --keep 0 --data " + dir},
		{exitUsage, "prune --max-age 0h --data " + dir},
		{exitUsage, "prune --max-total-size 0 --data " + dir},
		{exitUsage, "export --data " + dir},
		{exitUsage, "import --data " + dir},
		{exitNotFound, "import nowhere --data " + dir},
		{exitUsage, "list --nonsense"},
	} {
		typed(t, c.code, append([]string{"snapshot"}, strings.Fields(c.args)...)...)
	}
}

// TestSnapshotVerifyReports damages one chunk of many: the others are reported
// as intact, and the place as one.
func TestSnapshotVerifyReports(t *testing.T) {
	dir := t.TempDir()
	c := config.Default()
	c.Options.NoMembership = true
	s, after, err := c.OpenSnapshots(t.Context(), dir)
	must(t, err)
	w, err := s.Create(t.Context(), snapshot.Info{Index: 1, Term: 1}, &snapshot.CreateOptions{Codec: snapshot.CodecNone})
	must(t, err)
	content := make([]byte, 6<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	_, err = w.Write(content)
	must(t, err)
	m, err := w.Commit()
	must(t, err)
	man, err := s.Manifest(t.Context(), m.ID)
	must(t, err)
	must(t, errors.Join(s.Close(), after.Close()))
	file := filepath.Join(dir, "snapshots", m.ID.String()+".snap")
	b, err := os.ReadFile(file)
	must(t, err)
	broken := man.Chunks[1]
	b[broken.Offset+100] ^= 1
	must(t, os.WriteFile(file, b, 0o600))
	out, _ := typed(t, exitDamage, "snapshot", "verify", "--data", dir, "-o", "json")
	v := decode[[]verified](t, out)[0]
	if v.Valid || v.Faults != 1 || len(v.Damages) != 1 || v.Chunks != int64(len(man.Chunks)-1) || v.Bytes != m.Size-int64(broken.Size) {
		t.Errorf("verify = %+v, want one fault and %d bytes intact of %d", v, m.Size-int64(broken.Size), m.Size)
	}
	if text, _ := typed(t, exitDamage, "snapshot", "verify", "--data", dir); !strings.Contains(text, "DAMAGED in places: 1") {
		t.Errorf("verify says %q", text)
	}
}
