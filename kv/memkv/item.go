package memkv

import (
	"bytes"
	"unsafe"

	"github.com/tidwall/btree"
	"github.com/trimarandb/trimaran/kv"
)

// item is a pair in one piece of memory, key first, which nobody changes. A
// node of the tree is copied whenever one of its items changes in a new
// version, and is searched at every step down, so an item is a third of two
// slices.
type item struct {
	both             *byte
	keyLen, valueLen uint32
}

func newItem(key, value []byte) item {
	both := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	return item{unsafe.SliceData(both), uint32(len(key)), uint32(len(value))}
}

// at is where key is, or would be.
func at(key []byte) item { return item{both: unsafe.SliceData(key), keyLen: uint32(len(key))} }

func (x item) key() []byte { return unsafe.Slice(x.both, x.keyLen) }

func (x item) value() []byte {
	return unsafe.Slice(x.both, x.keyLen+x.valueLen)[x.keyLen:]
}

func (x item) pair() kv.Pair {
	both := unsafe.Slice(x.both, x.keyLen+x.valueLen)
	return kv.Pair{Key: both[:x.keyLen:x.keyLen], Value: both[x.keyLen:]}
}

func (x item) size() int64 { return int64(x.keyLen) + int64(x.valueLen) }

type tree = btree.BTreeG[item]

func newTree() *tree {
	less := func(a, b item) bool { return bytes.Compare(a.key(), b.key()) < 0 }
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}
