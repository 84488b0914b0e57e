package kv

import (
	"bytes"
	"encoding/binary"
)

// Frozen: part of format v1. An index entry is the id of the index, the value
// with every zero byte followed by 0xff, a zero and a one, and the user key.
// No escaped value is a prefix of another, and their order is that of the
// values.
const (
	escapeByte = 0x00
	escaped    = 0xff
	terminator = 0x01

	entryHeader = 1 + 4
)

// entryPrefix is what all entries of an index begin with.
func entryPrefix(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{spaceEntry}, id)
}

// entryKey is the entry of a row; its value is empty.
func entryKey(id uint32, value, key []byte) []byte {
	b := make([]byte, 0, entryHeader+len(value)+2+len(key)+bytes.Count(value, []byte{escapeByte}))
	b = binary.BigEndian.AppendUint32(append(b, spaceEntry), id)
	b = append(appendEscaped(b, value), escapeByte, terminator)
	return append(b, key...)
}

func appendEscaped(b, value []byte) []byte {
	for {
		i := bytes.IndexByte(value, escapeByte)
		if i < 0 {
			return append(b, value...)
		}
		b = append(append(b, value[:i+1]...), escaped)
		value = value[i+1:]
	}
}

// parseEntryKey takes an entry apart; key aliases b.
func parseEntryKey(b []byte) (id uint32, value, key []byte, err error) {
	if len(b) < entryHeader || b[0] != spaceEntry {
		return 0, nil, nil, damaged("index entry with a key of %d bytes", len(b))
	}
	id = binary.BigEndian.Uint32(b[1:])
	for rest := b[entryHeader:]; ; {
		i := bytes.IndexByte(rest, escapeByte)
		if i < 0 || i+1 == len(rest) {
			return 0, nil, nil, damaged("index entry without an end of its value")
		}
		switch rest[i+1] {
		case escaped:
			value = append(value, rest[:i+1]...)
		case terminator:
			value = append(value, rest[:i]...)
			if key = rest[i+2:]; len(key) == 0 {
				return 0, nil, nil, damaged("index entry without a key")
			}
			return id, value, key, nil
		default:
			return 0, nil, nil, damaged("index entry with escape %#02x", rest[i+1])
		}
		rest = rest[i+2:]
	}
}
