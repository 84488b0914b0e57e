package seglog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// Frozen: part of format v1.
const (
	magic       = "TRIMLOG\n"
	version     = 1
	preludeSize = 16 // magic, version, zeros: readable by every version
	headerSize  = 4 + 16 + 8 + 8 + 8 + 8 + 8 + 4
	alignment   = 8
	block       = 4096 // what a write covers as a whole

	kindHeader     = 1
	kindCheckpoint = 2
	kindBatch      = 3
	kindSeal       = 4
	kindIdentity   = 5
	kindClean      = 6

	// placeless seeds frames that are read before the identity is known.
	placeless = 0x5452494d

	lockName     = "LOCK"
	identityName = "IDENTITY"
	cleanName    = "CLEAN"
	segmentExt   = ".seg"
	sparePrefix  = "spare-"
	tornExt      = ".torn"
)

// logID is the random identity of one log, in every checksum of its segments.
type logID [16]byte

func (id logID) String() string { return hex.EncodeToString(id[:]) }

// seed is where the checksums of one segment start. The salt tells the segment
// from others that were begun under its number and never became part of the
// log: what they left in the file does not verify.
func (id logID) seed(seq, salt uint64) uint32 {
	b := binary.LittleEndian.AppendUint64(id[:], seq)
	return frame.Sum(0, binary.LittleEndian.AppendUint64(b, salt))
}

// at seeds the checksum of bytes at one offset of a segment, so that an intact
// block in the wrong place does not verify.
func at(seed uint32, off int64) uint32 { return uint32(mix(uint64(seed)<<32 ^ uint64(off))) }

func segmentName(seq uint64) string { return fmt.Sprintf("%020d%s", seq, segmentExt) }

// parseSegmentName reports whether name is a segment's, and which.
func parseSegmentName(name string) (seq uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentExt)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	if _, err := fmt.Sscanf(digits, "%020d", &seq); err != nil || segmentName(seq) != name {
		return 0, false
	}
	return seq, true
}

func spareName(n uint64) string { return fmt.Sprintf("%s%06d%s", sparePrefix, n, segmentExt) }

// parseSpareName reports whether name is a spare's, and its number.
func parseSpareName(name string) (n uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, sparePrefix)
	if !ok {
		return 0, false
	}
	if _, err := fmt.Sscanf(digits, "%d"+segmentExt, &n); err != nil || spareName(n) != name {
		return 0, false
	}
	return n, true
}

// header begins every segment.
type header struct {
	id       logID
	seq      uint64 // of the segment
	salt     uint64 // drawn anew by each open
	headEnd  int64  // everything before was durable when the segment got its name
	prevEnd  int64  // where the frames of the one before end; what follows there does not count
	firstSeq uint64 // sequence of the first frame here
	prevSum  uint32 // header checksum of the last frame before prevEnd
}

// firstFrame is the offset of the first frame after the header.
const firstFrame = (preludeSize + frame.HeaderSize + headerSize + alignment - 1) / alignment * alignment

func (h header) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, 0, 0, 0, 0)
	var p []byte
	p = binary.LittleEndian.AppendUint32(p, version)
	p = append(p, h.id[:]...)
	p = binary.LittleEndian.AppendUint64(p, h.seq)
	p = binary.LittleEndian.AppendUint64(p, h.salt)
	p = binary.LittleEndian.AppendUint64(p, uint64(h.headEnd))
	p = binary.LittleEndian.AppendUint64(p, uint64(h.prevEnd))
	p = binary.LittleEndian.AppendUint64(p, h.firstSeq)
	p = binary.LittleEndian.AppendUint32(p, h.prevSum)
	return pad(frame.Append(b, kindHeader, placeless, p))
}

// parseHeader reads a segment's header from its first bytes. What it reports
// is fault.ErrUnsupported for another version, else what is wrong.
func parseHeader(b []byte) (header, error) {
	if len(b) < firstFrame {
		return header{}, frame.ErrShort
	}
	p, err := unwrap(b[preludeSize:firstFrame], kindHeader, headerSize)
	if err := checkPrelude(b, err == nil); err != nil {
		return header{}, err
	}
	if err != nil {
		return header{}, err
	}
	if v := binary.LittleEndian.Uint32(p); v != version {
		return header{}, fmt.Errorf("version %d in the header, %d before it", v, version)
	}
	if !zero(b[preludeSize+frame.HeaderSize+headerSize : firstFrame]) {
		return header{}, errPadding
	}
	h := header{
		seq:      binary.LittleEndian.Uint64(p[20:]),
		salt:     binary.LittleEndian.Uint64(p[28:]),
		headEnd:  int64(binary.LittleEndian.Uint64(p[36:])),
		prevEnd:  int64(binary.LittleEndian.Uint64(p[44:])),
		firstSeq: binary.LittleEndian.Uint64(p[52:]),
		prevSum:  binary.LittleEndian.Uint32(p[60:]),
	}
	copy(h.id[:], p[4:])
	if h.prevEnd < 0 || h.headEnd < firstFrame {
		return header{}, fmt.Errorf("predecessor ends at %d, head at %d", h.prevEnd, h.headEnd)
	}
	return h, nil
}

var (
	errMagic   = errors.New("magic number missing, not a segment of this log")
	errPadding = errors.New("padding is not zero")
)

// checkPrelude reads what every version of the format begins with. Another
// version before a frame that is intact as this one's is damage.
func checkPrelude(b []byte, intact bool) error {
	if string(b[:len(magic)]) != magic {
		return errMagic
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != version && intact {
		return fmt.Errorf("version %d before a header of version %d", v, version)
	} else if v != version {
		return fmt.Errorf("format version %d, this program reads version %d: %w", v, version, fault.ErrUnsupported)
	}
	if !zero(b[len(magic)+4 : preludeSize]) {
		return errPadding
	}
	return nil
}

// unwrap reads the one frame of a known kind and size at the start of b.
func unwrap(b []byte, kind byte, size int) ([]byte, error) {
	h, err := frame.Parse(b, placeless)
	if err != nil {
		return nil, err
	}
	if h.Kind != kind || int64(h.Len) != int64(size) || len(b) < frame.HeaderSize+size {
		return nil, fmt.Errorf("frame of kind %d with %d bytes, want kind %d with %d", h.Kind, h.Len, kind, size)
	}
	p := b[frame.HeaderSize : frame.HeaderSize+size]
	return p, h.Check(placeless, p)
}

func aligned(n int64) int64 { return (n + alignment - 1) / alignment * alignment }

// blocks rounds n up to whole blocks.
func blocks(n int64) int64 { return (n + block - 1) / block * block }

func pad(b []byte) []byte {
	for len(b)%alignment != 0 {
		b = append(b, 0)
	}
	return b
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func (id logID) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, 0, 0, 0, 0)
	return frame.Append(b, kindIdentity, placeless, id[:])
}

func parseIdentity(b []byte) (id logID, err error) {
	if len(b) != preludeSize+frame.HeaderSize+len(id) {
		return id, frame.ErrShort
	}
	p, err := unwrap(b[preludeSize:], kindIdentity, len(id))
	if err := checkPrelude(b, err == nil); err != nil {
		return id, err
	}
	copy(id[:], p)
	return id, err
}
