//go:build rocksdb && cgo

package rockskv

import "encoding/binary"

// batch is a write batch in RocksDB's own encoding, so that it takes one call
// into C and not one for each key: a sequence number that RocksDB sets, the
// number of records, then records of a kind and one or two strings, each after
// its length.
type batch []byte

// Kinds of records, for the default column family.
const (
	recordDelete      = 0x00
	recordPut         = 0x01
	recordDeleteRange = 0x0f

	batchHeader = 12
	batchCount  = 8 // where the number of records is
)

func newBatch(size int64) batch { return make(batch, batchHeader, batchHeader+size) }

func (b batch) add(kind byte, strings ...[]byte) batch {
	binary.LittleEndian.PutUint32(b[batchCount:], b.count()+1)
	b = append(b, kind)
	for _, s := range strings {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func (b batch) count() uint32 { return binary.LittleEndian.Uint32(b[batchCount:]) }

// batch is what o comes to. Ranges come first: what is left of nodes stands
// above them.
func (o *overlay) batch() batch {
	const recordCost = 16
	b := newBatch(o.bytes + int64(o.writes)*recordCost)
	for _, s := range o.deleted {
		b = b.add(recordDeleteRange, s.lo, s.hi)
	}
	for w := o.from(nil, nil, false); w.node() != nil; w.next() {
		if n := w.node(); n.gone {
			b = b.add(recordDelete, n.key)
		} else {
			b = b.add(recordPut, n.key, n.value)
		}
	}
	return b
}
