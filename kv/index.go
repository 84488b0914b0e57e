package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/trimarandb/trimaran/fault"
)

// Index declares a secondary index: which rows it holds and by what value it
// orders them. Exactly one of JSONPath, Bytes and Extractor is set. A row that
// has no such value, or one longer than [MaxIndexValue], is not in the index.
type Index struct {
	Name string // 1 to 64 bytes
	// KeyPrefix restricts the index to rows whose key begins with it.
	KeyPrefix []byte
	// JSONPath takes one value out of a JSON document: "user.emails[0]".
	JSONPath string
	// JSONType is the type that the value has to have, JSONString if zero.
	JSONType JSONType
	// Bytes takes a fixed range of the value's bytes.
	Bytes *ByteRange
	// Extractor and Version name one of Options.Extractors.
	Extractor string
	Version   uint32
}

// ByteRange is the bytes [Off, Off+Len) of a value.
type ByteRange struct{ Off, Len uint32 }

// IndexInfo is an index and whether it can be queried.
type IndexInfo struct {
	Index
	Built bool
}

// Frozen: part of format v1. How an index finds its value.
const (
	kindJSON      = 1
	kindBytes     = 2
	kindExtractor = 3
)

func (x Index) kind() byte {
	switch {
	case x.JSONPath != "":
		return kindJSON
	case x.Bytes != nil:
		return kindBytes
	default:
		return kindExtractor
	}
}

func (x Index) check() error {
	set := 0
	for _, is := range []bool{x.JSONPath != "", x.Bytes != nil, x.Extractor != ""} {
		if is {
			set++
		}
	}
	switch {
	case len(x.Name) == 0 || len(x.Name) > maxIndexNames:
		return fmt.Errorf("index name of %d bytes, want 1 to %d: %w", len(x.Name), maxIndexNames, fault.ErrInvalid)
	case set != 1:
		return fmt.Errorf("index %q sets %d of JSONPath, Bytes and Extractor, want one: %w", x.Name, set, fault.ErrInvalid)
	case len(x.KeyPrefix) > MaxKey:
		return fmt.Errorf("index %q has a key prefix of %d bytes, at most %d: %w", x.Name, len(x.KeyPrefix), MaxKey, fault.ErrInvalid)
	case x.JSONType > JSONBool || x.JSONType != 0 && x.JSONPath == "":
		return fmt.Errorf("index %q has %v: %w", x.Name, x.JSONType, fault.ErrInvalid)
	case x.Bytes != nil && (x.Bytes.Len == 0 || x.Bytes.Len > MaxIndexValue || x.Bytes.Off > math.MaxInt32):
		return fmt.Errorf("index %q takes %d bytes from %d, want 1 to %d: %w", x.Name, x.Bytes.Len, x.Bytes.Off, MaxIndexValue, fault.ErrInvalid)
	case len(x.Extractor) > maxIndexNames || x.Extractor == "" && x.Version != 0:
		return fmt.Errorf("index %q names extractor %q version %d: %w", x.Name, x.Extractor, x.Version, fault.ErrInvalid)
	}
	if x.JSONPath != "" {
		_, err := parsePath(x.JSONPath)
		return err
	}
	return nil
}

// clone is a copy that shares no memory with the caller.
func (x Index) clone() Index {
	x.KeyPrefix = bytes.Clone(x.KeyPrefix)
	if x.Bytes != nil {
		r := *x.Bytes
		x.Bytes = &r
	}
	return x
}

// definition is an index and how far it is built: rows up to built are in it,
// all of them when it is ready.
type definition struct {
	Index
	id      uint32 // where its entries are; differs from replica to replica
	ready   bool
	built   []byte
	extract extractFunc
}

// appendDefinition writes what every replica has in common.
func appendDefinition(b []byte, x *definition) []byte {
	ready := byte(0)
	if x.ready {
		ready = 1
	}
	b = append(b, formatVersion, ready)
	b = appendBytes(b, x.built)
	b = appendBytes(b, []byte(x.Name))
	b = appendBytes(b, x.KeyPrefix)
	b = append(b, x.kind())
	switch x.kind() {
	case kindJSON:
		return appendBytes(append(b, byte(x.JSONType)), []byte(x.JSONPath))
	case kindBytes:
		b = binary.BigEndian.AppendUint32(b, x.Bytes.Off)
		return binary.BigEndian.AppendUint32(b, x.Bytes.Len)
	default:
		return appendBytes(binary.BigEndian.AppendUint32(b, x.Version), []byte(x.Extractor))
	}
}

// parseDefinition reads what appendDefinition wrote, as a copy.
func parseDefinition(b []byte) (*definition, error) {
	d := decoder{b: slices.Clone(b)}
	version, ready := d.u8(), d.u8()
	x := &definition{ready: ready == 1, built: d.bytes()}
	x.Name, x.KeyPrefix = string(d.bytes()), d.bytes()
	kind := d.u8()
	switch kind {
	case kindJSON:
		x.JSONType, x.JSONPath = JSONType(d.u8()), string(d.bytes())
	case kindBytes:
		x.Bytes = &ByteRange{Off: d.u32(), Len: d.u32()}
	case kindExtractor:
		x.Version, x.Extractor = d.u32(), string(d.bytes())
	}
	if !d.end() || version != formatVersion || ready > 1 || kind != x.kind() || x.ready && x.built != nil {
		return nil, damaged("index definition of %d bytes", len(b))
	}
	if err := x.check(); err != nil {
		return nil, damaged("index definition: %v", err)
	}
	return x, nil
}

// storedDefinition is the value below spaceIndex: the local id, then what is
// common.
func storedDefinition(x *definition) []byte {
	return appendDefinition(binary.BigEndian.AppendUint32(nil, x.id), x)
}

func parseStoredDefinition(b []byte) (*definition, error) {
	if len(b) < 4 {
		return nil, damaged("index definition of %d bytes", len(b))
	}
	x, err := parseDefinition(b[4:])
	if err != nil {
		return nil, err
	}
	x.id = binary.BigEndian.Uint32(b)
	return x, nil
}

func definitionKey(name string) []byte { return spaceKey(spaceIndex, []byte(name)) }
