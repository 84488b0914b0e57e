package snapshot

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// zstdWindow is how far back a match may be. Chunks are about as long, and no
// more than this was measured to help.
const zstdWindow = 1 << 20

// squeezer compresses chunks, one after another, with one codec and level.
type squeezer struct {
	codec    Codec
	compress func(buf, raw []byte) ([]byte, error) // the result is in buf, or another buffer; nil for none
	free     func()
	buf      []byte // what it returned last
}

func (s *squeezer) close() { s.free() }

func newSqueezer(c Codec, level int) (*squeezer, error) {
	s := &squeezer{codec: c, free: func() {}}
	switch c {
	case CodecGzip:
		zw, err := gzip.NewWriterLevel(nil, level)
		if err != nil {
			return nil, err
		}
		s.compress = func(buf, raw []byte) ([]byte, error) { return gzipChunk(zw, roomFor(buf, len(raw)/2), raw) }
	case CodecLZ4:
		s.compress = lz4Compressor(level)
	case CodecZstd:
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithWindowSize(zstdWindow))
		if err != nil {
			return nil, err
		}
		s.compress = func(buf, raw []byte) ([]byte, error) { return enc.EncodeAll(raw, roomFor(buf, len(raw)/2)), nil }
		s.free = func() { _ = enc.Close() } // it has no destination that could fail
	}
	return s, nil
}

// squeezers are the tools of a crew.
func squeezers(n int, c Codec, level int) (tools []*squeezer, err error) {
	tools = make([]*squeezer, n)
	for i := range tools {
		if tools[i], err = newSqueezer(c, level); err != nil {
			return nil, err
		}
	}
	return tools, nil
}

// squeeze returns the chunk as it is stored, lent until the next call:
// compressed, or nothing where that would not make it shorter and it is stored
// as it is, with CodecNone. That is also what comes with an error.
func (s *squeezer) squeeze(raw []byte) (Codec, []byte, error) {
	if s.compress == nil {
		return CodecNone, nil, nil
	}
	out, err := s.compress(s.buf, raw)
	if err != nil {
		return CodecNone, nil, fmt.Errorf("compress a chunk with %v: %w", s.codec, err)
	}
	s.buf = out
	if len(out) == 0 || len(out) >= len(raw) {
		return CodecNone, nil, nil
	}
	return s.codec, out, nil
}

func gzipChunk(zw *gzip.Writer, dst, raw []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	zw.Reset(buf)
	if _, err := zw.Write(raw); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func lz4Compressor(level int) func(buf, raw []byte) ([]byte, error) {
	var fast lz4.Compressor
	block := fast.CompressBlock
	if level > 1 {
		hc := lz4.CompressorHC{Level: lz4.Level1 << (level - 1)}
		block = hc.CompressBlock
	}
	return func(buf, raw []byte) ([]byte, error) {
		buf = roomFor(buf, lz4.CompressBlockBound(len(raw)))
		n, err := block(raw, buf[:cap(buf)])
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

// expander is the way back, for chunks of any codec. Its memory is that of the
// decoders that were needed.
type expander struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

func (x *expander) close() {
	if x.zstd != nil {
		x.zstd.Close()
		x.zstd = nil
	}
}

// expand returns the raw bytes of a stored chunk, which must be exactly raw
// bytes long, at most maxChunk. No more than that is ever written, whatever
// the compressed bytes claim. The result is in *buf, which grows as need be,
// or is data itself.
func (x *expander) expand(buf *[]byte, c Codec, raw int, data []byte) ([]byte, error) {
	if c == CodecNone {
		return data, nil
	}
	*buf = roomFor(*buf, raw)
	var n int
	var err error
	switch dst := (*buf)[:raw:raw]; c {
	case CodecGzip:
		n, err = x.gunzip(dst, data)
	case CodecLZ4:
		n, err = lz4.UncompressBlock(data, dst)
	case CodecZstd:
		n, err = x.unzstd(dst, data)
	default:
		err = fmt.Errorf("unknown codec %v", c)
	}
	if err == nil && n != raw {
		err = fmt.Errorf("expands to %d bytes, want %d", n, raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%v chunk: %w", c, err)
	}
	return (*buf)[:raw], nil
}

func (x *expander) gunzip(dst, data []byte) (int, error) {
	src := bytes.NewReader(data)
	if x.gzip == nil {
		x.gzip = new(gzip.Reader)
	}
	if err := x.gzip.Reset(src); err != nil {
		return 0, err
	}
	x.gzip.Multistream(false)
	n, err := readFull(x.gzip, dst)
	if err != nil {
		return n, err
	}
	var more [1]byte
	if extra, err := readFull(x.gzip, more[:]); extra > 0 || !ended(err) {
		return n + extra, err
	}
	if src.Len() > 0 {
		return n, fmt.Errorf("%d bytes follow its end", src.Len())
	}
	return n, nil
}

func (x *expander) unzstd(dst, data []byte) (int, error) {
	if x.zstd == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
			zstd.WithDecoderMaxMemory(maxChunk), zstd.WithDecoderMaxWindow(maxChunk))
		if err != nil {
			return 0, err
		}
		x.zstd = dec
	}
	out, err := x.zstd.DecodeAll(data, dst[:0])
	if err == nil && len(out) > 0 && &out[0] != &dst[0] {
		err = fmt.Errorf("needs more than %d bytes", len(dst))
	}
	return len(out), err
}

// check expands a stored chunk as expand does and compares it with its digest.
func (x *expander) check(buf *[]byte, c Codec, e ChunkInfo, data []byte) ([]byte, error) {
	raw, err := x.expand(buf, c, e.Size, data)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(raw) != e.Digest {
		return nil, errDigest
	}
	return raw, nil
}

// expanders are the tools of a crew.
func expanders(n int) []*expander {
	tools := make([]*expander, n)
	for i := range tools {
		tools[i] = new(expander)
	}
	return tools
}
