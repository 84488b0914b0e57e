package snapshot

import (
	"errors"

	"github.com/trimarandb/trimaran/fault"
)

// unpacking is a chunk on its way out of a container.
type unpacking struct {
	e     ChunkInfo
	frame []byte // as it is stored
	buf   []byte // for raw bytes that are not part of frame
	raw   []byte
	err   error
}

// unpacker reads the chunks of a source in order and expands them side by
// side. One goroutine uses it.
type unpacker struct {
	src     *source
	crew    *crew[*expander, unpacking]
	digests bool // compare them too, not the checksums alone
	ended   bool // there is nothing more to read
}

func newUnpacker(src *source, workers int, digests bool) *unpacker {
	u := &unpacker{src: src, digests: digests}
	u.crew = newCrew(expanders(workers), workers+2, u.unpack)
	return u
}

// next returns the next chunk, lent until the next call, with its raw bytes or
// what is wrong with it: io.EOF is the proper end. It can be called again
// after damage to a chunk alone, when more reports true.
func (u *unpacker) next() *unpacking {
	for !u.ended && !u.crew.full() {
		t := u.crew.next()
		t.e, t.frame, t.err = u.src.read(t.frame[:0])
		u.ended = t.err != nil && (u.src.table.err != nil || !errors.Is(t.err, fault.ErrCorrupt))
		u.crew.begin()
	}
	return u.crew.take()
}

func (u *unpacker) unpack(x *expander, t *unpacking) {
	if t.raw = nil; t.err != nil {
		return
	}
	c, data, err := u.src.verify(t.e, t.frame)
	if err != nil {
		t.err = err
		return
	}
	if u.digests {
		t.raw, err = x.check(&t.buf, c, t.e, data)
	} else {
		t.raw, err = x.expand(&t.buf, c, t.e.Size, data)
	}
	if err != nil {
		t.err = u.src.l.place().broken(t.e.Offset, "", err)
	}
}

func (u *unpacker) close() { u.crew.dismiss((*expander).close) }
