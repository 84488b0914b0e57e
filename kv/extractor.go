package kv

import (
	"bytes"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Extractor computes an index value in code. It is named and versioned,
// because an index outlives the program that made it: whoever changes what
// Extract answers registers the new version beside the old one, replaces the
// indexes, and removes the old version afterwards.
type Extractor struct {
	Name    string
	Version uint32
	// Extract returns the value by which to index a row, or false if the row
	// is not to be in the index. It must depend on its arguments alone, which
	// are lent. A panic counts as false.
	Extract func(key, value []byte) ([]byte, bool)
}

// extractFunc is the resolved form of every kind of index. Its result may
// alias the value.
type extractFunc func(key, value []byte) ([]byte, bool)

func checkExtractors(list []Extractor) error {
	type id struct {
		name    string
		version uint32
	}
	seen := map[id]bool{}
	for _, e := range list {
		switch {
		case len(e.Name) == 0 || len(e.Name) > maxIndexNames:
			return fmt.Errorf("extractor name of %d bytes, want 1 to %d: %w", len(e.Name), maxIndexNames, fault.ErrInvalid)
		case e.Extract == nil:
			return fmt.Errorf("extractor %q has no function: %w", e.Name, fault.ErrInvalid)
		case seen[id{e.Name, e.Version}]:
			return fmt.Errorf("extractor %q version %d is registered twice: %w", e.Name, e.Version, fault.ErrInvalid)
		}
		seen[id{e.Name, e.Version}] = true
	}
	return nil
}

// resolve finds the function behind a checked index.
func (x Index) resolve(list []Extractor) (extractFunc, error) {
	switch x.kind() {
	case kindJSON:
		path, err := parsePath(x.JSONPath)
		if err != nil {
			return nil, err
		}
		return func(_, value []byte) ([]byte, bool) { return path.extract(value, x.JSONType) }, nil
	case kindBytes:
		return x.Bytes.extract, nil
	}
	other := ""
	for _, e := range list {
		if e.Name != x.Extractor {
			continue
		}
		if e.Version == x.Version {
			return e.extract, nil
		}
		other = fmt.Sprintf("; registered is version %d", e.Version)
	}
	return nil, fmt.Errorf("index %q uses extractor %q version %d, which is not registered%s: register it, "+
		"drop and create the index, or open with Reindex: %w", x.Name, x.Extractor, x.Version, other, fault.ErrInvalid)
}

func (e Extractor) extract(key, value []byte) (v []byte, ok bool) {
	defer func() {
		if recover() != nil {
			v, ok = nil, false
		}
	}()
	return e.Extract(key, value)
}

func (r ByteRange) extract(_, value []byte) ([]byte, bool) {
	if uint64(r.Off)+uint64(r.Len) > uint64(len(value)) {
		return nil, false
	}
	return value[r.Off : r.Off+r.Len], true
}

// entry is the index entry of a row, nil if it has none.
func (x *definition) entry(key, value []byte) []byte {
	if !bytes.HasPrefix(key, x.KeyPrefix) {
		return nil
	}
	v, ok := x.extract(key, value)
	if !ok || len(v) > MaxIndexValue {
		return nil
	}
	return entryKey(x.id, v, key)
}
