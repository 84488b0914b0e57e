package seglog

import (
	"encoding/binary"
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

	parser parser
	window []byte
	start  int64 // of window
}

// found is a frame that verified and follows the one before it.
type found struct {
	frameHead
	off  int64
	body []byte // lent until the next call
	ops  []op   // of a batch; lent too
	locs []loc  // of their entries, relative to the body
}

// base is the place of the body.
func (f *found) base() int64 { return f.off + frameSize }

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
	f, err := w.frameAt(w.off)
	if err != nil {
		return found{}, err
	}
	if f.seq != w.seq || f.prev != w.sum || f.durableTo > w.off {
		return found{}, &bad{w.off, errChain}
	}
	w.seq++
	w.sum = f.head
	w.off = f.end(f.off)
	return f, nil
}

// headAt reads the header of the frame at off and verifies it on its own.
func (w *walker) headAt(off int64) (h frameHead, err error) {
	b, err := w.bytes(off, frameSize)
	if err != nil {
		return h, err
	}
	if h, err = parseFrameHead(b, w.seed, off); err != nil {
		return h, &bad{off, err}
	}
	return h, nil
}

// frameAt reads the frame at off and verifies it on its own.
func (w *walker) frameAt(off int64) (f found, err error) {
	h, err := w.headAt(off)
	if err != nil {
		return f, err
	}
	if h.end(off) > w.limit {
		return f, &bad{off, frame.ErrShort}
	}
	body, err := w.bytes(off+frameSize, int64(h.len))
	if err != nil {
		return f, err
	}
	f = found{frameHead: h, off: off, body: body}
	if h.kind == kindBatch {
		f.ops, err = w.parser.parse(body, w.seed, f.base(), h.sum)
		f.locs = w.parser.locs
	} else if sumPayload(w.seed, off, body) != h.sum {
		err = errFramePayload
	}
	if err != nil {
		return f, &bad{off, err}
	}
	return f, nil
}

// bytes returns n bytes at off, lent until the next call.
func (w *walker) bytes(off, n int64) ([]byte, error) {
	if off+n > w.limit {
		return nil, &bad{off, frame.ErrShort}
	}
	if off < w.start || off+n > w.start+int64(len(w.window)) {
		// Little at first: many a walker wants one frame.
		const most = 256 << 10 // stays in the processor's cache until it is parsed
		ahead := min(max(8*int64(cap(w.window)), block), most)
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

// scan looks behind a bad place for what was written later: the first frame
// header that verifies and says that the place had been synced before, which
// proves that it held acknowledged bytes; and whether there is any header at
// all. A witness at 0 is none.
func (w *walker) scan(after int64) (witness int64, any bool, err error) {
	for off := after + alignment; off+frameSize <= w.limit; {
		if _, err := w.bytes(off, alignment); err != nil {
			return 0, any, err
		}
		b := w.window[off-w.start:]
		n := 0
		for ; n+alignment <= len(b); n += alignment {
			if maybeFrame(binary.LittleEndian.Uint64(b[n:])) {
				break
			}
		}
		if n > 0 {
			off += int64(n)
			continue
		}
		h, err := w.headAt(off)
		var none *bad
		switch {
		case err == nil && h.durableTo <= off:
			any = true
			if h.durableTo > after {
				return off, true, nil
			}
		case err != nil && !errors.As(err, &none):
			return 0, any, err
		}
		off += alignment
	}
	return 0, any, nil
}
