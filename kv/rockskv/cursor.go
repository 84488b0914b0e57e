//go:build rocksdb && cgo

package rockskv

// #cgo LDFLAGS: -lrocksdb
// #include <stdint.h>
// #include <string.h>
// #include <rocksdb/c.h>
//
// // fill copies pairs, each after the lengths of its key and its value, until
// // the next does not fit into cap bytes, and leaves the iterator there. It
// // returns the bytes copied, or, if not even one pair fitted, sets need to what
// // that would take.
// static size_t fill(rocksdb_iterator_t* it, int reverse, char* buf, size_t cap, size_t* need) {
//   size_t n = 0;
//   while (rocksdb_iter_valid(it)) {
//     size_t lens[2];
//     const char* key = rocksdb_iter_key(it, &lens[0]);
//     const char* value = rocksdb_iter_value(it, &lens[1]);
//     size_t more = sizeof(lens) + lens[0] + lens[1];
//     if (more > cap - n) {
//       if (n == 0) *need = more;
//       break;
//     }
//     memcpy(buf + n, lens, sizeof(lens));
//     memcpy(buf + n + sizeof(lens), key, lens[0]);
//     memcpy(buf + n + sizeof(lens) + lens[0], value, lens[1]);
//     n += more;
//     if (reverse) rocksdb_iter_prev(it); else rocksdb_iter_next(it);
//   }
//   return n;
// }
import "C"

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"github.com/linxGnu/grocksdb"
	"github.com/trimarandb/trimaran/kv"
)

// A call into C costs as much as some rows, so a cursor takes many at once: few
// at first, for walks that end soon, then more and more.
const (
	firstFill = 4 << 10
	lastFill  = 256 << 10

	fillHeader = 2 * unsafe.Sizeof(C.size_t(0))
)

// An iterator of grocksdb is the pointer of RocksDB and nothing else: this does
// not compile when it has more.
var _ [unsafe.Sizeof(uintptr(0)) - unsafe.Sizeof(grocksdb.Iterator{})]struct{}

// cursor walks a range of the store. Bounds are checked here: RocksDB would
// keep pointers to them.
type cursor struct {
	it    *grocksdb.Iterator
	r     kv.Range
	size  int    // of the next buffer
	buf   []byte // pairs as fill wrote them
	rest  []byte // of them, those to come
	key   []byte // nil outside the range
	value []byte // both are lent until the next move
}

func (g *generation) cursor(o *grocksdb.ReadOptions, r kv.Range) *cursor {
	c := &cursor{it: g.db.NewIterator(o), r: r, size: firstFill}
	switch {
	case !r.Reverse:
		c.it.Seek(r.Lo)
		c.next()
	case len(r.Hi) == 0:
		c.it.SeekToLast()
		c.next()
	default:
		c.before(r.Hi)
	}
	return c
}

// before goes to the last key below a bound.
func (c *cursor) before(bound []byte) {
	c.it.SeekForPrev(bound)
	c.rest = nil
	if c.next(); c.key != nil && bytes.Equal(c.key, bound) {
		c.next()
	}
}

// next takes the next pair, if it is in the range.
func (c *cursor) next() {
	c.key, c.value = nil, nil
	if len(c.rest) == 0 {
		c.fill()
	}
	if len(c.rest) == 0 {
		return
	}
	keyLen, valueLen := binary.NativeEndian.Uint64(c.rest), binary.NativeEndian.Uint64(c.rest[8:])
	pair := c.rest[fillHeader:][:keyLen+valueLen]
	c.rest = c.rest[fillHeader+uintptr(len(pair)):]
	key := pair[:keyLen:keyLen]
	// The bound that a walk begins with may be the key itself: before moves on.
	if c.r.Reverse && bytes.Compare(key, c.r.Lo) >= 0 || !c.r.Reverse && (len(c.r.Hi) == 0 || bytes.Compare(key, c.r.Hi) < 0) {
		c.key, c.value = key, pair[keyLen:]
	}
}

// fill takes pairs from RocksDB, with one call unless the first is very long.
func (c *cursor) fill() {
	if len(c.buf) < c.size {
		c.buf = make([]byte, c.size)
	}
	c.size = min(2*c.size, lastFill)
	it := *(**C.rocksdb_iterator_t)(unsafe.Pointer(c.it))
	var reverse C.int
	if c.r.Reverse {
		reverse = 1
	}
	var need C.size_t
	n := C.fill(it, reverse, (*C.char)(unsafe.Pointer(&c.buf[0])), C.size_t(len(c.buf)), &need)
	if need > 0 {
		c.buf = make([]byte, need)
		n = C.fill(it, reverse, (*C.char)(unsafe.Pointer(&c.buf[0])), C.size_t(len(c.buf)), &need)
	}
	c.rest = c.buf[:n]
}

// skip leaves a deleted range.
func (c *cursor) skip(s *span) {
	if c.r.Reverse {
		c.before(s.lo)
		return
	}
	c.it.Seek(s.hi)
	c.rest = nil
	c.next()
}
