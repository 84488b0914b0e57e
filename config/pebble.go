package config

import (
	"context"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
)

func openPebble(_ context.Context, at place, l *Data) (kv.Driver, error) {
	d, err := pebblekv.Open(at.dir, &pebblekv.Options{
		FS: at.fs, CacheSize: l.CacheSize, WriteBufferSize: l.WriteBufferSize,
		MaxWriteBuffers: l.MaxWriteBuffers, CompactionStyle: l.CompactionStyle, Logger: at.o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}
