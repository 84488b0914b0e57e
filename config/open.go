package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// OpenDir opens a storage in dir, and makes it if need be: a segment log,
// snapshots in a directory, and Pebble, with the options of [Default].
func OpenDir(dir string, o *Options) (*trimaran.Storage, error) {
	c := Default()
	if o != nil {
		c.Options = *o
	}
	return c.Open(context.Background(), dir)
}

// Open opens the three layers, each at its path below dir, and puts them
// together; see [trimaran.New] for what happens then. Closing the storage
// closes everything. Errors to test for: fault.ErrLocked, fault.ErrUnsupported
// for an engine that the program was built without, fault.ErrInvalid, and
// *fault.Corruption. ctx is looked at between the steps.
func (c *Config) Open(ctx context.Context, dir string) (_ *trimaran.Storage, err error) {
	if err := c.checkIn(c.Options.FS, dir); err != nil {
		return nil, fmt.Errorf("open storage %s: %w", dir, err)
	}
	var open closers
	defer func() {
		if err != nil {
			err = errors.Join(err, open.Close())
		}
	}()
	l, driver, err := c.OpenLog(ctx, dir)
	if err != nil {
		return nil, err
	}
	open.push(driver, l)
	s, staging, err := c.OpenSnapshots(ctx, dir)
	if err != nil {
		return nil, err
	}
	open.push(staging, s)
	var room vfs.FS // nil: nothing is on disk
	if !logs.volatile(c.Log.Layer) || !engines.volatile(c.Data.Layer) {
		if room, err = vfs.At(c.Options.FS, dir); err != nil {
			return nil, err
		}
		open.push(room)
	}
	k, err := c.OpenData(ctx, dir)
	if err != nil {
		return nil, err
	}
	open = nil // New owns them from here on
	o := c.Options.Storage
	o.Closers = append([]io.Closer{driver, staging}, o.Closers...)
	if o.Retention.Strategy == 0 {
		o.Retention = c.Snapshots.Retention
	}
	if o.DiskSoft == 0 && o.DiskHard == 0 {
		o.DiskSoft, o.DiskHard = c.DiskSoft, c.DiskHard
	}
	if o.Space == nil && room != nil {
		o.Space = func() (int64, error) { sp, err := room.Space(); return sp.Free, err }
		o.Closers = append(o.Closers, room)
	}
	if o.Logger == nil {
		o.Logger = c.Options.Logger
	}
	return trimaran.New(l, s, k, &o)
}

// OpenLog opens the log alone, for a program that looks into it. The closer is
// that of the driver, for after the log.
func (c *Config) OpenLog(ctx context.Context, dir string) (*raftlog.Log, io.Closer, error) {
	l, driver, err := c.openLog(ctx, dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open log_storage: %w", err)
	}
	return l, driver, nil
}

func (c *Config) openLog(ctx context.Context, dir string) (*raftlog.Log, io.Closer, error) {
	at, err := c.place(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	driver, err := logs.open(ctx, at, &c.Log.Layer, &c.Log)
	if err != nil {
		return nil, nil, err
	}
	l, err := raftlog.New(driver, raftlog.Group{}, nil)
	if err != nil {
		return nil, nil, errors.Join(err, driver.Close())
	}
	return l, driver, nil
}

// OpenSnapshots opens the snapshots alone. The closer is for after the store.
func (c *Config) OpenSnapshots(ctx context.Context, dir string) (*snapshot.Store, io.Closer, error) {
	at, err := c.place(ctx, dir)
	if err == nil {
		var s *snapshot.Store
		var after io.Closer
		if s, after, err = c.Snapshots.store(ctx, at); err == nil {
			return s, after, nil
		}
	}
	return nil, nil, fmt.Errorf("open snapshot_storage: %w", err)
}

// OpenData opens the data alone. It must not be changed but through Apply of a
// storage.
func (c *Config) OpenData(ctx context.Context, dir string) (*kv.Store, error) {
	at, err := c.place(ctx, dir)
	if err == nil {
		var s *kv.Store
		if s, err = c.Data.store(ctx, at); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("open app_storage: %w", err)
}

func (c *Config) place(ctx context.Context, dir string) (place, error) {
	return place{o: &c.Options, fs: c.Options.FS, dir: dir}, ctx.Err()
}

// closers closes what was opened, last first.
type closers []io.Closer

func (c *closers) push(more ...io.Closer) { *c = append(*c, more...) }

func (c *closers) Close() error {
	var err error
	for _, one := range slices.Backward(*c) {
		err = errors.Join(err, one.Close())
	}
	return err
}
