package config

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/snapshot/membucket"
	"github.com/trimarandb/trimaran/vfs"
)

// Snapshots is what snapshot_storage says.
type Snapshots struct {
	Layer
	Compression  snapshot.Codec
	Level        int
	Retention    snapshot.Policy // zero: none
	MaxSnapshots int             // 0: no bound

	S3 S3 // of s3
}

func defaultSnapshots() Snapshots {
	return Snapshots{
		Layer:       Layer{Backend: "compressed_file", Path: "snapshots"},
		Compression: snapshot.CodecZstd,
	}
}

// defaultKeep bounds the disk where no retention is given.
const defaultKeep = 3

// bucket is an open bucket with what belongs to it.
type bucket struct {
	snapshot.Bucket
	staging vfs.FS // nil: in memory
}

var snapshotKeys = []string{"compression", "compression_level", "max_snapshots", "retention"}

// buckets are the backends of snapshot_storage.
var buckets = table[Snapshots, bucket]{
	{name: "compressed_file", keys: snapshotKeys, read: readSnapshots, show: showSnapshots, open: openCompressedFile},
	{name: "memory_snapshot", keys: snapshotKeys, volatile: true, read: readSnapshots, show: showSnapshots, open: openMemorySnapshot},
	{name: "s3", keys: slices.Concat(snapshotKeys, s3Keys), read: readS3, show: showS3, open: openS3},
}

func readSnapshots(s *Section, l *Snapshots) {
	l.readCompression(s)
	l.MaxSnapshots = int(s.Int("max_snapshots", 0, 1, math.MaxInt32))
	r := s.Section("retention")
	switch {
	case r.Present():
		l.Retention = readRetention(r)
	case l.MaxSnapshots == 0:
		l.Retention = snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: defaultKeep}
	}
}

var codecs = []string{"none", "gzip", "lz4", "zstd"}

// readCompression finds in l.Compression what snapshot_compression says.
func (l *Snapshots) readCompression(s *Section) {
	codec, err := snapshot.ParseCodec(s.Choice("compression", l.Compression.String(), codecs...))
	if err != nil {
		s.settle("compression_level") // what it may be depends on what was meant
		return
	}
	l.Compression = codec
	lowest, highest, normal := l.Compression.Levels()
	if highest == 0 {
		if s.Has("compression_level") {
			s.Fail("compression_level", "compression none has no levels")
		}
		l.Level = 0
		return
	}
	level := s.Int("compression_level", int64(normal), math.MinInt64, math.MaxInt64)
	if level < int64(lowest) || level > int64(highest) {
		s.Fail("compression_level", "%v has levels %d to %d, not %d", l.Compression, lowest, highest, level)
	}
	l.Level = int(level)
}

func readRetention(s *Section) (p snapshot.Policy) {
	p.KeepCount = int(s.Int("keep_count", 0, 1, math.MaxInt32))
	p.MaxAge = time.Duration(s.Int("max_age_hours", 0, 1, 1_000_000)) * time.Hour
	p.MaxTotalSize = s.Int("max_total_size_mb", 0, 1, maxMB) * mb
	var err error
	name := s.Choice("strategy", "", "keep_latest", "keep_by_age", "combined", "size_based_lru")
	if p.Strategy, err = snapshot.ParseStrategy(name); err != nil {
		return p
	}
	for _, k := range []struct {
		key  string
		used bool
	}{
		{"keep_count", p.Strategy == snapshot.KeepLatest || p.Strategy == snapshot.Combined},
		{"max_age_hours", p.Strategy == snapshot.KeepByAge || p.Strategy == snapshot.Combined},
		{"max_total_size_mb", p.Strategy == snapshot.SizeBasedLRU},
	} {
		switch has := s.Has(k.key); {
		case k.used && !has:
			s.Fail("strategy", "%v needs %s", p.Strategy, k.key)
		case !k.used && has:
			s.Note(k.key, "not used: strategy is %v", p.Strategy)
		}
	}
	if p.Strategy == snapshot.Combined {
		s.Note("strategy", "a snapshot is kept when either rule keeps it: it is one of the newest %d, or not older than %d hours", p.KeepCount, int(p.MaxAge/time.Hour))
	}
	return p
}

func showSnapshots(w *writer, l *Snapshots) {
	w.value("compression", l.Compression)
	if l.Level > 0 {
		w.value("compression_level", l.Level)
	}
	if l.MaxSnapshots > 0 {
		w.value("max_snapshots", l.MaxSnapshots)
	}
	p := l.Retention
	if p.Strategy == 0 {
		return
	}
	w.section("retention", func() {
		w.value("strategy", p.Strategy)
		if p.KeepCount > 0 {
			w.value("keep_count", p.KeepCount)
		}
		if p.MaxAge > 0 {
			w.value("max_age_hours", int64(p.MaxAge/time.Hour))
		}
		if p.MaxTotalSize > 0 {
			w.value("max_total_size_mb", p.MaxTotalSize/mb)
		}
	})
}

func openCompressedFile(_ context.Context, at place, _ *Snapshots) (bucket, error) {
	b, err := dirbucket.Open(at.dir, &dirbucket.Options{FS: at.fs})
	if err != nil {
		return bucket{}, err
	}
	staging, err := b.Staging()
	if err != nil {
		return bucket{}, errors.Join(err, b.Close())
	}
	return bucket{b, staging}, nil
}

func openMemorySnapshot(context.Context, place, *Snapshots) (bucket, error) {
	return bucket{Bucket: membucket.New(nil)}, nil
}

// store opens the store on the bucket. The closer is for after the store.
func (l *Snapshots) store(ctx context.Context, at place) (*snapshot.Store, io.Closer, error) {
	b, err := buckets.open(ctx, at, &l.Layer, l)
	if err != nil {
		return nil, nil, err
	}
	var after io.Closer = nothing{}
	if b.staging != nil {
		after = b.staging
	}
	s, err := snapshot.New(b.Bucket, &snapshot.Options{
		Codec: l.Compression, Level: l.Level, Retention: l.Retention, MaxSnapshots: l.MaxSnapshots,
		Staging: b.staging, NoMembership: at.o.NoMembership, Logger: at.o.Logger,
	})
	if err != nil {
		return nil, nil, errors.Join(err, after.Close())
	}
	return s, after, nil
}

// nothing is a closer where nothing is to be closed.
type nothing struct{}

func (nothing) Close() error { return nil }
