//go:build rocksdb && cgo

package engine

// #cgo LDFLAGS: -lrocksdb
// #include <rocksdb/c.h>
// #include <stdint.h>
// #include <stdlib.h>
// #include <string.h>
//
// // fill appends pairs until the next would not fit, and returns the bytes.
// static size_t fill(rocksdb_iterator_t* it, char* buf, size_t cap) {
//   size_t n = 0;
//   for (; rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
//     size_t kl, vl;
//     const char* k = rocksdb_iter_key(it, &kl);
//     const char* v = rocksdb_iter_value(it, &vl);
//     if (n + 8 + kl + vl > cap) break;
//     uint32_t h[2] = {(uint32_t)kl, (uint32_t)vl};
//     memcpy(buf + n, h, 8); memcpy(buf + n + 8, k, kl); memcpy(buf + n + 8 + kl, v, vl);
//     n += 8 + kl + vl;
//   }
//   return n;
// }
import "C"

import (
	"hash/crc32"
	"io"
	"unsafe"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/kv/rockskv"
)

// Tags are what the program was built with.
const Tags = "-tags rocksdb "

func rocks() []Kind {
	return []Kind{
		{Name: "trimaran/rocksdb", Version: "this tree", Open: func(dir string, o Options) (Store, error) {
			db, err := rockskv.Open(dir, &rockskv.Options{CacheSize: o.Cache, WriteBufferSize: o.WriteBuffer})
			return NewStore(db, err, o)
		}},
		{Name: "rocksdb", Version: "7.8.3", Bare: true, Open: openRocks},
	}
}

// rocksStore is RocksDB's optimistic transactions, and what is below them.
type rocksStore struct {
	opts   *grocksdb.Options
	tables *grocksdb.BlockBasedTableOptions
	txns   *grocksdb.OptimisticTransactionDB
	db     *grocksdb.DB
	read   *grocksdb.ReadOptions
	write  *grocksdb.WriteOptions
	begin  *grocksdb.OptimisticTransactionOptions
}

func openRocks(dir string, o Options) (Store, error) {
	s := &rocksStore{
		opts: grocksdb.NewDefaultOptions(), tables: grocksdb.NewDefaultBlockBasedTableOptions(),
		read: grocksdb.NewDefaultReadOptions(), write: grocksdb.NewDefaultWriteOptions(),
		begin: grocksdb.NewDefaultOptimisticTransactionOptions(),
	}
	s.tables.SetBlockCache(grocksdb.NewLRUCache(uint64(o.Cache)))
	s.tables.SetFilterPolicy(grocksdb.NewBloomFilter(10))
	s.opts.SetBlockBasedTableFactory(s.tables)
	s.opts.SetCreateIfMissing(true)
	s.opts.SetWriteBufferSize(uint64(o.WriteBuffer))
	s.opts.SetMaxWriteBufferNumber(3)
	s.opts.SetMaxBackgroundJobs(2)
	s.opts.SetCompression(grocksdb.SnappyCompression)
	s.write.SetSync(o.Durable)
	var err error
	if s.txns, err = grocksdb.OpenOptimisticTransactionDb(s.opts, dir); err != nil {
		return nil, err
	}
	s.db = s.txns.GetBaseDB()
	return s, nil
}

func (s *rocksStore) Write(b Batch) error {
	w := grocksdb.NewWriteBatch()
	defer w.Destroy()
	if err := b(func(key, value []byte) error { w.Put(key, value); return nil }); err != nil {
		return err
	}
	return s.db.Write(s.write, w)
}

func (s *rocksStore) Get(key []byte) ([]byte, error) { return s.db.GetBytes(s.read, key) }

func (s *rocksStore) MultiGet(keys [][]byte, visit func(int, []byte)) error {
	values, err := s.db.MultiGet(s.read, keys...)
	for i, v := range values {
		visit(i, v.Data())
		v.Free()
	}
	return err
}

func (s *rocksStore) Scan(from []byte, n int, visit func(key, value []byte)) error {
	it := s.db.NewIterator(s.read)
	defer it.Close()
	for it.Seek(from); it.Valid() && n > 0; it.Next() {
		visit(it.Key().Data(), it.Value().Data())
		n--
	}
	return it.Err()
}

// Export is a loop in C that fills 256 KiB a call.
func (s *rocksStore) Export(w io.Writer) (int64, error) {
	outer := s.db.NewIterator(s.read)
	defer outer.Close()
	it := *(**C.rocksdb_iterator_t)(unsafe.Pointer(outer)) // its only field
	outer.SeekToFirst()
	const size = 256 << 10
	buf := C.malloc(size)
	defer C.free(buf)
	b := unsafe.Slice((*byte)(buf), size)
	var sum uint32
	total := int64(0)
	for {
		n := int(C.fill(it, (*C.char)(buf), size))
		if n == 0 {
			return total, nil
		}
		sum = crc32.Update(sum, castagnoli, b[:n])
		if _, err := w.Write(b[:n]); err != nil {
			return total, err
		}
		total += int64(n)
	}
}

func (s *rocksStore) Update(key []byte, change func([]byte) []byte) error {
	for {
		err := s.try(key, change)
		if err == nil || err.Error() != "Resource busy: " && err.Error() != "Resource busy" {
			return err
		}
	}
}

func (s *rocksStore) try(key []byte, change func([]byte) []byte) error {
	t := s.txns.TransactionBegin(s.write, s.begin, nil)
	defer t.Destroy()
	old, err := t.GetForUpdate(s.read, key)
	if err != nil {
		return err
	}
	err = t.Put(key, change(old.Data()))
	old.Free()
	if err != nil {
		return err
	}
	return t.Commit()
}

func (s *rocksStore) Settle() error {
	o := grocksdb.NewDefaultFlushOptions()
	defer o.Destroy()
	if err := s.db.Flush(o); err != nil {
		return err
	}
	s.db.CompactRange(grocksdb.Range{})
	return nil
}

func (s *rocksStore) Close() error {
	s.txns.CloseBaseDB(s.db)
	s.txns.Close()
	s.read.Destroy()
	s.write.Destroy()
	s.begin.Destroy()
	s.opts.Destroy()
	return nil
}
