package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

var codecs = []snapshot.Codec{snapshot.CodecNone, snapshot.CodecGzip, snapshot.CodecLZ4, snapshot.CodecZstd}

// TestEveryBitFlipped flips each bit of a small container, cuts it at each
// byte and adds one, and reads it by every way: always damage, never a wrong
// byte.
func TestEveryBitFlipped(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			content := bytes.Repeat([]byte("so much of the same "), 1000)
			if codec == snapshot.CodecNone {
				content = content[:150]
			}
			b := newKept()
			s := open(t, b, nil)
			m := commit(t, s, 7, content, &snapshot.CreateOptions{Codec: codec})
			whole := b.get(t, object(m.ID))
			check := func(what string, damaged []byte) {
				t.Helper()
				b.put(t, object(m.ID), damaged)
				got, err := read(t.Context(), s, m.ID)
				if !errors.Is(err, fault.ErrCorrupt) || !bytes.HasPrefix(content, got) {
					t.Fatalf("%s: reading = %d bytes (right so far: %v), %v, want damage", what, len(got), bytes.HasPrefix(content, got), err)
				}
				if c, ok := errors.AsType[*fault.Corruption](err); !ok || c.Path != object(m.ID) || c.Offset < 0 || c.Offset > int64(max(len(whole), len(damaged))) {
					t.Fatalf("%s: %+v names no place in %s", what, c, object(m.ID))
				}
				if _, err := s.Install(t.Context(), bytes.NewReader(damaged), nil); !errors.Is(err, fault.ErrCorrupt) {
					t.Fatalf("%s: Install = %v, want damage", what, err)
				}
			}
			for bit := range len(whole) * 8 {
				d := bytes.Clone(whole)
				d[bit/8] ^= 1 << (bit % 8)
				check(fmt.Sprintf("bit %d of byte %d flipped", bit%8, bit/8), d)
			}
			for n := range whole {
				check(fmt.Sprintf("cut at %d", n), whole[:n])
			}
			check("extended", append(bytes.Clone(whole), 0))
			check("doubled", append(bytes.Clone(whole), whole...))
			b.put(t, object(m.ID), whole)
			wantRead(t, s, m.ID, content)
			if got := ids(t, s); len(got) != 1 {
				t.Errorf("All = %v, want only the first: no damaged container may be installed", got)
			}
		})
	}
}

// TestEveryByteOfLarge changes one byte in every few of a container with many
// chunks; Stream and Chunk must see it too, or hand out what they had before.
func TestEveryByteOfLarge(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	m := commit(t, s, 7, text(1, 60_000), &snapshot.CreateOptions{Codec: snapshot.CodecLZ4})
	whole, man := b.get(t, object(m.ID)), manifest(t, s, m.ID)
	for off := 0; off < len(whole); off += 131 {
		d := bytes.Clone(whole)
		d[off] ^= 0x80
		b.put(t, object(m.ID), d)
		if r, err := s.Stream(t.Context(), m.ID); err == nil {
			got, err := io.ReadAll(r)
			if cerr := r.Close(); cerr != nil {
				t.Fatal(cerr)
			}
			if !errors.Is(err, fault.ErrCorrupt) || !bytes.HasPrefix(whole, got) {
				t.Fatalf("byte %d changed: Stream = %d bytes, %v, want damage", off, len(got), err)
			}
		} else if !errors.Is(err, fault.ErrCorrupt) {
			t.Fatalf("byte %d changed: Stream = %v, want damage", off, err)
		}
		bad := 0
		for n := range man.Chunks {
			r, err := s.Chunk(t.Context(), m.ID, n)
			if errors.Is(err, fault.ErrCorrupt) {
				bad++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if at := man.Chunks[n].Offset; err != nil || !bytes.HasPrefix(whole[at:], got) {
				t.Fatalf("byte %d changed: Chunk(%d) = %d other bytes, %v", off, n, len(got), err)
			}
		}
		last := man.Chunks[len(man.Chunks)-1]
		inside := int64(off) >= man.Chunks[0].Offset && int64(off) < last.Offset+int64(last.StoredSize)
		if inside && bad != 1 {
			t.Fatalf("byte %d changed: %d chunks are damaged, want 1", off, bad)
		}
		report, err := s.Verify(t.Context(), m.ID, nil)
		if !errors.Is(err, fault.ErrCorrupt) || inside && (report.Faults != 1 || report.Chunks != int64(len(man.Chunks))-1) {
			t.Fatalf("byte %d changed: Verify = %+v, %v, want one fault and the other chunks whole", off, report, err)
		}
	}
	b.put(t, object(m.ID), whole)
}

// TestMixed puts parts of one container into another: same codec, same
// lengths, same places, intact bytes.
func TestMixed(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	content := noise(1, 50_000)
	one := commit(t, s, 7, content, nil)
	two := commit(t, s, 7, content, nil)
	c1, c2 := b.get(t, object(one.ID)), b.get(t, object(two.ID))
	if len(c1) != len(c2) {
		t.Fatalf("containers of equal content have %d and %d bytes", len(c1), len(c2))
	}
	man := manifest(t, s, one.ID)
	splice := func(lo, hi int64) []byte {
		d := bytes.Clone(c1)
		copy(d[lo:hi], c2[lo:hi])
		return d
	}
	end := man.Chunks[len(man.Chunks)-1].Offset + int64(man.Chunks[len(man.Chunks)-1].StoredSize) + 24
	swapped := bytes.Clone(c1)
	a, z := man.Chunks[0], man.Chunks[1]
	n := 24 + min(a.StoredSize, z.StoredSize)
	copy(swapped[a.Offset:], c1[z.Offset:z.Offset+int64(n)])
	for what, d := range map[string][]byte{
		"the chunks of another":                 splice(man.Chunks[0].Offset, end),
		"one chunk of another":                  splice(man.Chunks[1].Offset, man.Chunks[2].Offset),
		"the table of another":                  splice(end, int64(len(c1))-88),
		"the trailer of another":                splice(int64(len(c1))-88, int64(len(c1))),
		"the header of another":                 splice(0, man.Chunks[0].Offset),
		"a sector of another":                   splice(512*10, 512*11),
		"a chunk of its own from another place": swapped,
	} {
		b.put(t, object(one.ID), d)
		if got, err := read(t.Context(), s, one.ID); !errors.Is(err, fault.ErrCorrupt) || !bytes.HasPrefix(content, got) {
			t.Errorf("with %s: reading = %d bytes, %v, want damage", what, len(got), err)
		}
		if _, err := s.Install(t.Context(), bytes.NewReader(d), nil); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("with %s: Install = %v, want damage", what, err)
		}
	}
	b.put(t, object(one.ID), c1)
}

func TestForeignContainer(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	m := commit(t, s, 7, []byte("content"), nil)
	moved := snapshot.ID{Term: 3, Index: 8, Suffix: 1}
	b.put(t, object(moved), b.get(t, object(m.ID)))
	_, err := s.Open(t.Context(), moved)
	if c, ok := errors.AsType[*fault.Corruption](err); !ok || c.Class != fault.Foreign {
		t.Errorf("Open of a container under another name = %v, want foreign damage", err)
	}
}

func TestNewerVersion(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	old := commit(t, s, 7, []byte("content"), nil)
	m := commit(t, s, 8, []byte("content"), nil)
	newer := snapshot.WithVersion(b.get(t, object(m.ID)), 2)
	b.put(t, object(m.ID), newer)
	_, opened := s.Open(t.Context(), m.ID)
	_, installed := s.Install(t.Context(), bytes.NewReader(newer), nil)
	_, latest := s.Latest(t.Context())
	for what, err := range map[string]error{"Open": opened, "Install": installed, "Latest": latest} {
		if !errors.Is(err, fault.ErrUnsupported) || errors.Is(err, fault.ErrCorrupt) ||
			!bytes.Contains([]byte(err.Error()), []byte("version 2")) || !bytes.Contains([]byte(err.Error()), []byte("version 1")) {
			t.Errorf("%s = %v, want ErrUnsupported that names versions 2 and 1", what, err)
		}
	}
	// It is newer than everything we can read: no policy may touch it.
	commit(t, s, 9, []byte("content"), nil)
	gone, err := s.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	if err != nil || len(gone) != 1 || gone[0].ID != old.ID {
		t.Errorf("Prune = %v, %v, want only %v", gone, err, old.ID)
	}
}

func TestDamageFoundByAReaderIsRemembered(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	old := commit(t, s, 7, noise(1, 9000), nil)
	m := commit(t, s, 8, noise(2, 9000), nil)
	d := b.get(t, object(m.ID))
	d[1000] ^= 1
	b.put(t, object(m.ID), d)
	if got, err := s.Latest(t.Context()); err != nil || got.ID != m.ID {
		t.Errorf("Latest = %v, %v before anybody read the chunks, want %v", got.ID, err, m.ID)
	}
	if _, err := read(t.Context(), s, m.ID); !errors.Is(err, fault.ErrCorrupt) {
		t.Fatalf("reading = %v, want damage", err)
	}
	if _, err := s.Latest(t.Context()); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Latest = %v after a reader found damage, want that", err)
	}
	gone, err := s.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	if err != nil || len(gone) != 0 {
		t.Errorf("Prune = %v, %v, want nothing: %v is the newest valid one", gone, err, old.ID)
	}
	d[1000] ^= 1
	b.put(t, object(m.ID), d)
	if _, err := s.Verify(t.Context(), m.ID, nil); err != nil {
		t.Errorf("Verify = %v after the byte was put right, want nil", err)
	}
	if _, err := s.Latest(t.Context()); err != nil {
		t.Errorf("Latest = %v after Verify passed, want nil", err)
	}
}
