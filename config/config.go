package config

import (
	"slices"
	"time"

	"github.com/trimarandb/trimaran/snapshot"
)

// Config is what raft_storage says, checked and with every default filled in.
type Config struct {
	Log                 Log
	Snapshots           Snapshots
	Data                Data
	HealthCheckInterval time.Duration // for trimaran.Storage.Watch
	DiskSoft, DiskHard  int64         // bytes, see trimaran.Options; 0: no bound

	// Options are what no file can say. They may be set before Open.
	Options Options

	notes  []Note
	engine Place // where the engine is chosen
}

// Default is a segment log, snapshots in a directory, of which three are kept,
// and Pebble.
func Default() *Config {
	c := &Config{
		Log: defaultLog(), Snapshots: defaultSnapshots(), Data: defaultData(),
		HealthCheckInterval: 5 * time.Second,
		engine:              Place{Path: "raft_storage.app_storage.backend_type"},
	}
	_, _, c.Snapshots.Level = c.Snapshots.Compression.Levels()
	c.Snapshots.Retention = snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: defaultKeep}
	return c
}

// Load reads a file that consists of raft_storage. The error is [Mistakes], or
// that of the file system.
func Load(path string) (*Config, error) {
	d, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return d.only()
}

// Parse is Load for text that is at hand. The name is for messages.
func Parse(name string, b []byte) (*Config, error) { return Read(name, b).only() }

func (d *Document) only() (*Config, error) {
	c := d.Storage()
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return c, nil
}

// Storage reads raft_storage. What it returns is of use if Finish returns nil.
func (d *Document) Storage() *Config {
	const key = "raft_storage"
	c := Default()
	s := d.root.Section(key)
	s.need("log_storage", "snapshot_storage", "app_storage")
	if !s.Present() {
		d.root.Fail(key, "missing")
		return c
	}
	ms := s.Int("health_check_interval_ms", c.HealthCheckInterval.Milliseconds(), 1, 86_400_000)
	c.HealthCheckInterval = time.Duration(ms) * time.Millisecond
	c.DiskSoft = s.Int("disk_soft_limit_mb", 0, 1, maxMB) * mb
	c.DiskHard = s.Int("disk_hard_limit_mb", 0, 1, maxMB) * mb
	if c.DiskHard > 0 && c.DiskSoft > c.DiskHard {
		s.Fail("disk_soft_limit_mb", "is above disk_hard_limit_mb")
	}
	logs.read(s.Section("log_storage"), &c.Log, &c.Log.Layer)
	c.readSnapshots(s)
	app := s.Section("app_storage")
	engines.read(app, &c.Data, &c.Data.Layer)
	c.engine = app.placeOf("backend_type")
	c.checkTogether(s)
	c.notes = d.Notes()
	return c
}

// readSnapshots also reads snapshot_compression, which may stand for the
// layer's own compression but not contradict it.
func (c *Config) readSnapshots(s *Section) {
	const key = "snapshot_compression"
	layer := s.Section("snapshot_storage")
	own := layer.Section("config").raw("compression")
	if s.Has(key) {
		common := s.Choice(key, c.Snapshots.Compression.String(), codecs...)
		if slices.Contains(codecs, own) && common != own && common != "" {
			s.Fail(key, "is %s, and snapshot_storage has compression %s", common, own)
		}
		if codec, err := snapshot.ParseCodec(common); err == nil {
			c.Snapshots.Compression = codec
		}
	}
	c.Snapshots.Retention = snapshot.Policy{}
	buckets.read(layer, &c.Snapshots, &c.Snapshots.Layer)
}

// Notes returns what the file may say and whoever wrote it should know: keys
// without effect, policies that are unsafe, in the order of the file.
func (c *Config) Notes() []Note { return slices.Clone(c.notes) }
