package seglog

import "github.com/trimarandb/trimaran/internal/frame"

// encoder lays frames out behind a tail. Nothing is written, and the tail is
// not moved, until the caller does both.
type encoder struct {
	t    tail
	base int64 // place of buf[0]
	buf  []byte
}

func newEncoder(t tail) *encoder { return &encoder{t: t, base: t.end} }

// frame appends one frame whose payload fill encodes: it is handed the buffer
// and the place of the buffer's first byte.
func (e *encoder) frame(kind byte, fill func(b []byte, base int64) []byte) {
	start := len(e.buf)
	e.buf = frame.Begin(e.buf)
	e.buf = chain{seq: e.t.seq, durableTo: e.t.durable, prev: e.t.sum}.append(e.buf)
	e.buf = fill(e.buf, e.base)
	frame.Finish(e.buf, start, kind, at(e.t.seg.seed, e.base+int64(start)))
	e.t.sum = headSum(e.buf[start:])
	e.t.seq++
	e.buf = pad(e.buf)
}

func (e *encoder) ops(ops []op) {
	e.frame(kindBatch, func(b []byte, base int64) []byte {
		for i := range ops {
			b = appendOp(b, &ops[i], e.t.seg, base)
		}
		return b
	})
}

// tail is the tail after the frames encoded so far.
func (e *encoder) tail() tail {
	t := e.t
	t.end = e.base + int64(len(e.buf))
	return t
}
