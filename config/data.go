package config

import (
	"context"
	"errors"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
)

// Data is what app_storage says. Sizes are in bytes.
type Data struct {
	Layer

	// Of pebble and rocksdb.
	CacheSize       int64
	WriteBufferSize int64
	MaxWriteBuffers int
	CompactionStyle string
	Sync            kv.SyncPolicy
	FlushInterval   time.Duration

	// Of memory.
	MaxSize int64 // 0: no bound
}

const (
	mb    = 1 << 20
	maxMB = 1 << 40 / mb * 1024 // a petabyte
)

func defaultData() Data {
	return Data{
		Layer:     Layer{Backend: "pebble", Path: "data"},
		CacheSize: 64 * mb, WriteBufferSize: 64 * mb, MaxWriteBuffers: 3, CompactionStyle: "level",
		Sync: kv.SyncNever, FlushInterval: defaultFlush,
	}
}

var engineKeys = []string{"cache_size_mb", "write_buffer_size_mb", "max_write_buffer_number", "compaction_style", "sync_policy", "flush_interval_ms"}

// engines are the backends of app_storage.
var engines = table[Data, kv.Driver]{
	{name: "pebble", keys: engineKeys, read: readPebble, show: showEngine, open: openPebble},
	{name: "rocksdb", keys: engineKeys, read: readRocksDB, show: showEngine, open: openRocksDB},
	{name: "memory", keys: []string{"max_size_mb"}, volatile: true, read: readMemory, show: showMemory, open: openMemory},
}

func readPebble(s *Section, l *Data) {
	readEngine(s, l)
	s.ask("compaction_style", choiceSchema("level", styles[:1])) // the others are known by name, and refused
	if style := s.Choice("compaction_style", "level", styles...); style != "level" && style != "" {
		s.Fail("compaction_style", "pebble has no %s compaction, only level", style)
	}
}

func readRocksDB(s *Section, l *Data) {
	readEngine(s, l)
	l.CompactionStyle = s.Choice("compaction_style", "level", styles...)
}

// styles are the values of compaction_style, whichever engine has them.
var styles = []string{"level", "universal", "fifo"}

func readEngine(s *Section, l *Data) {
	l.CacheSize = s.Int("cache_size_mb", l.CacheSize/mb, 1, maxMB) * mb
	l.WriteBufferSize = s.Int("write_buffer_size_mb", l.WriteBufferSize/mb, 1, 1024) * mb
	l.MaxWriteBuffers = int(s.Int("max_write_buffer_number", int64(l.MaxWriteBuffers), 2, 1024))
	l.Sync, _ = kv.ParseSyncPolicy(readSync(s, l.Sync.String(), &l.FlushInterval))
}

func showEngine(w *writer, l *Data) {
	w.value("cache_size_mb", l.CacheSize/mb)
	w.value("write_buffer_size_mb", l.WriteBufferSize/mb)
	w.value("max_write_buffer_number", l.MaxWriteBuffers)
	w.value("compaction_style", l.CompactionStyle)
	w.value("sync_policy", l.Sync)
	w.value("flush_interval_ms", l.FlushInterval.Milliseconds())
}

func readMemory(s *Section, l *Data) {
	l.MaxSize = s.Int("max_size_mb", 0, 1, maxMB) * mb
}

func showMemory(w *writer, l *Data) {
	if l.MaxSize > 0 {
		w.value("max_size_mb", l.MaxSize/mb)
	}
}

func openMemory(_ context.Context, _ place, l *Data) (kv.Driver, error) {
	d, err := memkv.New(&memkv.Options{MaxSize: l.MaxSize})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// store opens the store on the engine.
func (l *Data) store(ctx context.Context, at place) (*kv.Store, error) {
	d, err := engines.open(ctx, at, &l.Layer, l)
	if err != nil {
		return nil, err
	}
	s, err := kv.New(d, &kv.Options{
		Sync: l.Sync, FlushInterval: l.FlushInterval, Extractors: at.o.Extractors, Reindex: at.o.Reindex,
	})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return s, nil
}
