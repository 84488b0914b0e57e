package config_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
)

// node is what a program with a section of its own might read.
type node struct {
	id      int64
	address string
	tls     bool
	zones   []string
	peers   []string
}

func readNode(s *config.Section) node {
	n := node{
		id:      s.Int("id", 0, 1, 1000),
		address: s.Text("address", ":8500"),
		tls:     s.Section("tls").Bool("enabled", false),
		zones:   s.Texts("zones"),
	}
	for _, p := range s.Sections("peers") {
		n.peers = append(n.peers, fmt.Sprintf("%d at %s", p.Int("id", 0, 1, 1000), p.Text("address", "")))
	}
	if n.tls && !s.Section("tls").Has("certificate") {
		s.Section("tls").Fail("enabled", "needs certificate")
	}
	_ = s.Section("tls").Text("certificate", "")
	if n.id == 1 {
		s.Note("id", "is the first")
	}
	return n
}

const storage = "\nraft_storage: {log_storage: {backend_type: append_log}, snapshot_storage: {backend_type: compressed_file}, app_storage: {backend_type: pebble}}\n"

func TestSectionBesideStorage(t *testing.T) {
	d := config.Read("node.yaml", []byte(`
node:
  id: 1
  address: "10.0.0.1:8500"
  zones: [a, "b"]
  tls: {enabled: true, certificate: x.pem}
  peers:
    - {id: 2, address: "10.0.0.2:8500"}
    - id: 3
      address: "10.0.0.3:8500"
`+storage))
	n := readNode(d.Root().Section("node"))
	c := d.Storage()
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	want := node{1, "10.0.0.1:8500", true, []string{"a", "b"}, []string{"2 at 10.0.0.2:8500", "3 at 10.0.0.3:8500"}}
	if fmt.Sprint(n) != fmt.Sprint(want) {
		t.Errorf("node = %v, want %v", n, want)
	}
	if c.String() != config.Default().String() {
		t.Errorf("storage = %s", c)
	}
	if notes := d.Notes(); len(notes) != 1 || notes[0].String() != "node.yaml:3:7: node.id: is the first" {
		t.Errorf("notes = %v", notes)
	}
}

func TestSectionMistakes(t *testing.T) {
	d := config.Read("n", []byte(`node:
  id: 0
  addr: ":1"
  zones: [a, 5, [b]]
  tls: on
  peers:
    - {id: 2, addrezz: "x"}
    - 7
extra:
  a: 1
`+storage))
	_ = readNode(d.Root().Section("node"))
	_ = d.Storage()
	const want = `n:2:7: node.id: want 1 to 1000, not 0
n:3:3: node.addr: unknown key; known here: id, address, tls, zones and peers
n:4:14: node.zones[1]: want a text, not 5
n:4:17: node.zones[2]: want a text, not a list
n:5:8: node.tls: want a mapping, not the text "on"
n:7:15: node.peers[0].addrezz: unknown key; did you mean "address"?
n:8:7: node.peers[1]: want a mapping, not 7
n:9:1: extra: unknown key; known here: node and raft_storage`
	for range 2 { // the second time changes nothing
		if err := d.Finish(); err == nil || err.Error() != want {
			t.Errorf("Finish =\n%v\nwant\n%s", err, want)
		}
	}
}

func TestAbsentSection(t *testing.T) {
	d := config.Read("n", []byte(storage))
	s := d.Root().Section("node")
	n := readNode(s)
	if s.Present() || n.address != ":8500" || len(n.peers) > 0 {
		t.Errorf("an absent section reads as %v", n)
	}
	s.Fail("id", "missing")
	_ = d.Storage()
	if err := d.Finish(); err == nil || err.Error() != "n:2:1: node.id: missing" {
		t.Errorf("Finish = %v", err)
	}
}

// What cannot be read at all is one mistake, whoever asks for what.
func TestBrokenDocument(t *testing.T) {
	d := config.Read("n", []byte("node: [\n"))
	_ = readNode(d.Root().Section("node"))
	_ = d.Storage()
	err := d.Finish()
	if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.HasPrefix(err.Error(), "n:2:1: ") {
		t.Errorf("Finish = %v, want one mistake", err)
	}
}

func TestOtherKindsThanWanted(t *testing.T) {
	d := config.Read("n", []byte("a: x\nb: {c: 1}\nd: [1]\ne: -3\n"))
	if got := d.Root().Sections("a"); got != nil {
		t.Errorf("Sections(a) = %v", got)
	}
	if got := d.Root().Texts("b"); got != nil {
		t.Errorf("Texts(b) = %v", got)
	}
	if got := d.Root().Choice("d", "", "x", "y"); got != "" {
		t.Errorf("Choice(d) = %q", got)
	}
	if got := d.Root().Int("e", 7, 0, math.MaxInt64); got != 7 {
		t.Errorf("Int(e) = %d, want the default", got)
	}
	const want = `n:1:4: a: want a list of mappings, not the text "x"
n:2:1: b: want a list of texts, not a mapping
n:3:1: d: want x or y, not a list
n:4:4: e: want 0 or more, not -3`
	if err := d.Finish(); err == nil || err.Error() != want {
		t.Errorf("Finish =\n%v\nwant\n%s", err, want)
	}
}

func TestNotes(t *testing.T) {
	lines := func(text string) (got []string) {
		for _, n := range parse(t, text).Notes() {
			got = append(got, strings.TrimPrefix(n.String(), "test.yaml:"))
		}
		return got
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing to say", document("", "", ""), nil},
		{"interval", inLog("sync_policy: interval, flush_interval_ms: 250"), []string{
			"2:65: " + logConfig + "sync_policy: unsafe: a power failure takes what was acknowledged in the last 250ms, a killed process up to 256 KiB of it, and data that is then ahead of the log is refused; votes are durable all the same"}},
		{"never", inLog("sync_policy: never"), []string{
			"2:65: " + logConfig + "sync_policy: unsafe: a power failure takes what the system had not written by itself, a killed process up to 256 KiB of it, and data that is then ahead of the log is refused; votes are durable all the same"}},
		{"unused interval", document("{backend_type: append_log, config: {flush_interval_ms: 5}}", "", "{backend_type: pebble, config: {flush_interval_ms: 5}}"), []string{
			"2:71: " + logConfig + "flush_interval_ms: not used: sync_policy is batch",
			"4:67: " + dataConfig + "flush_interval_ms: not used: sync_policy is never"}},
		{"no validation", inLog("checksum_validation: false"), []string{
			"2:73: " + logConfig + "checksum_validation: entries that are still in the memory of the process that wrote them are not verified again; those read from files always are"}},
		{"combined", inFiles("retention: {strategy: combined, keep_count: 5, max_age_hours: 48, max_total_size_mb: 9}"), []string{
			"3:84: " + snapConfig + "retention.strategy: a snapshot is kept when either rule keeps it: it is one of the newest 5, or not older than 48 hours",
			"3:147: " + snapConfig + "retention.max_total_size_mb: not used: strategy is combined"}},
		{"memory data", document("", "", memoryData), []string{
			"4:31: raft_storage.app_storage.backend_type: the data is built anew at each start, from the newest snapshot and the log"}},
		{"all in memory", document(memoryLog, inMemory, memoryData), []string{
			"2:31: raft_storage.log_storage.backend_type: nothing survives a restart, votes included: for tests, and for a node that is the only voter of its group"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lines(c.text); !slices.Equal(got, c.want) {
				t.Errorf("notes =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
