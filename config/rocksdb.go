package config

import (
	"context"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/rockskv"
)

func openRocksDB(_ context.Context, at place, l *Data) (kv.Driver, error) {
	if at.fs != nil {
		return nil, fmt.Errorf("rocksdb opens its files itself, on the real disk only: %w", fault.ErrUnsupported)
	}
	d, err := rockskv.Open(at.dir, &rockskv.Options{
		CacheSize: l.CacheSize, WriteBufferSize: l.WriteBufferSize,
		MaxWriteBuffers: l.MaxWriteBuffers, CompactionStyle: l.CompactionStyle, Logger: at.o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}
