//go:build rocksdb && cgo

package rockskv

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// Frozen: part of format v1.
const (
	lockName      = "LOCK"
	pointerName   = "GENERATION"
	engineName    = "rocksdb"
	pointerMagic  = "trimaran-kv"
	pointerFormat = pointerMagic + " %d %s %s %08d"
	dirFormat     = "gen-%08d"
	formatVersion = 1

	stateNew  = "new"  // Open is making the first generation; it holds nothing yet
	stateLive = "live" // the generation is complete

	maxPointer = 64 << 10
)

// pointer is the content of the file GENERATION.
type pointer struct {
	state string
	gen   uint64
}

func dirName(gen uint64) string { return fmt.Sprintf(dirFormat, gen) }

// parseDirName reads what dirName writes, and nothing else.
func parseDirName(name string) (gen uint64, ok bool) {
	_, err := fmt.Sscanf(name, dirFormat, &gen)
	return gen, err == nil && gen > 0 && dirName(gen) == name
}

func (p pointer) encode() []byte {
	line := fmt.Sprintf(pointerFormat, formatVersion, engineName, p.state, p.gen)
	return fmt.Appendf(nil, "%s %08x\n", line, checksum(line))
}

func checksum(line string) uint32 {
	return crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli))
}

// decodePointer accepts what encode writes, to the byte.
func decodePointer(b []byte) (pointer, error) {
	damage := func(class fault.Class, reason string) error {
		return &fault.Corruption{Path: pointerName, Class: class, Reason: reason}
	}
	var p pointer
	var version int
	var engine string
	line, _, _ := strings.Cut(string(b), "\n")
	if !strings.HasPrefix(line, pointerMagic+" ") {
		return p, damage(fault.Foreign, "it is no pointer to a generation")
	}
	line, sum, _ := cutLast(line)
	if sum != fmt.Sprintf("%08x", checksum(line)) {
		return p, damage(fault.Committed, "checksum mismatch")
	}
	if _, err := fmt.Sscanf(line, pointerFormat, &version, &engine, &p.state, &p.gen); version > formatVersion {
		return p, fmt.Errorf("%s is of format version %d, this build knows %d: %w", pointerName, version, formatVersion, fault.ErrUnsupported)
	} else if err != nil {
		return p, damage(fault.Committed, err.Error())
	}
	if engine != engineName {
		return p, fmt.Errorf("the directory holds a %s store, not a %s one: %w", engine, engineName, fault.ErrInvalid)
	}
	if p.gen == 0 || p.state != stateNew && p.state != stateLive || string(p.encode()) != string(b) {
		return p, damage(fault.Committed, "it is not as it was written")
	}
	return p, nil
}

func cutLast(line string) (before, after string, found bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return line, "", false
	}
	return line[:i], line[i+1:], true
}

// readPointer fails with fs.ErrNotExist if there is none.
func readPointer(fsys vfs.FS) (pointer, error) {
	b, err := vfs.ReadFile(fsys, pointerName, maxPointer)
	if err != nil {
		return pointer{}, err
	}
	return decodePointer(b)
}

// writePointer makes p the pointer, durably. After an error it also says
// whether the old pointer is certainly still in force.
func writePointer(fsys vfs.FS, p pointer) (unchanged bool, err error) {
	if err = vfs.WriteFile(fsys, pointerName, p.encode()); err == nil {
		return false, nil
	}
	now, err2 := readPointer(fsys)
	return errors.Is(err2, fs.ErrNotExist) || err2 == nil && now != p, err
}
