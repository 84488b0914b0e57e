package seglog

import (
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/vfs"
)

// walker reads the frames of a segment in order, up to limit. Its memory is
// bounded by the longest frame, and a length is believed only after its
// checksum held and the file is that long.
type walker struct {
	f     vfs.File
	seed  uint32
	off   int64 // of the next frame
	limit int64
	seq   uint64
	sum   uint32

	window []byte
	start  int64 // of window
}

// found is a frame that verified and follows the one before it.
type found struct {
	kind      byte
	off       int64
	durableTo int64
	body      []byte // after the chain; lent until the next call
	bodyOff   int64
}

// bad says why there is no further frame. It is no verdict yet.
type bad struct {
	off int64
	err error
}

func (b *bad) Error() string { return fmt.Sprintf("no frame at %d: %v", b.off, b.err) }
func (b *bad) Unwrap() error { return b.err }

var errChain = errors.New("frame does not follow the one before it")

// next returns the next frame: io.EOF at the limit, *bad where there is none
// although the limit is further on, or what reading failed with.
func (w *walker) next() (found, error) {
	if w.off == w.limit {
		return found{}, io.EOF
	}
	f, c, sum, err := w.frameAt(w.off)
	if err != nil {
		return found{}, err
	}
	if c.seq != w.seq || c.prev != w.sum || c.durableTo > w.off {
		return found{}, &bad{w.off, errChain}
	}
	w.seq++
	w.sum = sum
	w.off = aligned(f.bodyOff + int64(len(f.body)))
	return f, nil
}

// frameAt reads the frame at off and verifies it on its own.
func (w *walker) frameAt(off int64) (f found, c chain, sum uint32, err error) {
	b, err := w.bytes(off, frame.HeaderSize)
	if err != nil {
		return f, c, 0, err
	}
	seed := at(w.seed, off)
	h, err := frame.Parse(b, seed)
	if err != nil {
		return f, c, 0, &bad{off, err}
	}
	sum = headSum(b)
	size := int64(h.Len)
	if size < chainSize || size > maxFrame || aligned(off+frame.HeaderSize+size) > w.limit {
		return f, c, 0, &bad{off, frame.ErrShort}
	}
	if b, err = w.bytes(off, aligned(frame.HeaderSize+size)); err != nil {
		return f, c, 0, err
	}
	p := b[frame.HeaderSize : frame.HeaderSize+size]
	if err := h.Check(seed, p); err != nil {
		return f, c, 0, &bad{off, err}
	}
	if !zero(b[frame.HeaderSize+size:]) {
		return f, c, 0, &bad{off, errPadding}
	}
	c = parseChain(p)
	return found{kind: h.Kind, off: off, durableTo: c.durableTo, body: p[chainSize:], bodyOff: off + frame.HeaderSize + chainSize}, c, sum, nil
}

// bytes returns n bytes at off, lent until the next call.
func (w *walker) bytes(off, n int64) ([]byte, error) {
	if off+n > w.limit {
		return nil, &bad{off, frame.ErrShort}
	}
	if off < w.start || off+n > w.start+int64(len(w.window)) {
		const ahead = 1 << 20
		size := min(max(n, ahead), w.limit-off)
		if int64(cap(w.window)) < size {
			w.window = make([]byte, size)
		}
		w.window, w.start = w.window[:size], off
		if got, err := w.f.ReadAt(w.window, off); got < len(w.window) {
			w.window = w.window[:0]
			if errors.Is(err, io.EOF) {
				return nil, &bad{off, frame.ErrShort}
			}
			return nil, err
		}
	}
	return w.window[off-w.start:][:n], nil
}

// witness looks behind a bad place for an intact frame that was written after
// that place had been synced: proof that the place held acknowledged bytes. It
// returns where, or 0.
func (w *walker) witness(after int64) (int64, error) {
	for off := after + alignment; off+frame.HeaderSize <= w.limit; off += alignment {
		_, c, _, err := w.frameAt(off)
		var none *bad
		switch {
		case err == nil && c.durableTo > after && c.durableTo <= off:
			return off, nil
		case err != nil && !errors.As(err, &none):
			return 0, err
		}
	}
	return 0, nil
}
