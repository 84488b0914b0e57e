package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
)

// one is a bucket with a single object that cannot be written.
type one struct {
	name string
	data []byte
}

func (b one) Create(context.Context, string) (Pending, error) { return sink{}, nil }
func (b one) Remove(context.Context, string) error            { return nil }
func (b one) Close() error                                    { return nil }

func (b one) Open(_ context.Context, name string, off int64) (io.ReadCloser, error) {
	if name != b.name {
		return nil, fault.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b.data[min(off, int64(len(b.data))):])), nil
}

func (b one) List(context.Context) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) { yield(Object{b.name, int64(len(b.data))}, nil) }
}

type sink struct{}

func (sink) Write(p []byte) (int, error)  { return len(p), nil }
func (sink) Commit(context.Context) error { return nil }
func (sink) Abort() error                 { return nil }

func testHeader() header {
	return header{
		nonce: nonce{1, 2, 3}, codec: CodecZstd, level: 3, created: time.Unix(50, 60).UTC(),
		info: Info{Index: 7, Term: 3, Membership: []byte("abc"), MembershipIndex: 5, Clock: time.Unix(70, 80).UTC()},
	}
}

// refuses reads a hostile container by every way and wants an error, little
// memory, and no byte of payload.
func refuses(t *testing.T, what string, b []byte) {
	t.Helper()
	id := ID{Term: 3, Index: 7, Suffix: 1}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := New(one{id.object(), b}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), id)
	if err == nil {
		var got []byte
		if got, err = io.ReadAll(r); len(got) > 0 {
			t.Errorf("%s: %d bytes were handed out", what, len(got))
		}
	}
	if !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("%s: reading = %v, want damage", what, err)
	}
	if _, err := s.Install(t.Context(), bytes.NewReader(b), nil); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("%s: Install = %v, want damage", what, err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%s: %d MiB were allocated, want less than 64", what, n>>20)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// packed is a container of one chunk that claims to hold raw bytes.
func packed(t *testing.T, c Codec, raw uint32, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	h := testHeader()
	p, err := newPacker(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	off := p.tally.next
	p.table = appendEntry(nil, ChunkInfo{Offset: off, Size: int(raw), StoredSize: len(data), Digest: sha256.Sum256(make([]byte, min(raw, maxChunk)))})
	_, _ = p.tally.add(place{}, 0, p.table)
	if p.tally.chunks == 0 { // lengths that the tally refuses are written all the same
		p.tally.next, p.tally.raw, p.tally.chunks = off+int64(frame.HeaderSize+chunkPrefix+len(data)), int64(raw), 1
	}
	b.Write(appendChunk(nil, h.nonce.seed(off), c, int(raw), data))
	if _, err := p.finish(0); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBombs(t *testing.T) {
	zeros := make([]byte, 64<<20)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zbomb := enc.EncodeAll(zeros, nil)
	var unknown bytes.Buffer // a stream does not say how long it is
	zw, err := zstd.NewWriter(&unknown, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for range 16 {
		if _, err := zw.Write(zeros[:4<<20]); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	var gbomb bytes.Buffer
	gw := gzip.NewWriter(&gbomb)
	if _, err := gw.Write(zeros); err != nil {
		t.Fatal(err)
	}
	if err := gw.Close(); err != nil {
		t.Fatal(err)
	}
	lbomb := make([]byte, lz4.CompressBlockBound(8<<20))
	n, err := lz4.CompressBlock(zeros[:8<<20], lbomb, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A frame header that promises 10 GiB: magic, descriptor for 8 bytes of
	// content size in a single segment, the size, one empty raw block.
	tenGiB := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, le.AppendUint64(nil, 10<<30)...)
	tenGiB = append(tenGiB, 1, 0, 0)
	window := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0} // 2 TiB of window
	for what, b := range map[string][]byte{
		"zstd that expands to 64 MiB":              packed(t, CodecZstd, maxChunk, zbomb),
		"zstd of unknown length":                   packed(t, CodecZstd, maxChunk, unknown.Bytes()),
		"zstd that says 10 GiB":                    packed(t, CodecZstd, 1000, tenGiB),
		"zstd with a window of 2 TiB":              packed(t, CodecZstd, 1000, window),
		"gzip that expands to 64 MiB":              packed(t, CodecGzip, maxChunk, gbomb.Bytes()),
		"lz4 that expands to 8 MiB":                packed(t, CodecLZ4, maxChunk, lbomb[:n]),
		"less than it says":                        packed(t, CodecZstd, maxChunk, enc.EncodeAll(zeros[:100], nil)),
		"nothing":                                  packed(t, CodecZstd, 1000, enc.EncodeAll(nil, nil)),
		"garbage as zstd":                          packed(t, CodecZstd, 1000, []byte("garbage")),
		"garbage as gzip":                          packed(t, CodecGzip, 1000, []byte("garbage")),
		"garbage as lz4":                           packed(t, CodecLZ4, 1000, []byte("garbage")),
		"a chunk of 4 GiB":                         packed(t, CodecZstd, math.MaxUint32, []byte("x")),
		"a chunk one byte too long":                packed(t, CodecZstd, maxChunk+1, []byte("x")),
		"a chunk of nothing":                       packed(t, CodecZstd, 0, []byte("x")),
		"a chunk without bytes":                    packed(t, CodecZstd, 10, nil),
		"a chunk that grew":                        packed(t, CodecZstd, 2, []byte("xyz")),
		"a raw chunk that shrank":                  packed(t, CodecNone, 10, []byte("x")),
		"an unknown codec":                         packed(t, 9, 10, []byte("x")),
		"two frames of zstd, one byte more in all": packed(t, CodecZstd, 200, append(enc.EncodeAll(zeros[:100], nil), enc.EncodeAll(zeros[:101], nil)...)),
		"gzip with a tail":                         packed(t, CodecGzip, 64<<10, append(gz(t, zeros[:64<<10]), 'x')),
	} {
		refuses(t, what, b)
	}
}

// packRaw compresses a chunk and writes it.
func packRaw(p *packer, s *squeezer, raw []byte) error {
	t := packing{raw: append(make([]byte, chunkRoom), raw...)}
	if pack(s, &t); t.err != nil {
		return t.err
	}
	return p.chunk(len(raw), t.digest, t.frame(), t.sum)
}

func gz(t *testing.T, raw []byte) []byte {
	t.Helper()
	s, err := newSqueezer(CodecGzip, 6)
	if err != nil {
		t.Fatal(err)
	}
	c, b, err := s.squeeze(raw)
	if err != nil || c != CodecGzip {
		t.Fatalf("squeeze = %v, %v", c, err)
	}
	return bytes.Clone(b)
}

// TestAnotherDigest seals a chunk whose bytes are not those that the table
// names: what reads digests finds that, and what reads bytes has the checksum.
func TestAnotherDigest(t *testing.T) {
	id := ID{Term: 3, Index: 7}
	b := packed(t, CodecNone, 3, []byte("abc"))
	s, err := New(one{id.object(), b}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r, err := s.Verify(t.Context(), id, nil); !errors.Is(err, errDigest) || r.Faults != 1 {
		t.Errorf("Verify = %+v, %v, want a digest mismatch", r, err)
	}
	if _, err := s.Install(t.Context(), bytes.NewReader(b), nil); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Install = %v, want damage", err)
	}
}

// TestLyingTrailer gives a trailer with intact checksums every number that it
// could be off by.
func TestLyingTrailer(t *testing.T) {
	h := testHeader()
	sum := newTally(h.size())
	data := []byte("hello")
	entry := appendEntry(nil, ChunkInfo{Offset: h.size(), Size: 5, StoredSize: 5, Digest: sha256.Sum256(data)})
	if _, err := sum.add(place{}, 0, entry); err != nil {
		t.Fatal(err)
	}
	build := func(change func(*trailer)) []byte {
		tr := sum.trailer(1)
		b := appendHeader(nil, h)
		b = appendChunk(b, h.nonce.seed(h.size()), CodecNone, 5, data)
		b = appendTable(b, h.nonce, tr.table, entry)
		at := int64(len(b))
		change(&tr)
		tail := appendTrailer(nil, h.nonce, tr)
		frame.Finish(tail, 0, kindTrailer, h.nonce.seed(at)) // sealed for where it is
		return append(b, tail...)
	}
	whole := build(func(*trailer) {})
	s, err := New(one{ID{Term: 3, Index: 7}.object(), whole}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), ID{Term: 3, Index: 7}, nil); err != nil {
		t.Fatalf("the container that the others are made from: %v", err)
	}
	for _, v := range []int64{0, 1, -1, 6, 1 << 20, 1 << 32, 1 << 62, math.MaxInt64, math.MinInt64} {
		for name, change := range map[string]func(*trailer){
			"payload": func(t *trailer) { t.raw = v },
			"size":    func(t *trailer) { t.size = v },
			"chunks":  func(t *trailer) { t.chunks = v },
			"table":   func(t *trailer) { t.table = v },
			"digest":  func(t *trailer) { t.digest[0]++ },
		} {
			if b := build(change); !bytes.Equal(b, whole) {
				refuses(t, name, b)
			}
		}
	}
}

// TestLyingTable moves a stored byte from one chunk of the table to the next:
// sums and digests stay the same.
func TestLyingTable(t *testing.T) {
	var b bytes.Buffer
	p, err := newPacker(&b, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSqueezer(CodecZstd, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, word := range []string{"first ", "second "} {
		if err := packRaw(p, s, bytes.Repeat([]byte(word), 100)); err != nil {
			t.Fatal(err)
		}
	}
	chunks := bytes.Clone(b.Bytes())
	var entries []byte
	sum := newTally(testHeader().size())
	for i, stored := range []int{1, -1} {
		_, raw, was, digest := parseEntry(p.table[i*entrySize:])
		entries = appendEntry(entries, ChunkInfo{Offset: sum.next, Size: int(raw), StoredSize: int(was) + stored, Digest: digest})
		if _, err := sum.add(place{}, 0, entries[i*entrySize:]); err != nil {
			t.Fatal(err)
		}
	}
	tr := sum.trailer(0)
	lying := appendTrailer(appendTable(chunks, testHeader().nonce, tr.table, entries), testHeader().nonce, tr)
	refuses(t, "table", lying)
	if honest := p.tally.trailer(0); honest != tr {
		t.Errorf("the trailers differ: %+v, %+v, so the test shows nothing", honest, tr)
	}
}

// short is a bucket that lists an object with fewer bytes than it has.
type short struct{ one }

func (b short) List(context.Context) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) { yield(Object{b.name, int64(len(b.data)) - 1}, nil) }
}

func TestMoreThanListed(t *testing.T) {
	id := ID{Term: 3, Index: 7}
	whole := packed(t, CodecNone, 3, make([]byte, 3))
	for name, b := range map[string]Bucket{
		"whole": one{id.object(), whole},
		"more":  short{one{id.object(), append(bytes.Clone(whole), 0)}},
	} {
		s, err := New(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), id); errors.Is(err, fault.ErrCorrupt) != (name == "more") {
			t.Errorf("%s: Open = %v", name, err)
		}
	}
}

// TestLocalChunkThatLies offers a receiver a chunk in its own store that has
// the right checksum and digest in the table, and other bytes.
func TestLocalChunkThatLies(t *testing.T) {
	var man Manifest
	right := packed(t, CodecNone, 3, make([]byte, 3))
	h := testHeader()
	if err := man.UnmarshalBinary(append(bytes.Clone(right[:h.size()]), right[len(right)-trailerSize-entrySize-frame.HeaderSize:]...)); err != nil {
		t.Fatal(err)
	}
	s, err := New(one{ID{Term: 3, Index: 7}.object(), packed(t, CodecNone, 3, []byte("abc"))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Receive(t.Context(), man)
	if err != nil || len(r.Need()) != 0 {
		t.Fatalf("Receive = %v with chunks needed, want none", err)
	}
	if _, err := r.Commit(); !errors.Is(err, fault.ErrCorrupt) || len(r.Need()) != 1 {
		t.Errorf("Commit = %v, Need = %v, want damage and the chunk", err, r.Need())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestLyingLengths gives frame headers with intact checksums lengths that the
// format does not allow.
func TestLyingLengths(t *testing.T) {
	h := testHeader()
	for _, kind := range []byte{0, kindHeader, kindChunk, kindTable, kindTrailer, 99} {
		for _, n := range []uint32{0, 1, payloadLimit(kind) + 1, 1 << 30, math.MaxUint32} {
			for _, start := range [][]byte{appendPreamble(nil, h.nonce), appendHeader(nil, h)} {
				b := bytes.Clone(start)
				b = frame.Begin(b)
				fh := b[len(start):]
				le.PutUint32(fh, n)
				fh[4] = kind
				seed := h.nonce.seed(int64(len(start)))
				le.PutUint32(fh[12:], frame.Sum(seed, fh[:12]))
				refuses(t, "frame", append(b, make([]byte, 200)...))
			}
		}
	}
}

func TestLyingHeader(t *testing.T) {
	whole := appendHeader(nil, testHeader())
	for name, change := range map[string]func(b []byte){
		"codec":            func(b []byte) { b[0] = 9 },
		"no codec":         func(b []byte) { b[0] = 0 },
		"level":            func(b []byte) { b[1] = 200 },
		"no level":         func(b []byte) { b[1] = 0 },
		"level of none":    func(b []byte) { b[0] = byte(CodecNone) },
		"reserved":         func(b []byte) { b[5] = 1 },
		"index 0":          func(b []byte) { le.PutUint64(b[8:], 0) },
		"membership index": func(b []byte) { le.PutUint64(b[24:], 8) },
		"created":          func(b []byte) { le.PutUint32(b[40:], 1e9) },
		"clock":            func(b []byte) { le.PutUint32(b[44:], 1e9) },
	} {
		b := bytes.Clone(whole)
		change(b[preambleSize+frame.HeaderSize:])
		frame.Finish(b, preambleSize, kindHeader, testHeader().nonce.seed(preambleSize))
		refuses(t, name, append(b, make([]byte, 200)...))
	}
}

// TestTablePages makes a table of several pages, of chunks of one byte each.
func TestTablePages(t *testing.T) {
	for _, n := range []int{pageEntries - 1, pageEntries, pageEntries + 1, 2*pageEntries + 5} {
		var b bytes.Buffer
		p, err := newPacker(&b, testHeader())
		if err != nil {
			t.Fatal(err)
		}
		none, err := newSqueezer(CodecNone, 0)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, n)
		for i := range content {
			content[i] = byte(i * 31)
			if err := packRaw(p, none, content[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.finish(0); err != nil {
			t.Fatal(err)
		}
		id := ID{Term: 3, Index: 7, Suffix: 1}
		s, err := New(one{id.object(), b.Bytes()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d chunks: read %d bytes, %v", n, len(got), err)
		}
		st, err := s.Stream(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, b.Bytes()) {
			t.Errorf("%d chunks: streamed %d bytes, %v, want %d", n, len(got), err, b.Len())
		}
		m, err := s.Manifest(t.Context(), id)
		if err != nil || len(m.Chunks) != n {
			t.Fatalf("%d chunks: Manifest has %d, %v", n, len(m.Chunks), err)
		}
		for _, i := range []int{0, 1, pageEntries - 2, n - 1} {
			c, err := s.Chunk(t.Context(), id, i)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			if e := m.Chunks[i]; err != nil || !bytes.Equal(got, b.Bytes()[e.Offset:e.Offset+int64(e.frameSize())]) {
				t.Errorf("%d chunks: Chunk(%d) = %d bytes, %v", n, i, len(got), err)
			}
		}
		in := intake{s: s, p: place{path: "stream", class: fault.Uncommitted}, h: testHeader(), src: bytes.NewReader(b.Bytes()[testHeader().size():])}
		if tr, err := in.copy(t.Context(), io.Discard); err != nil || tr.chunks != int64(n) {
			t.Errorf("%d chunks: taken in as %d, %v", n, tr.chunks, err)
		}
	}
}

// TestLevels compresses with every level and expands again.
func TestLevels(t *testing.T) {
	raw := []byte(strings.Repeat("a state of which much is the same, and 0123456789 ", 400))
	for c := CodecNone; c <= CodecZstd; c++ {
		lo, hi, normal := c.Levels()
		if normal < lo || normal > hi {
			t.Errorf("%v: default level %d is not in %d to %d", c, normal, lo, hi)
		}
		for level := lo; level <= hi; level++ {
			s, err := newSqueezer(c, level)
			if err != nil {
				t.Fatalf("%v level %d: %v", c, level, err)
			}
			for range 2 {
				used, b, err := s.squeeze(raw)
				if used == CodecNone {
					b = raw
				}
				if err != nil || used != c || (c != CodecNone && len(b) > len(raw)/4) {
					t.Fatalf("%v level %d: %v, %d of %d bytes, %v", c, level, used, len(b), len(raw), err)
				}
				var x expander
				got, err := x.expand(new([]byte), used, len(raw), b)
				if err != nil || !bytes.Equal(got, raw) {
					t.Fatalf("%v level %d: expands to %d bytes, %v", c, level, len(got), err)
				}
				x.close()
			}
			s.close()
		}
	}
}
