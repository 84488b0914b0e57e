package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// Manifest is a container without its chunks: what a receiver needs to know
// before it asks for them. It is made by [Store.Manifest] or UnmarshalBinary;
// one whose fields were changed so that they do not agree is refused with
// fault.ErrInvalid. It takes 48 bytes for each chunk.
type Manifest struct {
	// Meta describes the snapshot as its source has it. ID is zero: the source
	// and the receiver call it by different ids.
	Meta   Meta
	Chunks []ChunkInfo
	nonce  nonce
}

// Manifest returns the manifest of a snapshot. Whoever sends chunks by it pins
// the snapshot first.
func (s *Store) Manifest(ctx context.Context, id ID) (Manifest, error) {
	m, err := s.manifest(ctx, id)
	if err != nil {
		return Manifest{}, fmt.Errorf("make the manifest of snapshot %v: %w", id, err)
	}
	return m, nil
}

func (s *Store) manifest(ctx context.Context, id ID) (Manifest, error) {
	if err := s.enter(ctx); err != nil {
		return Manifest{}, err
	}
	defer s.leave()
	release, err := s.hold(id)
	if err != nil {
		return Manifest{}, err
	}
	defer release()
	o, err := s.stat(ctx, id)
	if err != nil {
		return Manifest{}, err
	}
	l, err := s.layout(ctx, o)
	if err != nil {
		return Manifest{}, err
	}
	m := manifestOf(l)
	for c, err := range s.entries(ctx, l) {
		if err != nil {
			return Manifest{}, err
		}
		m.Chunks = append(m.Chunks, c)
	}
	s.access.touch(id)
	return m, nil
}

func manifestOf(l layout) Manifest {
	l.id = ID{}
	return Manifest{Meta: l.meta(), nonce: l.h.nonce}
}

func (m Manifest) header() header {
	return header{nonce: m.nonce, info: m.Meta.clone(), created: m.Meta.Created.UTC(), codec: m.Meta.Codec, level: m.Meta.Level}
}

// MarshalBinary encodes the manifest for sending: the container's own header,
// table and trailer. fault.ErrInvalid: the fields do not agree.
func (m Manifest) MarshalBinary() ([]byte, error) {
	if m.Meta.Level < 0 || m.Meta.Level > 255 || !m.Meta.Codec.known() {
		return nil, invalid("encode manifest: codec %v with level %d", m.Meta.Codec, m.Meta.Level)
	}
	if err := m.Meta.check(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	h := m.header()
	t := newTally(h.size())
	var table []byte
	for i, c := range m.Chunks {
		if uint64(c.Size) > maxChunk || uint64(c.StoredSize) > maxChunk {
			return nil, invalid("encode manifest: chunk %d of %d bytes stored as %d", i, c.Size, c.StoredSize)
		}
		table = appendEntry(table, c)
		if _, err := t.add(place{path: "manifest"}, 0, table[len(table)-entrySize:]); err != nil {
			return nil, invalid("encode manifest: %v", err)
		}
	}
	tr := t.trailer(m.Meta.Entries)
	if tr.raw != m.Meta.Size || tr.size != m.Meta.StoredSize || digestText(tr.digest) != m.Meta.Digest {
		return nil, invalid("encode manifest: sizes or digest do not agree with the chunks")
	}
	b := appendHeader(nil, h)
	b = appendTable(b, h.nonce, tr.table, table)
	b = appendTrailer(b, h.nonce, tr)
	if err := new(Manifest).UnmarshalBinary(b); err != nil {
		return nil, invalid("encode manifest: %v", err)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote and nothing else, and checks
// that all of it agrees. It takes memory in proportion to b. Errors are
// *fault.Corruption, or fault.ErrUnsupported for a newer version; m is then
// unchanged.
func (m *Manifest) UnmarshalBinary(b []byte) error {
	got, err := parseManifest(b)
	if err != nil {
		return fmt.Errorf("decode manifest: %w", err)
	}
	*m = got
	return nil
}

func parseManifest(b []byte) (Manifest, error) {
	p := place{path: "manifest", class: fault.Uncommitted}
	r := bytes.NewReader(b)
	h, err := readHeader(p, r)
	if err != nil {
		return Manifest{}, err
	}
	if r.Len() < trailerSize {
		return Manifest{}, p.broken(int64(len(b)), "trailer", errShort)
	}
	tail := b[len(b)-trailerSize:]
	// The checksum starts from where the trailer is in the container, which
	// only the trailer itself knows.
	size := int64(le.Uint64(tail[frame.HeaderSize+16:]))
	if size < smallestSize {
		return Manifest{}, p.damaged(int64(len(b)-trailerSize), "trailer: container of %d bytes", size)
	}
	off := size - trailerSize
	if err := checkFrame(p, off, h.nonce.seed(off), kindTrailer, tail); err != nil {
		return Manifest{}, err
	}
	t, err := parseTrailer(p, h, off, tail[frame.HeaderSize:])
	if err != nil {
		return Manifest{}, err
	}
	if have := int64(r.Len() - trailerSize); have != tableSize(t.chunks) {
		return Manifest{}, p.damaged(h.size(), "table of %d bytes for %d chunks", have, t.chunks)
	}
	m := manifestOf(layout{h: h, t: t})
	table := newTableReader(p, r, h, t)
	for {
		c, err := table.next()
		if ended(err) {
			return m, nil
		}
		if err != nil {
			return Manifest{}, err
		}
		m.Chunks = append(m.Chunks, c)
	}
}

// key tells one transfer from another.
func manifestKey(b []byte) [32]byte { return sha256.Sum256(b) }
