package frame

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Reader reads frames one after another from a stream.
type Reader struct {
	r    io.Reader
	seed uint32
	max  uint32
	buf  []byte
	off  int64
}

// NewReader reads frames with that seed from r and refuses payloads longer
// than limit. It does no buffering of its own beyond the current payload.
func NewReader(r io.Reader, seed, limit uint32) *Reader {
	return &Reader{r: r, seed: seed, max: limit}
}

// Offset is the position in the stream after the last frame returned.
func (r *Reader) Offset() int64 { return r.off }

// Next returns the next frame's kind and verified payload; the payload is lent
// until the following call. io.EOF means that the stream ended between two
// frames, ErrShort that it ended inside one.
func (r *Reader) Next() (kind byte, payload []byte, err error) {
	var head [HeaderSize]byte
	if n, err := io.ReadFull(r.r, head[:]); err != nil {
		if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, ErrShort
		}
		return 0, nil, err
	}
	h, err := Parse(head[:], r.seed)
	if err != nil {
		return 0, nil, err
	}
	if h.Len > r.max {
		return 0, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, h.Len, r.max)
	}
	if err := r.fill(int(h.Len)); err != nil {
		return 0, nil, err
	}
	if err := h.Check(r.seed, r.buf); err != nil {
		return 0, nil, err
	}
	r.off += HeaderSize + int64(h.Len)
	return h.Kind, r.buf, nil
}

// fill reads n bytes into buf in steps, so that a long length backed by a
// short stream costs no more memory than twice what arrived.
func (r *Reader) fill(n int) error {
	const step = 1 << 20
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		want := min(n, max(have*2, step))
		r.buf = slices.Grow(r.buf, want-have)[:want]
		if _, err := io.ReadFull(r.r, r.buf[have:]); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return ErrShort
			}
			return err
		}
	}
	return nil
}
