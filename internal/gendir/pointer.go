package gendir

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
	pointerMagic  = "trimaran-kv"
	pointerFormat = pointerMagic + " %d %s %s %08d"
	nameFormat    = "gen-%08d"
	formatVersion = 1

	stateNew  = "new"  // the first generation is being made; it holds nothing yet
	stateLive = "live" // the generation is complete

	maxPointer = 64 << 10
)

// pointer is the content of the file GENERATION.
type pointer struct {
	engine string
	state  string
	gen    uint64
}

// Name is the directory of a generation.
func Name(gen uint64) string { return fmt.Sprintf(nameFormat, gen) }

// isName reports whether Name has written name.
func isName(name string) bool {
	var gen uint64
	_, err := fmt.Sscanf(name, "gen-%d", &gen) // a width would end a long number
	return err == nil && gen > 0 && Name(gen) == name
}

func (p pointer) encode() []byte {
	line := fmt.Sprintf(pointerFormat, formatVersion, p.engine, p.state, p.gen)
	return fmt.Appendf(nil, "%s %08x\n", line, checksum(line))
}

func checksum(line string) uint32 {
	return crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli))
}

// decodePointer accepts what encode writes for that engine, to the byte.
func decodePointer(b []byte, engine string) (pointer, error) {
	damage := func(class fault.Class, reason string) error {
		return &fault.Corruption{Path: pointerName, Class: class, Reason: reason}
	}
	var p pointer
	var version int
	line, _, _ := strings.Cut(string(b), "\n")
	if !strings.HasPrefix(line, pointerMagic+" ") {
		return p, damage(fault.Foreign, "it is no pointer to a generation")
	}
	line, sum, _ := cutLast(line)
	if sum != fmt.Sprintf("%08x", checksum(line)) {
		return p, damage(fault.Committed, "checksum mismatch")
	}
	if _, err := fmt.Sscanf(line, pointerMagic+" %d %s %s %d", &version, &p.engine, &p.state, &p.gen); version > formatVersion {
		return p, fmt.Errorf("%s is of format version %d, this build knows %d: %w", pointerName, version, formatVersion, fault.ErrUnsupported)
	} else if err != nil {
		return p, damage(fault.Committed, err.Error())
	}
	if p.engine != engine {
		return p, fmt.Errorf("the directory holds a %s store, not a %s one: %w", p.engine, engine, fault.ErrInvalid)
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

// read fails with fs.ErrNotExist if there is no pointer.
func (d *Dir) read() (pointer, error) {
	b, err := vfs.ReadFile(d.fs, pointerName, maxPointer)
	if err != nil {
		return pointer{}, err
	}
	return decodePointer(b, d.engine)
}

// write makes a pointer durably. After an error it also says whether the old
// pointer is certainly still in force.
func (d *Dir) write(state string, gen uint64) (unchanged bool, err error) {
	p := pointer{d.engine, state, gen}
	if err = vfs.WriteFile(d.fs, pointerName, p.encode()); err == nil {
		return false, nil
	}
	now, err2 := d.read()
	return errors.Is(err2, fs.ErrNotExist) || err2 == nil && now != p, err
}
