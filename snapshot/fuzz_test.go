package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// goldenFiles seeds a target with the files of that pattern.
func goldenFiles(f *testing.F, pattern string) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", pattern))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// small is a container of two chunks, the second of them stored as it is.
func small(f *testing.F, c Codec, level int) []byte {
	f.Helper()
	var b bytes.Buffer
	h := testHeader()
	h.codec, h.level = c, level
	p, err := newPacker(&b, h)
	if err != nil {
		f.Fatal(err)
	}
	s, err := newSqueezer(c, level)
	if err != nil {
		f.Fatal(err)
	}
	defer s.close()
	for _, raw := range [][]byte{bytes.Repeat([]byte("abcdef "), 40), []byte("xyz")} {
		if err := packRaw(p, s, raw); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := p.finish(2); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

func smallAll(f *testing.F) {
	f.Add(small(f, CodecNone, 0))
	f.Add(small(f, CodecGzip, 6))
	f.Add(small(f, CodecLZ4, 1))
	f.Add(small(f, CodecZstd, 3))
}

// typed fails unless err is one that callers can tell apart.
func typed(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) && !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("untyped error %v", err)
	}
}

// frugal fails the test at its end if it allocated more than 128 MiB in all,
// whatever lengths its input claims.
func frugal(t *testing.T) {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	t.Cleanup(func() {
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
			t.Errorf("%d MiB were allocated, want at most 128", n>>20)
		}
	})
}

// FuzzOpen reads a container from a bucket: what is handed out to io.EOF has
// the digest that the container states, and streams as the same bytes.
func FuzzOpen(f *testing.F) {
	smallAll(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		frugal(t)
		id := ID{Term: 3, Index: 7}
		s, err := New(one{id.object(), b}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_, verr := s.Verify(t.Context(), id, nil)
		typed(t, verr)
		r, err := s.Open(t.Context(), id)
		if err != nil {
			typed(t, err)
			return
		}
		got, err := io.ReadAll(r)
		typed(t, err)
		if (err == nil) != (verr == nil) || err == nil && int64(len(got)) != r.Meta().Size {
			t.Errorf("read %d of %d bytes, %v; Verify = %v", len(got), r.Meta().Size, err, verr)
		}
		st, err := s.Stream(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if whole, err := io.ReadAll(st); !bytes.HasPrefix(b, whole) || err == nil && !bytes.Equal(b, whole) {
			t.Errorf("streams as %d other bytes, %v", len(whole), err)
		}
	})
}

// FuzzInstall takes a container from a stream: what is accepted is copied as
// it is.
func FuzzInstall(f *testing.F) {
	smallAll(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		frugal(t)
		s, err := New(one{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		in := intake{s: s, p: place{path: "stream", class: fault.Uncommitted}}
		r := bytes.NewReader(b)
		in.src = r
		if in.h, err = readHeader(in.p, r); err != nil {
			typed(t, err)
			return
		}
		var out bytes.Buffer
		if _, err := in.copy(t.Context(), &out); err != nil {
			typed(t, err)
		} else if !bytes.Equal(out.Bytes(), b) {
			t.Errorf("%d bytes were taken in as %d others", len(b), out.Len())
		}
	})
}

// FuzzManifest decodes: what is accepted encodes to the same bytes.
func FuzzManifest(f *testing.F) {
	goldenFiles(f, "v1.manifest")
	f.Fuzz(func(t *testing.T, b []byte) {
		frugal(t)
		var m Manifest
		if err := m.UnmarshalBinary(b); err != nil {
			typed(t, err)
			return
		}
		if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("encodes to %d other bytes, %v", len(again), err)
		}
	})
}

// FuzzHeader decodes header payloads whose checksums hold.
func FuzzHeader(f *testing.F) {
	whole := appendHeader(nil, testHeader())
	f.Add(whole[preambleSize+frame.HeaderSize:])
	f.Add(make([]byte, headerFixed))
	f.Fuzz(func(t *testing.T, b []byte) {
		frugal(t)
		h, err := parseHeader(place{}, nonce{9}, b)
		if err != nil {
			typed(t, err)
			return
		}
		again := appendHeader(nil, h)
		if !bytes.Equal(again[preambleSize+frame.HeaderSize:], b) || int64(len(again)) != h.size() {
			t.Errorf("encodes to other bytes: %x, want %x", again, b)
		}
	})
}

// FuzzTable gives a container with two chunks any table and trailer, sealed
// with the checksums that belong there: only the count of entries is free.
func FuzzTable(f *testing.F) {
	whole := small(f, CodecNone, 0)
	h := testHeader()
	h.codec, h.level = CodecNone, 0
	tail := whole[len(whole)-trailerFixed:]
	table := int(le.Uint64(tail[64:]))
	f.Add(whole[table+frame.HeaderSize:len(whole)-trailerSize], tail)
	f.Fuzz(func(t *testing.T, entries, tail []byte) {
		frugal(t)
		if len(tail) != trailerFixed || len(entries) > pageEntries*entrySize {
			return
		}
		b := bytes.Clone(whole[:table])
		b = appendTable(b, h.nonce, int64(table), entries)
		b = frame.Append(b, kindTrailer, h.nonce.seed(int64(len(b))), tail)
		id := ID{Term: 3, Index: 7}
		s, err := New(one{id.object(), b}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_, verr := s.Verify(t.Context(), id, nil)
		typed(t, verr)
		_, ierr := s.Install(t.Context(), bytes.NewReader(b), nil)
		var m Manifest
		merr := m.UnmarshalBinary(append(bytes.Clone(b[:h.size()]), b[table:]...))
		typed(t, merr)
		if verr == nil && (!bytes.Equal(b[:len(b)-trailerSize], whole[:len(whole)-trailerSize]) || merr != nil) {
			t.Errorf("another table is accepted; manifest: %v", merr)
		}
		// one cannot be read back, so an Install that got so far says so.
		if verr == nil && !errors.Is(ierr, fault.ErrNotFound) || verr != nil && !errors.Is(ierr, fault.ErrCorrupt) {
			t.Errorf("Verify = %v, Install = %v", verr, ierr)
		}
	})
}

// FuzzChunk expands stored bytes of any codec: never more than was asked for.
func FuzzChunk(f *testing.F) {
	raw := bytes.Repeat([]byte("some state "), 30)
	for c := CodecNone; c <= CodecZstd; c++ {
		_, _, normal := c.Levels()
		s, err := newSqueezer(c, normal)
		if err != nil {
			f.Fatal(err)
		}
		used, b, err := s.squeeze(raw)
		if err != nil {
			f.Fatal(err)
		}
		if used == CodecNone {
			b = raw
		}
		f.Add(byte(c), uint32(len(raw)), bytes.Clone(b))
		s.close()
	}
	f.Fuzz(func(t *testing.T, c byte, raw uint32, data []byte) {
		frugal(t)
		payload := le.AppendUint32(nil, raw%(64<<10))
		payload = append(append(payload, c, 0, 0, 0), data...)
		codec, n, data, err := parseChunk(place{}, 0, payload)
		if err != nil {
			typed(t, err)
			return
		}
		var x expander
		var buf []byte
		defer x.close()
		for range 2 { // the decoders are used again after an error
			if got, err := x.expand(&buf, codec, n, data); err == nil && len(got) != n {
				t.Errorf("%v expands to %d bytes, want %d", codec, len(got), n)
			}
		}
		e := ChunkInfo{Size: n, StoredSize: len(data), Digest: sha256.Sum256(data)}
		if got, err := x.check(&buf, codec, e, data); err == nil && sha256.Sum256(got) != e.Digest {
			t.Error("check accepted another digest")
		}
	})
}

// FuzzAccess decodes the order of opens.
func FuzzAccess(f *testing.F) {
	goldenFiles(f, "v1.ACCESS")
	f.Fuzz(func(t *testing.T, b []byte) {
		var a access
		if err := a.unmarshal(b); err != nil {
			typed(t, err)
			if a.order != nil {
				t.Error("an error left something behind")
			}
			return
		}
		if again := a.marshal(); !bytes.Equal(again, b) {
			t.Errorf("encodes to %x, want %x", again, b)
		}
	})
}

// FuzzParseID accepts one spelling of each id.
func FuzzParseID(f *testing.F) {
	f.Add("00000000000000ab-0000000000000001-ffffffffffffffff")
	f.Add("../../../etc/passwd")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			typed(t, err)
		} else if id.String() != s || CheckName(id.object()) != nil {
			t.Errorf("ParseID(%q) = %v", s, id)
		}
	})
}
