package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trimarandb/trimaran/vfs"
)

// conflict is something that two layers cannot have together.
type conflict struct {
	layer, key string // whose value to change
	message    string
}

// checkTogether reports at parse time what Open would refuse as well.
func (c *Config) checkTogether(s *Section) {
	for _, x := range append(c.survival(), c.paths("")...) {
		s.Section(x.layer).Fail(x.key, "%s", x.message)
	}
	if logs.volatile(c.Log.Layer) {
		s.Section("log_storage").Note("backend_type", "nothing survives a restart, votes included: for tests, and for a node that is the only voter of its group")
	} else if engines.volatile(c.Data.Layer) {
		s.Section("app_storage").Note("backend_type", "the data is built anew at each start, from the newest snapshot and the log")
	}
}

func (t table[L, D]) volatile(l Layer) bool {
	b := t.find(l.Backend)
	return b != nil && b.volatile
}

// survival refuses layers of which one relies on another that does not survive.
// It says nothing while a backend is not known.
func (c *Config) survival() (found []conflict) {
	if logs.find(c.Log.Backend) == nil || buckets.find(c.Snapshots.Backend) == nil || engines.find(c.Data.Backend) == nil {
		return nil
	}
	log, snaps, data := logs.volatile(c.Log.Layer), buckets.volatile(c.Snapshots.Layer), engines.volatile(c.Data.Layer)
	switch {
	case log && (!snaps || !data):
		found = append(found, conflict{"log_storage", "backend_type",
			"memory_log forgets votes and entries that durable layers go on from: all three layers must be in memory, or the log an append_log"})
	case snaps && !log:
		found = append(found, conflict{"snapshot_storage", "backend_type",
			"memory_snapshot forgets what the log was compacted behind: it needs a memory_log, or the snapshots a compressed_file"})
	}
	return found
}

// paths refuses layers in one directory, or in each other's. Without a
// directory only those are compared of which the answer is certain.
func (c *Config) paths(dir string) (found []conflict) {
	layers := []struct {
		name string
		Layer
	}{{"log_storage", c.Log.Layer}, {"snapshot_storage", c.Snapshots.Layer}, {"app_storage", c.Data.Layer}}
	for i, b := range layers {
		for _, a := range layers[:i] {
			if a.Path == "" || b.Path == "" {
				continue
			}
			p, q := resolve(nil, dir, a.Path), resolve(nil, dir, b.Path)
			if inside(p, q) || inside(q, p) {
				found = append(found, conflict{b.name, "path", quote(b.Path) + " and the path of " + a.name + ", " + quote(a.Path) + ", must not be the same or one inside the other"})
				break
			}
		}
	}
	return found
}

// inside reports whether q is p or below it. Of a relative and an absolute
// path that cannot be known.
func inside(p, q string) bool {
	rel, err := filepath.Rel(p, q)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Check says whether this program can open what the configuration asks for; a
// file that loads is valid, but may name an engine that the program was built
// without. It touches no files.
func (c *Config) Check() error {
	if found := c.survival(); len(found) > 0 {
		return found[0].mistake()
	}
	if c.Data.Backend == "rocksdb" {
		if err := missingRocksDB(); err != nil {
			return fmt.Errorf("%v: %w", c.engine, err)
		}
	}
	return nil
}

func (x conflict) mistake() error {
	return Mistake{Place{Path: "raft_storage." + x.layer + "." + x.key}, x.message}
}

// checkIn is Check with a directory, where paths can be compared.
func (c *Config) checkIn(fsys vfs.FS, dir string) error {
	if err := c.Check(); err != nil {
		return err
	}
	for _, l := range []Layer{c.Log.Layer, c.Snapshots.Layer, c.Data.Layer} {
		if fsys != nil && filepath.IsAbs(l.Path) {
			return Mistake{Message: "path " + quote(l.Path) + " is absolute, and Options.FS has no such paths"}
		}
	}
	if fsys == nil {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		dir = abs
	}
	if found := c.paths(dir); len(found) > 0 {
		return found[0].mistake()
	}
	return nil
}
