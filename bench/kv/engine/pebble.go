package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble is the engine below ours, by itself, with the same options.
func Pebble() Kind {
	return Kind{Name: "pebble", Version: "v2.1.7", Bare: true, Open: openPebble}
}

type pebbleStore struct {
	db    *pebble.DB
	o     *pebble.Options
	write *pebble.WriteOptions
	dir   string
	lent  io.Closer
	runs  int
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

func openPebble(dir string, o Options) (Store, error) {
	cache := pebble.NewCache(o.Cache)
	defer cache.Unref()
	opts := &pebble.Options{
		Cache:                       cache,
		MemTableSize:                uint64(o.WriteBuffer),
		MemTableStopWritesThreshold: 3,
		L0StopWritesThreshold:       12,
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      silent{},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	opts.EnsureDefaults()
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	s := &pebbleStore{db: db, o: opts, write: pebble.NoSync, dir: dir}
	if o.Durable {
		s.write = pebble.Sync
	}
	return s, nil
}

func (s *pebbleStore) Write(b Batch) error {
	w := s.db.NewBatch()
	defer w.Close()
	if err := b(func(key, value []byte) error { return w.Set(key, value, nil) }); err != nil {
		return err
	}
	return w.Commit(s.write)
}

// Get keeps the value's block until the next call.
func (s *pebbleStore) Get(key []byte) ([]byte, error) {
	if s.lent != nil {
		if err := s.lent.Close(); err != nil {
			return nil, err
		}
		s.lent = nil
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	s.lent = closer
	return v, err
}

// MultiGet is a snapshot: Pebble has nothing nearer to it.
func (s *pebbleStore) MultiGet(keys [][]byte, visit func(int, []byte)) error {
	snap := s.db.NewSnapshot()
	for i, key := range keys {
		v, closer, err := snap.Get(key)
		if err != nil {
			return errors.Join(err, snap.Close())
		}
		visit(i, v)
		if err := closer.Close(); err != nil {
			return errors.Join(err, snap.Close())
		}
	}
	return snap.Close()
}

func (s *pebbleStore) Scan(from []byte, n int, visit func(key, value []byte)) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && n > 0; ok = it.Next() {
		visit(it.Key(), it.Value())
		n--
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *pebbleStore) Settle() error {
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.db.Compact(context.Background(), []byte{0}, []byte{255}, true)
}

// Export is a walk, two lengths a row, and a checksum of every 256 KiB.
func (s *pebbleStore) Export(w io.Writer) (int64, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	f := newFramer(w)
	for ok := it.First(); ok && f.err == nil; ok = it.Next() {
		f.add(it.Key(), it.Value())
	}
	return f.end(errors.Join(it.Error(), it.Close()))
}

// framer writes pairs in the way that any export has to.
type framer struct {
	w   io.Writer
	buf []byte
	sum uint32
	n   int64
	err error
}

func newFramer(w io.Writer) *framer { return &framer{w: w, buf: make([]byte, 0, 300<<10)} }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *framer) add(key, value []byte) {
	f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(len(key)))
	f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(len(value)))
	f.buf = append(append(f.buf, key...), value...)
	f.n += int64(len(key) + len(value))
	if len(f.buf) >= 256<<10 {
		f.flush()
	}
}

func (f *framer) flush() {
	f.sum = crc32.Update(f.sum, castagnoli, f.buf)
	if _, err := f.w.Write(binary.BigEndian.AppendUint32(f.buf, f.sum)); err != nil && f.err == nil {
		f.err = err
	}
	f.buf = f.buf[:0]
}

func (f *framer) end(err error) (int64, error) {
	f.flush()
	return f.n, errors.Join(f.err, err)
}

// Import writes tables of 32 MiB and ingests them.
func (s *pebbleStore) Import(_ io.Reader, pairs Batch) error {
	var w *sstable.Writer
	var paths []string
	size := 0
	err := pairs(func(key, value []byte) error {
		if w == nil {
			s.runs++
			path := filepath.Join(s.dir, "load-"+strconv.Itoa(s.runs)+".sst")
			f, err := vfs.Default.Create(path, "load")
			if err != nil {
				return err
			}
			paths = append(paths, path)
			w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.o.MakeWriterOptions(6, s.db.TableFormat()))
		}
		size += len(key) + len(value)
		if err := w.Set(key, value); err != nil || size < 32<<20 {
			return err
		}
		err := w.Close()
		w, size = nil, 0
		return err
	})
	if w != nil {
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return err
	}
	return s.db.Ingest(context.Background(), paths)
}

func (s *pebbleStore) Close() error {
	if s.lent != nil {
		_ = s.lent.Close()
	}
	return s.db.Close()
}
