package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

var update = flag.Bool("update", false, "write the golden files anew, for review")

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the two files of the seed mean, with every default.
func TestExamples(t *testing.T) {
	for _, name := range []string{"high-performance", "memory-optimized"} {
		c, err := config.Load("../examples/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		got := c.String()
		for _, n := range c.Notes() {
			got += "# " + n.String() + "\n"
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s.yaml means\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestDefault(t *testing.T) {
	c := config.Default()
	if got := parse(t, c.String()); got.String() != c.String() {
		t.Errorf("Default reads back as\n%s\nwant\n%s", got, c)
	}
	least := parse(t, "raft_storage: {log_storage: {backend_type: append_log}, snapshot_storage: {backend_type: compressed_file}, app_storage: {backend_type: pebble}}")
	if least.String() != c.String() {
		t.Errorf("a file that names the backends only means\n%s\nwant what Default is\n%s", least, c)
	}
}

// document puts the config sections of the three layers, in flow style, into
// a file. A layer that is not given is one that disturbs nothing.
func document(log, snaps, data string) string {
	or := func(given, otherwise string) string {
		if given == "" {
			return otherwise
		}
		return given
	}
	return "raft_storage:\n" +
		"  log_storage: " + or(log, "{backend_type: append_log}") + "\n" +
		"  snapshot_storage: " + or(snaps, "{backend_type: compressed_file}") + "\n" +
		"  app_storage: " + or(data, "{backend_type: pebble}") + "\n"
}

// Each key of each backend, with a value that is not its default, changes the
// field that it should and nothing else.
func TestEveryKeyTakesEffect(t *testing.T) {
	appendLog := func(s string) string { return document("{backend_type: append_log, "+s+"}", "", "") }
	files := func(s string) string { return document("", "{backend_type: compressed_file, "+s+"}", "") }
	pebble := func(s string) string { return document("", "", "{backend_type: pebble, "+s+"}") }
	memory := func(l, s, d string) string {
		return document("{backend_type: memory_log, config: {"+l+"}}", "{backend_type: memory_snapshot, config: {"+s+"}}", "{backend_type: memory, config: {"+d+"}}")
	}
	s3 := func(s string) string { return inS3(s3Place + s) }
	for _, c := range []struct {
		name, without, with string
		change              func(c *config.Config)
	}{
		{"endpoint", s3(""), inS3("endpoint: 'http://other:9000', bucket: bbb, prefix: n"), func(c *config.Config) { c.Snapshots.S3.Endpoint = "http://other:9000" }},
		{"bucket", s3(""), inS3("endpoint: 'https://host', bucket: ccc, prefix: n"), func(c *config.Config) { c.Snapshots.S3.Bucket = "ccc" }},
		{"prefix", s3(""), inS3("endpoint: 'https://host', bucket: bbb, prefix: a/b"), func(c *config.Config) { c.Snapshots.S3.Prefix = "a/b" }},
		{"region", s3(""), s3("region: mars-1"), func(c *config.Config) { c.Snapshots.S3.Region = "mars-1" }},
		{"addressing", s3(""), s3("addressing: virtual_host"), func(c *config.Config) { c.Snapshots.S3.Addressing = s3bucket.AddressingVirtualHost }},
		{"credentials_file", s3(""), s3("credentials_file: /keys"), func(c *config.Config) { c.Snapshots.S3.CredentialsFile = "/keys" }},
		{"profile", s3(""), s3("profile: backup"), func(c *config.Config) { c.Snapshots.S3.Profile = "backup" }},
		{"ca_file", s3(""), s3("ca_file: /ca.pem"), func(c *config.Config) { c.Snapshots.S3.CAFile = "/ca.pem" }},
		{"part_size_mb", s3(""), s3("part_size_mb: 64"), func(c *config.Config) { c.Snapshots.S3.PartSize = 64 << 20 }},
		{"compression of s3", s3("compression_level: 2"), s3("compression_level: 2, compression: gzip"), func(c *config.Config) { c.Snapshots.Compression = snapshot.CodecGzip }},
		{"max_snapshots of s3", s3("max_snapshots: 2"), s3("max_snapshots: 3"), func(c *config.Config) { c.Snapshots.MaxSnapshots = 3 }},
		{"keep_count of s3", s3(""), s3("retention: {strategy: keep_latest, keep_count: 8}"), func(c *config.Config) { c.Snapshots.Retention.KeepCount = 8 }},
		{"health_check_interval_ms", document("", "", ""), document("", "", "") + "  health_check_interval_ms: 250\n",
			func(c *config.Config) { c.HealthCheckInterval = 250 * time.Millisecond }},
		{"disk_soft_limit_mb", document("", "", ""), document("", "", "") + "  disk_soft_limit_mb: 7\n", func(c *config.Config) { c.DiskSoft = 7 << 20 }},
		{"disk_hard_limit_mb", document("", "", ""), document("", "", "") + "  disk_hard_limit_mb: 7\n", func(c *config.Config) { c.DiskHard = 7 << 20 }},
		{"snapshot_compression", files("config: {compression_level: 2}"), files("config: {compression_level: 2}") + "  snapshot_compression: lz4\n",
			func(c *config.Config) { c.Snapshots.Compression = snapshot.CodecLZ4 }},
		{"snapshot_compression of memory_snapshot", memory("", "compression_level: 2", ""), memory("", "compression_level: 2", "") + "  snapshot_compression: gzip\n",
			func(c *config.Config) { c.Snapshots.Compression = snapshot.CodecGzip }},
		{"log path", appendLog("config: {}"), appendLog("path: elsewhere/log"),
			func(c *config.Config) { c.Log.Path = "elsewhere/log" }},
		{"buffer_size", appendLog("config: {}"), appendLog("config: {buffer_size: 7}"),
			func(c *config.Config) { c.Log.BufferSize = 7 }},
		{"sync_policy", appendLog("config: {}"), appendLog("config: {sync_policy: always}"),
			func(c *config.Config) { c.Log.Sync = seglog.SyncAlways }},
		{"flush_interval_ms", appendLog("config: {sync_policy: interval}"), appendLog("config: {sync_policy: interval, flush_interval_ms: 20}"),
			func(c *config.Config) { c.Log.FlushInterval = 20 * time.Millisecond }},
		{"checksum_validation", appendLog("config: {}"), appendLog("config: {checksum_validation: false}"),
			func(c *config.Config) { c.Log.ChecksumValidation = false }},
		{"max_entries", memory("", "", ""), memory("max_entries: 9", "", ""),
			func(c *config.Config) { c.Log.MaxEntries = 9 }},
		{"circular_buffer", memory("max_entries: 9", "", ""), memory("max_entries: 9, circular_buffer: true", "", ""),
			func(c *config.Config) { c.Log.CircularBuffer = true }},
		{"snapshot path", files("config: {}"), files("path: /mnt/other"),
			func(c *config.Config) { c.Snapshots.Path = "/mnt/other" }},
		{"compression", files("config: {compression_level: 2}"), files("config: {compression_level: 2, compression: gzip}"),
			func(c *config.Config) { c.Snapshots.Compression = snapshot.CodecGzip }},
		{"compression none", files("config: {}"), files("config: {compression: none}"),
			func(c *config.Config) { c.Snapshots.Compression, c.Snapshots.Level = snapshot.CodecNone, 0 }},
		{"compression_level", files("config: {}"), files("config: {compression_level: 19}"),
			func(c *config.Config) { c.Snapshots.Level = 19 }},
		{"max_snapshots", memory("", "max_snapshots: 2", ""), memory("", "max_snapshots: 3", ""),
			func(c *config.Config) { c.Snapshots.MaxSnapshots = 3 }},
		{"retention", files("config: {}"), files("config: {retention: {strategy: keep_by_age, max_age_hours: 2}}"),
			func(c *config.Config) {
				c.Snapshots.Retention = snapshot.Policy{Strategy: snapshot.KeepByAge, MaxAge: 2 * time.Hour}
			}},
		{"keep_count", files("config: {}"), files("config: {retention: {strategy: keep_latest, keep_count: 8}}"),
			func(c *config.Config) { c.Snapshots.Retention.KeepCount = 8 }},
		{"max_total_size_mb", files("config: {}"), files("config: {retention: {strategy: size_based_lru, max_total_size_mb: 5}}"),
			func(c *config.Config) {
				c.Snapshots.Retention = snapshot.Policy{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: 5 << 20}
			}},
		{"data path", pebble("config: {}"), pebble("path: db"),
			func(c *config.Config) { c.Data.Path = "db" }},
		{"cache_size_mb", pebble("config: {}"), pebble("config: {cache_size_mb: 3}"),
			func(c *config.Config) { c.Data.CacheSize = 3 << 20 }},
		{"write_buffer_size_mb", pebble("config: {}"), pebble("config: {write_buffer_size_mb: 5}"),
			func(c *config.Config) { c.Data.WriteBufferSize = 5 << 20 }},
		{"max_write_buffer_number", pebble("config: {}"), pebble("config: {max_write_buffer_number: 6}"),
			func(c *config.Config) { c.Data.MaxWriteBuffers = 6 }},
		{"compaction_style", document("", "", "{backend_type: rocksdb}"), document("", "", "{backend_type: rocksdb, config: {compaction_style: universal}}"),
			func(c *config.Config) { c.Data.CompactionStyle = "universal" }},
		{"data sync_policy", pebble("config: {}"), pebble("config: {sync_policy: batch}"),
			func(c *config.Config) { c.Data.Sync = kv.SyncBatch }},
		{"data flush_interval_ms", pebble("config: {sync_policy: interval}"), pebble("config: {sync_policy: interval, flush_interval_ms: 9}"),
			func(c *config.Config) { c.Data.FlushInterval = 9 * time.Millisecond }},
		{"max_size_mb", memory("", "", ""), memory("", "", "max_size_mb: 4"),
			func(c *config.Config) { c.Data.MaxSize = 4 << 20 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, got := parse(t, c.without), parse(t, c.with)
			if reflect.DeepEqual(layers(want), layers(got)) {
				t.Fatalf("no effect:\n%s", got)
			}
			c.change(want)
			if !reflect.DeepEqual(layers(want), layers(got)) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if again := parse(t, got.String()); !reflect.DeepEqual(layers(again), layers(got)) {
				t.Errorf("reads back as\n%s\nwant\n%s", again, got)
			}
		})
	}
}

func layers(c *config.Config) []any {
	return []any{c.HealthCheckInterval, c.DiskSoft, c.DiskHard, c.Log, c.Snapshots, c.Data}
}

// Files are written in many ways.
func TestAccepted(t *testing.T) {
	want := config.Default().String()
	for name, text := range map[string]string{
		"json":           `{"raft_storage": {"log_storage": {"backend_type": "append_log"}, "snapshot_storage": {"backend_type": "compressed_file"}, "app_storage": {"backend_type": "pebble"}}}`,
		"document start": "---\n" + document("", "", "") + "...\n",
		"carriage":       strings.ReplaceAll(document("", "", ""), "\n", "\r\n"),
		"byte order":     "\ufeff" + document("", "", ""),
		"empty config":   document("\n    backend_type: append_log\n    config:\n", "", ""),
		"comments":       "# first\n" + strings.ReplaceAll(document("", "", ""), "}\n", "} # comment\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if got := parse(t, text).String(); got != want {
				t.Errorf("means\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml")); !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Load = %v, want no such file", err)
	}
}
