package kv

import "encoding/binary"

// decoder reads the fixed big-endian fields of our records. After a field
// that is not there it answers zeros, and end reports false.
type decoder struct {
	b     []byte
	short bool
}

func (d *decoder) take(n uint64) []byte {
	if d.short || n > uint64(len(d.b)) {
		d.short = true
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// bytes reads a length of four bytes and that many bytes, lent; no bytes are
// nil.
func (d *decoder) bytes() []byte {
	b := d.take(uint64(d.u32()))
	if len(b) == 0 {
		return nil
	}
	return b
}

// end reports whether every field was there and nothing follows.
func (d *decoder) end() bool { return !d.short && len(d.b) == 0 }

func appendBytes(b, field []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}
