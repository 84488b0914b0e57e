package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
)

// refusal is a file and all that is wrong with it. The file's name is left out
// of want.
type refusal struct {
	name, text string
	want       []string
}

// inLog and its like put a config section into a file where nothing else is
// wrong; it stands in line 2, 3 or 4.
func inLog(s string) string { return document("{backend_type: append_log, config: {"+s+"}}", "", "") }
func inFiles(s string) string {
	return document("", "{backend_type: compressed_file, config: {"+s+"}}", "")
}
func inS3(s string) string     { return document("", "{backend_type: s3, config: {"+s+"}}", "") }
func inPebble(s string) string { return document("", "", "{backend_type: pebble, config: {"+s+"}}") }

const (
	logConfig   = "raft_storage.log_storage.config."
	snapConfig  = "raft_storage.snapshot_storage.config."
	dataConfig  = "raft_storage.app_storage.config."
	s3Place     = "endpoint: 'https://host', bucket: bbb, prefix: n, "
	inMemory    = "{backend_type: memory_snapshot}"
	memoryData  = "{backend_type: memory}"
	memoryLog   = "{backend_type: memory_log}"
	survivalLog = "2:31: raft_storage.log_storage.backend_type: memory_log forgets votes and entries that durable layers go on from: all three layers must be in memory, or the log an append_log"
)

var refusals = []refusal{
	// The file.
	{"empty", "", []string{"the file is empty"}},
	{"comment only", "# nothing\n", []string{"the file is empty"}},
	{"two documents", document("", "", "") + "---\na: 1\n", []string{"the file holds several documents, want one"}},
	{"too large", strings.Repeat("# comment\n", 7000), []string{"the file has 70000 bytes, at most 65536 are read"}},
	{"too deep", "a: " + strings.Repeat("[", 30) + strings.Repeat("]", 30), []string{"1:20: while increasing flow level: nested more than 16 deep"}},
	{"no mapping", "- a\n- b\n", []string{"1:1: want a mapping, not a list"}},
	{"syntax", "raft_storage:\n  log_storage: [1\n", []string{"3:1: while parsing a flow sequence: did not find expected ',' or ']'"}},
	{"tab", "raft_storage:\n\tlog_storage: 1\n", []string{"2:1: while scanning for the next token: found character that cannot start any token"}},
	{"anchor", document("", "", "") + "  health_check_interval_ms: &x 5\n", []string{"5:29: raft_storage.health_check_interval_ms: anchors and aliases are not supported"}},
	{"alias", inLog("buffer_size: &x 5, flush_interval_ms: *x, sync_policy: interval"), []string{
		"2:65: " + logConfig + "buffer_size: anchors and aliases are not supported",
		"2:90: " + logConfig + "flush_interval_ms: anchors and aliases are not supported",
	}},
	{"alias for a section", "x: &x {}\nraft_storage: *x\n", []string{
		"1:1: x: unknown key; known here: raft_storage",
		"1:4: x: anchors and aliases are not supported",
		"2:15: raft_storage: anchors and aliases are not supported",
	}},
	{"merge key", document("", "", "") + "  <<: {a: b}\n", []string{"5:3: raft_storage: merge keys are not supported"}},
	{"tag", inLog("buffer_size: !!int 5"), []string{"2:65: " + logConfig + "buffer_size: tags are not supported"}},
	{"key that is no name", document("", "", "") + "  [a]: b\n", []string{"5:3: raft_storage: a key must be a name"}},

	// Keys.
	{"limits", document("", "", "") + "  disk_soft_limit_mb: 9\n  disk_hard_limit_mb: 8\n", []string{"5:23: raft_storage.disk_soft_limit_mb: is above disk_hard_limit_mb"}},
	{"no raft_storage", "raft_storge: {}\n", []string{`1:1: raft_storage: missing`, `1:1: raft_storge: unknown key; did you mean "raft_storage"?`}},
	{"other section", document("", "", "") + "node: {id: 1}\n", []string{`5:1: node: unknown key; known here: raft_storage`}},
	{"layers missing", "raft_storage:\n", []string{
		"1:1: raft_storage.log_storage.backend_type: missing; want append_log or memory_log",
		"1:1: raft_storage.snapshot_storage.backend_type: missing; want compressed_file, memory_snapshot or s3",
		"1:1: raft_storage.app_storage.backend_type: missing; want pebble, rocksdb or memory",
	}},
	{"layer is no mapping", document("append_log", "", ""), []string{`2:16: raft_storage.log_storage: want a mapping, not the text "append_log"`}},
	{"given twice", inLog("buffer_size: 5, buffer_size: 6"), []string{"2:68: " + logConfig + "buffer_size: given twice, first in line 2"}},
	{"misspelled", inLog("bufer_size: 5, flush-interval-ms: 6, checksums: true"), []string{
		"2:52: " + logConfig + `bufer_size: unknown key; did you mean "buffer_size"?`,
		"2:67: " + logConfig + `flush-interval-ms: unknown key; did you mean "flush_interval_ms"?`,
		"2:89: " + logConfig + "checksums: unknown key; known here: buffer_size, sync_policy, flush_interval_ms and checksum_validation",
	}},
	{"odd keys", inLog("'a b\\n': 1, '': 2"), []string{
		"2:52: " + logConfig + `"a b\\n": unknown key; known here: buffer_size, sync_policy, flush_interval_ms and checksum_validation`,
		"2:64: " + logConfig + `"": unknown key; known here: buffer_size, sync_policy, flush_interval_ms and checksum_validation`,
	}},
	{"key of another backend", inLog("max_entries: 5"), []string{"2:52: " + logConfig + "max_entries: append_log has no such key; memory_log has"}},
	{"key of other engines", document("", "", "{backend_type: memory, config: {cache_size_mb: 5}}"), []string{"4:48: " + dataConfig + "cache_size_mb: memory has no such key; pebble and rocksdb have"}},

	// Values.
	{"text for a number", inLog("buffer_size: '5', flush_interval_ms: soon, sync_policy: interval"), []string{
		"2:65: " + logConfig + `buffer_size: want a whole number, not the text "5"`,
		"2:89: " + logConfig + `flush_interval_ms: want a whole number, not the text "soon"`,
	}},
	{"numbers of other readers", inLog("buffer_size: 0x10, flush_interval_ms: 010, sync_policy: interval"), []string{
		"2:65: " + logConfig + "buffer_size: want a whole number, not 0x10",
		"2:90: " + logConfig + "flush_interval_ms: want a whole number, not 010",
	}},
	{"fractions", inLog("buffer_size: 1.5, flush_interval_ms: 1e3, sync_policy: interval"), []string{
		"2:65: " + logConfig + "buffer_size: want a whole number, not 1.5",
		"2:89: " + logConfig + "flush_interval_ms: want a whole number, not 1e3",
	}},
	{"out of range", inLog("buffer_size: 0, flush_interval_ms: -1, sync_policy: interval"), []string{
		"2:65: " + logConfig + "buffer_size: want 1 to 1000000, not 0",
		"2:87: " + logConfig + "flush_interval_ms: want 1 to 3600000, not -1",
	}},
	{"beyond 64 bits", inLog("buffer_size: 99999999999999999999"), []string{"2:65: " + logConfig + "buffer_size: want 1 to 1000000, not 99999999999999999999"}},
	{"no value", inLog("buffer_size: , sync_policy: ~"), []string{
		"2:52: " + logConfig + "buffer_size: has no value",
		"2:80: " + logConfig + "sync_policy: has no value",
	}},
	{"booleans of other readers", inLog("checksum_validation: yes"), []string{"2:73: " + logConfig + `checksum_validation: want true or false, not the text "yes"`}},
	{"capital", inLog("checksum_validation: True"), []string{"2:73: " + logConfig + `checksum_validation: want true or false, not True`}},
	{"list for a choice", inLog("sync_policy: [batch]"), []string{"2:52: " + logConfig + "sync_policy: want always, batch, interval or never, not a list"}},
	{"unknown choice", inLog("sync_policy: sometimes"), []string{"2:65: " + logConfig + `sync_policy: unknown value "sometimes"; want always, batch, interval or never`}},
	{"misspelled choice", inLog("sync_policy: allways"), []string{"2:65: " + logConfig + `sync_policy: unknown value "allways"; did you mean "always"?`}},
	{"long text", inLog("sync_policy: " + strings.Repeat("x", 1000)), []string{"2:65: " + logConfig + `sync_policy: unknown value "` + strings.Repeat("x", 59) + `...; want always, batch, interval or never`}},
	{"negative health interval", document("", "", "") + "  health_check_interval_ms: -5\n", []string{"5:29: raft_storage.health_check_interval_ms: want 1 to 86400000, not -5"}},

	// Backends.
	{"misspelled backend, and what follows from it", document("{backend_type: apend_log, config: {bufer_size: 5}}", "", ""), []string{
		`2:31: raft_storage.log_storage.backend_type: unknown value "apend_log"; did you mean "append_log"?`,
		"2:51: " + logConfig + `bufer_size: unknown key; did you mean "buffer_size"?`,
	}},
	{"unknown backend", document("", "", "{backend_type: leveldb, config: {anything: 1}}"), []string{`4:31: raft_storage.app_storage.backend_type: unknown value "leveldb"; want pebble, rocksdb or memory`}},
	{"unknown backend beside volatile ones", document("{backend_type: tape, path: data}", inMemory, memoryData), []string{`2:31: raft_storage.log_storage.backend_type: unknown value "tape"; want append_log or memory_log`}},
	{"s3 without a place", document("", "{backend_type: s3}", ""), []string{
		"3:3: " + snapConfig + "endpoint: missing; want https:// or http:// and a host",
		"3:3: " + snapConfig + "bucket: missing; want the name of a bucket that exists",
	}},
	{"s3 without values", inS3("endpoint: , bucket: ''"), []string{
		"3:49: " + snapConfig + "endpoint: has no value",
		"3:69: " + snapConfig + "bucket: is empty; want the name of a bucket that exists",
	}},
	{"places of s3", inS3("endpoint: 'http://key:hush@host', bucket: a/b, prefix: /x/"), []string{
		"3:59: " + snapConfig + "endpoint: holds credentials, which belong elsewhere",
		"3:91: " + snapConfig + `bucket: name "a/b": want 3 to 63 letters, digits, dots, hyphens and underscores`,
		"3:104: " + snapConfig + `prefix: "/x/": want names of letters, digits, dots, hyphens and underscores with slashes between`,
	}},
	{"endpoint of s3", inS3("endpoint: 's3.example.com', bucket: bbb"), []string{
		"3:59: " + snapConfig + "endpoint: must begin with https:// or http://",
	}},
	{"half of the credentials", inS3(s3Place + "access_key_id: a"), []string{"3:114: " + snapConfig + "access_key_id: needs secret_access_key"}},
	{"other half of the credentials", inS3(s3Place + "secret_access_key: hush"), []string{"3:118: " + snapConfig + "secret_access_key: needs access_key_id"}},
	{"two credentials", inS3(s3Place + "access_key_id: a, secret_access_key: hush, profile: p"), []string{
		"3:114: " + snapConfig + "access_key_id: and credentials_file or profile are two answers to one question",
	}},
	{"secret that is no text", inS3(s3Place + "access_key_id: a, secret_access_key: 12345678"), []string{
		"3:136: " + snapConfig + "secret_access_key: want a text that is not empty, in quotes",
	}},
	{"files of s3", inS3(s3Place + "credentials_file: keys, ca_file: ''"), []string{
		"3:117: " + snapConfig + `credentials_file: "keys" is not an absolute path`,
		"3:132: " + snapConfig + `ca_file: "" is not an absolute path`,
	}},
	{"certificates without TLS", inS3("endpoint: 'http://host', bucket: bbb, ca_file: /ca.pem"), []string{"3:96: " + snapConfig + "ca_file: the endpoint has no TLS"}},
	{"sizes and names of s3", inS3(s3Place + "part_size_mb: 4, addressing: vhost"), []string{
		"3:113: " + snapConfig + "part_size_mb: want 5 to 5120, not 4",
		"3:128: " + snapConfig + `addressing: unknown value "vhost"; want auto, path or virtual_host`,
	}},
	{"key of s3", inFiles("bucket: b"), []string{"3:62: " + snapConfig + "bucket: compressed_file has no such key; s3 has"}},
	{"s3 without a log on disk", document(memoryLog, "{backend_type: s3, config: {"+s3Place+"}}", memoryData), []string{survivalLog}},
	{"circular without a size", document("{backend_type: memory_log, config: {circular_buffer: true}}", inMemory, memoryData), []string{"2:69: " + logConfig + "circular_buffer: needs max_entries, the size of the buffer"}},
	{"compaction of pebble", inPebble("compaction_style: universal"), []string{"4:66: " + dataConfig + "compaction_style: pebble has no universal compaction, only level"}},
	{"unknown compaction", inPebble("compaction_style: leveled"), []string{"4:66: " + dataConfig + `compaction_style: unknown value "leveled"; did you mean "level"?`}},
	{"engine sizes", inPebble("cache_size_mb: 0, write_buffer_size_mb: 2000, max_write_buffer_number: 1"), []string{
		"4:63: " + dataConfig + "cache_size_mb: want 1 to 1073741824, not 0",
		"4:88: " + dataConfig + "write_buffer_size_mb: want 1 to 1024, not 2000",
		"4:119: " + dataConfig + "max_write_buffer_number: want 2 to 1024, not 1",
	}},

	// Compression and retention.
	{"level of zstd", inFiles("compression_level: 23"), []string{"3:81: " + snapConfig + "compression_level: zstd has levels 1 to 22, not 23"}},
	{"level of gzip", inFiles("compression: gzip, compression_level: 0"), []string{"3:100: " + snapConfig + "compression_level: gzip has levels 1 to 9, not 0"}},
	{"level of none", inFiles("compression: none, compression_level: 1"), []string{"3:100: " + snapConfig + "compression_level: compression none has no levels"}},
	{"level of the common codec", inFiles("compression_level: 12") + "  snapshot_compression: lz4\n", []string{"3:81: " + snapConfig + "compression_level: lz4 has levels 1 to 9, not 12"}},
	{"level of an unknown codec", inFiles("compression: brotli, compression_level: 99"), []string{"3:75: " + snapConfig + `compression: unknown value "brotli"; want none, gzip, lz4 or zstd`}},
	{"two codecs", inFiles("compression: gzip") + "  snapshot_compression: zstd\n", []string{"5:25: raft_storage.snapshot_compression: is zstd, and snapshot_storage has compression gzip"}},
	{"no strategy", inFiles("retention: {keep_count: 2}"), []string{"3:62: " + snapConfig + "retention.strategy: missing; want keep_latest, keep_by_age, combined or size_based_lru"}},
	{"retention lacks", inFiles("retention: {strategy: combined}"), []string{
		"3:84: " + snapConfig + "retention.strategy: combined needs keep_count",
		"3:84: " + snapConfig + "retention.strategy: combined needs max_age_hours",
	}},
	{"retention by size", inFiles("retention: {strategy: size_based_lru, max_total_size_mb: 0}"), []string{"3:119: " + snapConfig + "retention.max_total_size_mb: want 1 to 1073741824, not 0"}},
	{"retention keeps nothing", inFiles("retention: {strategy: keep_latest, keep_count: 0}"), []string{"3:109: " + snapConfig + "retention.keep_count: want 1 to 2147483647, not 0"}},

	// Paths.
	{"path of memory", document("{backend_type: memory_log, path: x}", inMemory, memoryData), []string{"2:49: raft_storage.log_storage.path: memory_log keeps nothing on disk"}},
	{"paths that mislead", document("{backend_type: append_log, path: ~/log}", "{backend_type: compressed_file, path: $HOME/s}", "{backend_type: pebble, path: ../data}"), []string{
		`2:49: raft_storage.log_storage.path: "~/log" is taken literally: neither ~ nor variables are expanded`,
		`3:59: raft_storage.snapshot_storage.path: "$HOME/s" is taken literally: neither ~ nor variables are expanded`,
		`4:45: raft_storage.app_storage.path: "../data" leaves the directory of the storage: give an absolute path`,
	}},
	{"empty path", document("{backend_type: append_log, path: ''}", "", ""), []string{"2:49: raft_storage.log_storage.path: is empty"}},
	{"number as path", document("{backend_type: append_log, path: 5}", "", ""), []string{"2:49: raft_storage.log_storage.path: want a text, not 5: put it in quotes"}},
	{"list as path", document("{backend_type: append_log, path: [a]}", "", ""), []string{"2:43: raft_storage.log_storage.path: want a text, not a list"}},
	{"one path for two", document("{backend_type: append_log, path: a/./b}", "", "{backend_type: pebble, path: a/b/}"), []string{
		`4:45: raft_storage.app_storage.path: "a/b/" and the path of log_storage, "a/./b", must not be the same or one inside the other`,
	}},
	{"one path inside another", document("{backend_type: append_log, path: data/log}", "", ""), []string{
		`4:3: raft_storage.app_storage.path: "data" and the path of log_storage, "data/log", must not be the same or one inside the other`,
	}},
	{"absolute paths", document("", "{backend_type: compressed_file, path: /srv}", "{backend_type: pebble, path: /srv/x}"), []string{
		`4:45: raft_storage.app_storage.path: "/srv/x" and the path of snapshot_storage, "/srv", must not be the same or one inside the other`,
	}},

	// Layers that do not go together.
	{"log forgets, all else stays", document(memoryLog, "", ""), []string{survivalLog}},
	{"log forgets, data stays", document(memoryLog, inMemory, ""), []string{survivalLog}},
	{"log forgets, snapshots stay", document(memoryLog, "", memoryData), []string{survivalLog}},
	{"snapshots forget", document("", inMemory, ""), []string{
		"3:36: raft_storage.snapshot_storage.backend_type: memory_snapshot forgets what the log was compacted behind: it needs a memory_log, or the snapshots a compressed_file",
	}},
}

func TestRefusals(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			c, err := config.Parse("f", []byte(r.text))
			var mistakes config.Mistakes
			if c != nil || !errors.As(err, &mistakes) || !errors.Is(err, fault.ErrInvalid) {
				t.Fatalf("Parse = %v, %v, want Mistakes", c, err)
			}
			want := make([]string, len(r.want))
			for i, w := range r.want {
				want[i] = "f:" + w
				if w[0] < '0' || w[0] > '9' {
					want[i] = "f: " + w
				}
			}
			if got := err.Error(); got != strings.Join(want, "\n") {
				t.Errorf("Parse =\n%s\nwant\n%s\nof\n%s", got, strings.Join(want, "\n"), r.text)
			}
		})
	}
}

// One reading finds what is wrong all over a file, in its order.
func TestAllAtOnce(t *testing.T) {
	const text = `raft_storage:
  health_check_interval_ms: never
  log_storage:
    backend_type: "append_log"
    config:
      buffer_size: 0
      sync_polcy: "batch"
  snapshot_storage:
    backend_type: "compressed_file"
    config:
      compression: "zstd"
      compression_level: 30
      retention:
        strategy: "keep_lates"
        keep_count: many
  app_storage:
    backend_type: "rocksdb"
    config:
      compaction_style: "tiered"
      max_size_mb: 5
extra: 1
`
	const want = `n.yaml:2:29: raft_storage.health_check_interval_ms: want a whole number, not the text "never"
n.yaml:6:20: raft_storage.log_storage.config.buffer_size: want 1 to 1000000, not 0
n.yaml:7:7: raft_storage.log_storage.config.sync_polcy: unknown key; did you mean "sync_policy"?
n.yaml:12:26: raft_storage.snapshot_storage.config.compression_level: zstd has levels 1 to 22, not 30
n.yaml:14:19: raft_storage.snapshot_storage.config.retention.strategy: unknown value "keep_lates"; did you mean "keep_latest"?
n.yaml:15:21: raft_storage.snapshot_storage.config.retention.keep_count: want a whole number, not the text "many"
n.yaml:19:25: raft_storage.app_storage.config.compaction_style: unknown value "tiered"; want level, universal or fifo
n.yaml:20:7: raft_storage.app_storage.config.max_size_mb: rocksdb has no such key; memory has
n.yaml:21:1: extra: unknown key; known here: raft_storage`
	_, err := config.Parse("n.yaml", []byte(text))
	if err == nil || err.Error() != want {
		t.Errorf("Parse =\n%v\nwant\n%s", err, want)
	}
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 9 {
		t.Fatalf("%d mistakes, want 9", len(mistakes))
	}
	first := mistakes[0]
	if first.File != "n.yaml" || first.Line != 2 || first.Column != 29 || first.Path != "raft_storage.health_check_interval_ms" {
		t.Errorf("first mistake is at %+v", first.Place)
	}
	if !errors.Is(first, fault.ErrInvalid) {
		t.Errorf("%v does not match ErrInvalid", first)
	}
}

// A message stays readable when everything is wrong.
func TestManyMistakes(t *testing.T) {
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	_, err := config.Parse("f", []byte(b.String()))
	if err == nil || strings.Count(err.Error(), "\n") != 100 || !strings.HasSuffix(err.Error(), "\nand 401 more") {
		t.Errorf("Parse = %v, want a hundred lines and the number of the others", err)
	}
}
