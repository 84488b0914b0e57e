package snapshot

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/trimarandb/trimaran/fault"
)

// Reader reads the payload of one snapshot from front to back. Each chunk is
// verified, by the checksum of its stored bytes, before the first of its bytes
// is handed out, and io.EOF comes only when all that was handed out is exactly
// what was written. The digests, which name content and would cost more than
// the decompression, are for Verify, Install and Receive.
//
// Its methods may be called by several goroutines, one at a time does work.
// Chunks are expanded by Options.Workers goroutines of its own ahead of what is
// read, and one more than that many are held.
type Reader struct {
	s       *Store
	ctx     context.Context // of Open: io.Reader has no place for one
	meta    Meta
	release func()

	mu   sync.Mutex
	src  *source
	next func() ([]byte, error) // the next verified bytes, lent until the next call
	stop func()                 // ends what next began; nil where that is nothing
	rest []byte                 // of them, not yet handed out
	err  error
}

// Open begins to read a snapshot, which then outlives removal. ctx governs the
// reading too. fault.ErrNotFound: there is none with that id.
// *fault.Corruption: its header, table or trailer is damaged.
// fault.ErrUnsupported: a newer version wrote it.
func (s *Store) Open(ctx context.Context, id ID) (*Reader, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("open snapshot %v: %w", id, err)
	}
	defer s.leave()
	r, err := s.newReader(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %v: %w", id, err)
	}
	u := newUnpacker(r.src, s.o.Workers, false)
	r.next = func() ([]byte, error) { t := u.next(); return t.raw, t.err }
	r.stop = u.close
	return r, nil
}

// newReader stands before the first chunk; the caller sets next.
func (s *Store) newReader(ctx context.Context, id ID) (*Reader, error) {
	src, release, err := s.openSource(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &Reader{s: s, ctx: ctx, src: src, release: release, meta: src.l.meta()}
	s.access.touch(id)
	s.adopt(r)
	return r, nil
}

// Meta describes the snapshot that is read.
func (r *Reader) Meta() Meta {
	m := r.meta
	m.Info = m.clone()
	return m
}

// Read returns verified bytes. io.EOF means that all of the payload was
// delivered; *fault.Corruption that it is damaged from here on. After an error
// every further call returns the same.
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.s.enter(r.ctx); err != nil {
		return 0, r.fail(err)
	}
	defer r.s.leave()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(p) == 0 && r.err == nil {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo writes what was not read yet to w, a verified chunk at a time.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	if err := r.s.enter(r.ctx); err != nil {
		return 0, r.fail(err)
	}
	defer r.s.leave()
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if err := r.s.going(r.ctx); err != nil {
			return n, r.fail(err)
		}
		if err := r.fill(); ended(err) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		m, err := w.Write(r.rest)
		n += int64(m)
		r.rest = r.rest[m:]
		if err != nil {
			return n, err
		}
	}
}

// fill makes sure that rest holds bytes; the caller holds mu.
func (r *Reader) fill() error {
	for len(r.rest) == 0 && r.err == nil {
		r.rest, r.err = r.next()
		if r.err != nil && !ended(r.err) {
			r.s.damage.note(r.meta.ID, r.err)
			r.err = r.fail(r.err)
		}
	}
	if len(r.rest) > 0 {
		return nil
	}
	return r.err
}

// Close ends the reading; it may be called twice.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.src == nil {
		return nil
	}
	err := r.src.close()
	r.src, r.rest = nil, nil
	r.err = r.fail(fault.ErrClosed)
	if r.stop != nil {
		r.stop()
	}
	r.release()
	r.s.disown(r)
	if err != nil {
		return fmt.Errorf("close snapshot %v: %w", r.meta.ID, err)
	}
	return nil
}

func (r *Reader) shut() { _ = r.Close() } // nothing that was read depends on it

func (r *Reader) fail(err error) error { return fmt.Errorf("read snapshot %v: %w", r.meta.ID, err) }
