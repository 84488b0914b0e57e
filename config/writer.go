package config

import (
	"fmt"
	"strconv"
	"strings"
)

// String is the effective configuration: a file that says the same with every
// default written out. Parse reads it back to an equal Config, unless it has a
// secret: that is left out, and Parse misses it.
func (c *Config) String() string {
	var w writer
	w.section("raft_storage", func() {
		w.value("health_check_interval_ms", c.HealthCheckInterval.Milliseconds())
		if c.DiskSoft > 0 {
			w.value("disk_soft_limit_mb", c.DiskSoft/mb)
		}
		if c.DiskHard > 0 {
			w.value("disk_hard_limit_mb", c.DiskHard/mb)
		}
		logs.show(&w, "log_storage", &c.Log, c.Log.Layer)
		buckets.show(&w, "snapshot_storage", &c.Snapshots, c.Snapshots.Layer)
		engines.show(&w, "app_storage", &c.Data, c.Data.Layer)
	})
	return w.String()
}

func (t table[L, D]) show(w *writer, name string, l *L, at Layer) {
	w.section(name, func() {
		w.value("backend_type", at.Backend)
		if at.Path != "" {
			w.value("path", strconv.Quote(at.Path))
		}
		if b := t.find(at.Backend); b != nil {
			w.section("config", func() { b.show(w, l) })
		}
	})
}

// writer writes the little of YAML that a configuration needs.
type writer struct {
	strings.Builder
	depth int
}

func (w *writer) section(name string, inner func()) {
	w.line(name + ":")
	w.depth++
	inner()
	w.depth--
}

func (w *writer) value(key string, v any) { w.line(fmt.Sprintf("%s: %v", key, v)) }

func (w *writer) line(s string) {
	w.WriteString(strings.Repeat("  ", w.depth))
	w.WriteString(s)
	w.WriteByte('\n')
}
