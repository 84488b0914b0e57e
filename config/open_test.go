package config_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// feed appends entries to the log and applies them: a configuration first, then
// commands that put their own payload.
func feed(st *trimaran.Storage, n int) error {
	last, err := st.Log().LastIndex()
	if err != nil {
		return err
	}
	var entries []raftlog.Entry
	for i := range uint64(n) {
		e := raftlog.Entry{Index: last + 1 + i, Term: 1, Data: fmt.Appendf(nil, "command %d", last+1+i)}
		if e.Index == 1 {
			e.Kind, e.Data = raftlog.Configuration, []byte("members")
		}
		entries = append(entries, e)
	}
	if err := st.Log().Append(entries...); err != nil {
		return err
	}
	return st.Apply(context.Background(), entries, func(tx *kv.WriteTx, e raftlog.Entry) error { return tx.Put(e.Data, e.Data) })
}

// use opens, feeds, takes a snapshot, and closes.
func use(t *testing.T, open func() (*trimaran.Storage, error)) {
	t.Helper()
	st, err := open()
	if err != nil {
		t.Fatal(err)
	}
	err = feed(st, 5)
	if err == nil {
		_, err = st.Snapshot(t.Context(), 0)
	}
	if err = errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
}

// rows is how many there are after a restart.
func rows(t *testing.T, open func() (*trimaran.Storage, error)) uint64 {
	t.Helper()
	st, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	mark, err := st.KV().Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return mark.Index
}

func TestOpenDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	open := func() (*trimaran.Storage, error) { return config.OpenDir(dir, nil) }
	use(t, open)
	use(t, open)
	if n := rows(t, open); n != 10 {
		t.Errorf("%d entries are applied after a restart, want 10", n)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"data", "log", "snapshots"}; !slices.Equal(names, want) {
		t.Errorf("the directory holds %q, want %q", names, want)
	}
}

// A second open finds the log locked, and leaves nothing open itself.
func TestOpenLocked(t *testing.T) {
	dir := t.TempDir()
	st, err := config.OpenDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.OpenDir(dir, nil); !errors.Is(err, fault.ErrLocked) {
		t.Errorf("second OpenDir = %v, want ErrLocked", err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	use(t, func() (*trimaran.Storage, error) { return config.OpenDir(dir, nil) })
}

// A layer that cannot be opened closes those before it.
func TestOpenFailsHalfway(t *testing.T) {
	for _, layer := range []string{"log", "snapshots", "data"} {
		t.Run(layer, func(t *testing.T) {
			dir := t.TempDir()
			inTheWay := filepath.Join(dir, layer)
			if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if st, err := config.OpenDir(dir, nil); st != nil || err == nil {
				t.Fatalf("OpenDir with a file in the way of %s = %v, %v", layer, st, err)
			}
			if err := os.Remove(inTheWay); err != nil {
				t.Fatal(err)
			}
			use(t, func() (*trimaran.Storage, error) { return config.OpenDir(dir, nil) })
		})
	}
}

func TestOpenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if st, err := config.Default().Open(ctx, t.TempDir()); st != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, %v, want Canceled", st, err)
	}
}

func TestOpenInMemory(t *testing.T) {
	c, err := config.Load("../examples/memory-optimized.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "none")
	st, err := c.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !st.Log().Volatile() || !st.Snapshots().Volatile() {
		t.Error("log and snapshots are not volatile")
	}
	if err := errors.Join(feed(st, 5), st.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want it never made", dir, err)
	}
}

// The limits of a file hold in what is opened.
func TestLimitsTakeEffect(t *testing.T) {
	c := parse(t, document("{backend_type: memory_log, config: {max_entries: 4}}", inMemory, "{backend_type: memory, config: {max_size_mb: 1}}"))
	st, err := c.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := feed(st, 5); !errors.Is(err, fault.ErrFull) {
		t.Errorf("5 entries where 4 may be = %v, want ErrFull", err)
	}
	if err := feed(st, 2); err != nil {
		t.Fatal(err)
	}
	large := raftlog.Entry{Index: 3, Term: 1, Data: make([]byte, 2<<20)}
	err = st.Apply(t.Context(), []raftlog.Entry{large}, func(tx *kv.WriteTx, e raftlog.Entry) error { return tx.Put([]byte("k"), e.Data) })
	if !errors.Is(err, fault.ErrFull) {
		t.Errorf("2 MB where 1 may be = %v, want ErrFull", err)
	}
}

func TestRetentionTakesEffect(t *testing.T) {
	c := parse(t, inFiles("compression: none, retention: {strategy: keep_latest, keep_count: 2}"))
	dir := t.TempDir()
	st, err := c.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range 4 {
		if err := feed(st, 2); err != nil {
			t.Fatal(err)
		}
		m, err := st.Snapshot(t.Context(), 0)
		if err != nil || m.Codec.String() != "none" {
			t.Fatalf("Snapshot = %v, %v, want one without compression", m, err)
		}
	}
	containers, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.snap"))
	if err != nil || len(containers) != 2 {
		t.Errorf("snapshots on disk: %q, %v, want two", containers, err)
	}
}

func TestPathsLeadElsewhere(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	c := parse(t, document("{backend_type: append_log, path: fast/log}", "{backend_type: compressed_file, path: '"+other+"'}", ""))
	use(t, func() (*trimaran.Storage, error) { return c.Open(t.Context(), dir) })
	for _, name := range []string{filepath.Join(dir, "fast", "log", "IDENTITY"), filepath.Join(other, ".lock"), filepath.Join(dir, "data")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// Only with the directory at hand can it be seen that two paths are one.
func TestPathsMeetAtOpen(t *testing.T) {
	dir := t.TempDir()
	c := parse(t, document("", "", "{backend_type: pebble, path: '"+filepath.Join(dir, "log")+"'}"))
	_, err := c.Open(t.Context(), dir)
	if !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), "must not be the same") {
		t.Errorf("Open = %v, want ErrInvalid", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the directory holds %v, %v, want nothing made", entries, err)
	}
}

func TestOpenInFS(t *testing.T) {
	o := &config.Options{FS: vfs.NewMem(), NoMembership: true, Storage: trimaran.Options{Owner: trimaran.OwnerLibrary}}
	open := func() (*trimaran.Storage, error) { return config.OpenDir("node", o) }
	use(t, open)
	if n := rows(t, open); n != 5 {
		t.Errorf("%d entries are applied after a restart, want 5", n)
	}
	c := parse(t, document("", "{backend_type: compressed_file, path: /elsewhere}", ""))
	c.Options = *o
	if _, err := c.Open(t.Context(), "node"); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Open with an absolute path in an FS = %v, want ErrInvalid", err)
	}
}

// What a program changes in a Config is checked as a file is.
func TestOpenChangedConfig(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"unknown backend":     func(c *config.Config) { c.Log.Backend = "tape" },
		"unknown bucket":      func(c *config.Config) { c.Snapshots.Backend = "tape" },
		"unknown engine":      func(c *config.Config) { c.Data.Backend = "" },
		"volatile log":        func(c *config.Config) { c.Log.Backend = "memory_log" },
		"volatile snapshots":  func(c *config.Config) { c.Snapshots.Backend = "memory_snapshot" },
		"one path":            func(c *config.Config) { c.Log.Path = "data" },
		"level of the codec":  func(c *config.Config) { c.Snapshots.Level = 100 },
		"sizes of the engine": func(c *config.Config) { c.Data.WriteBufferSize = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := config.Default()
			change(c)
			if st, err := c.Open(t.Context(), t.TempDir()); st != nil || !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("Open = %v, %v, want ErrInvalid", st, err)
			}
		})
	}
}

// The layers can be opened one by one.
func TestOpenLayers(t *testing.T) {
	dir := t.TempDir()
	use(t, func() (*trimaran.Storage, error) { return config.OpenDir(dir, nil) })
	c := config.Default()
	l, driver, err := c.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if last, err := l.LastIndex(); err != nil || last != 5 {
		t.Errorf("last index = %d, %v, want 5", last, err)
	}
	s, staging, err := c.OpenSnapshots(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Latest(t.Context()); err != nil || m.Index != 5 {
		t.Errorf("latest snapshot = %+v, %v, want one of index 5", m, err)
	}
	k, err := c.OpenData(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := k.Get(t.Context(), []byte("command 3")); err != nil || string(v) != "command 3" {
		t.Errorf("Get = %q, %v", v, err)
	}
	if err := errors.Join(k.Close(), s.Close(), staging.Close(), l.Close(), driver.Close()); err != nil {
		t.Fatal(err)
	}
}

// Health knows the room on the disk, and that checksums are not looked at again.
func TestHealthOfWhatIsConfigured(t *testing.T) {
	for _, c := range []struct {
		text string
		want trimaran.State
		free bool
	}{
		{document("", "", ""), trimaran.Healthy, true},
		{document("{backend_type: append_log, config: {checksum_validation: false}}", "", ""), trimaran.Degraded, true},
		{document("{backend_type: memory_log}", "{backend_type: memory_snapshot}", "{backend_type: memory}"), trimaran.Degraded, false},
	} {
		st, err := parse(t, c.text).Open(t.Context(), filepath.Join(t.TempDir(), "node"))
		if err != nil {
			t.Fatal(err)
		}
		if h := st.Health(t.Context()); h.Log.State != c.want || h.DiskFree > 0 != c.free {
			t.Errorf("health of\n%s\nis %+v", c.text, h)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}
