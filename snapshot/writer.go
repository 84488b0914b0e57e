package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/trimarandb/trimaran/fault"
)

// Writer takes the payload of one snapshot. Nothing of it can be seen before
// Commit. Its methods may be called by several goroutines, one at a time does
// work. It holds at most two chunks and 48 bytes for each that was written.
type Writer struct {
	s        *Store
	ctx      context.Context // of Create: io.Writer has no place for one
	id       ID
	pending  Pending
	progress Progress
	size     int64

	mu      sync.Mutex
	pack    *packer
	squeeze *squeezer
	cuts    chunker
	buf     []byte // the chunk that is being filled
	entries uint64
	err     error // the first failure, or fault.ErrClosed
}

// Create begins a snapshot of that state. ctx governs it until Commit or
// Close, one of which must follow. fault.ErrInvalid: the Info or an option
// makes no sense.
func (s *Store) Create(ctx context.Context, info Info, o *CreateOptions) (*Writer, error) {
	w, err := s.begin(ctx, info, o)
	if err != nil {
		return nil, fmt.Errorf("create snapshot %d of term %d: %w", info.Index, info.Term, err)
	}
	return w, nil
}

func (s *Store) begin(ctx context.Context, info Info, o *CreateOptions) (_ *Writer, err error) {
	if o == nil {
		o = &CreateOptions{}
	}
	if err := info.check(); err != nil {
		return nil, err
	}
	if err := info.checkMembership(s.o.NoMembership || o.NoMembership); err != nil {
		return nil, err
	}
	codec, level, err := resolve(o.Codec, o.Level, s.o.Codec, s.o.Level)
	if err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	w := &Writer{
		s: s, ctx: ctx, progress: o.Progress, size: o.Size,
		cuts: newChunker(s.o.ChunkSize), buf: make([]byte, 0, s.o.ChunkSize),
	}
	h := header{info: info.clone(), created: s.o.Now().UTC(), codec: codec, level: level}
	if h.nonce, err = s.newNonce(); err != nil {
		return nil, err
	}
	if w.squeeze, err = newSqueezer(codec, level); err != nil {
		return nil, err
	}
	if err := w.start(h); err != nil {
		w.squeeze.close()
		return nil, err
	}
	s.adopt(w)
	return w, nil
}

// start makes the pending object and writes the header.
func (w *Writer) start(h header) (err error) {
	if w.id, err = w.s.mint(w.ctx, h.info); err != nil {
		return err
	}
	if w.pending, err = w.s.create(w.ctx, w.id.object()); err == nil {
		if w.pack, err = newPacker(w.pending, h); err == nil {
			return nil
		}
		err = errors.Join(fmt.Errorf("write %s: %w", w.id.object(), full(err)), w.pending.Abort())
	}
	w.s.unmint(w.id)
	return err
}

// Write takes the next bytes of the payload and keeps nothing of p. After an
// error, of which fault.ErrFull is one, the snapshot can only be closed.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.s.enter(w.ctx); err != nil {
		return 0, w.fail("write", err)
	}
	defer w.s.leave()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.fail("write", w.err)
	}
	if limit := w.s.o.MaxSize; limit > 0 && w.pack.tally.raw+int64(len(w.buf))+int64(len(p)) > limit {
		w.err = fmt.Errorf("more than %d bytes: %w", limit, fault.ErrFull)
		return 0, w.fail("write", w.err)
	}
	// In small steps, so that what remains behind a cut is cheap to move.
	const step = 64 << 10
	var n int
	for n < len(p) {
		m := min(step, len(p)-n, w.cuts.largest-len(w.buf))
		w.buf = append(w.buf, p[n:n+m]...)
		n += m
		if w.err = w.cutChunks(); w.err != nil {
			return n, w.fail("write", w.err)
		}
	}
	return n, nil
}

// cutChunks writes the chunks that the buffer holds as a whole.
func (w *Writer) cutChunks() error {
	for {
		n := w.cuts.cut(w.buf)
		if n == 0 {
			return nil
		}
		if err := w.chunk(w.buf[:n]); err != nil {
			return err
		}
		w.buf = w.buf[:copy(w.buf, w.buf[n:])]
	}
}

func (w *Writer) chunk(raw []byte) error {
	if err := w.pack.raw(w.squeeze, raw); err != nil {
		return full(err)
	}
	total := w.size
	if total <= 0 {
		total = -1
	}
	w.progress.report(w.pack.tally.raw, total)
	return nil
}

// SetEntries states how many entries the payload contains, for Meta.Entries.
// It may be called any time before Commit; the last call counts.
func (w *Writer) SetEntries(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = n
}

// Commit publishes the snapshot. On return it is durable and was read back:
// header, table and trailer as they were written. Retention is applied after
// that, and its failures are logged.
//
// After an error the snapshot is not there, or, where the bucket or the
// reading back failed, it may be there, and All shows it whole or damaged;
// nothing older was removed. The Writer is of no use after Commit.
func (w *Writer) Commit() (Meta, error) {
	if err := w.s.enter(w.ctx); err != nil {
		return Meta{}, w.fail("commit", err)
	}
	defer w.s.leave()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return Meta{}, w.fail("commit", w.err)
	}
	defer func() { _ = w.finish(fault.ErrClosed) }() // the failure before it counts
	if len(w.buf) > 0 {
		if err := w.chunk(w.buf); err != nil {
			return Meta{}, w.fail("commit", err)
		}
	}
	t, err := w.pack.finish(w.entries)
	if err != nil {
		return Meta{}, w.fail("commit", full(err))
	}
	meta, err := w.s.publish(w.ctx, w.pending, w.id, t)
	if err != nil {
		return Meta{}, w.fail("commit", err)
	}
	return meta, nil
}

// Close discards the snapshot unless it was committed. It may be called twice.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.finish(fault.ErrClosed); err != nil {
		return w.fail("discard", err)
	}
	return nil
}

func (w *Writer) shut() { _ = w.Close() } // the bucket is closed next, which gives up what is pending

// finish frees what the writer holds; the caller holds mu.
func (w *Writer) finish(err error) error {
	if w.pending == nil {
		return nil
	}
	abort := w.pending.Abort()
	w.squeeze.close()
	w.s.unmint(w.id)
	w.s.disown(w)
	w.pending, w.pack, w.buf, w.err = nil, nil, nil, err
	return abort
}

func (w *Writer) fail(verb string, err error) error {
	return fmt.Errorf("%s snapshot %v: %w", verb, w.id, err)
}

// publish commits a pending container, reads it back and applies retention.
func (s *Store) publish(ctx context.Context, p Pending, id ID, want trailer) (Meta, error) {
	release, err := s.hold(id) // nobody prunes it before it was read back
	if err != nil {
		return Meta{}, err
	}
	defer release()
	if err := p.Commit(ctx); err != nil {
		return Meta{}, fmt.Errorf("publish %s: %w", id.object(), full(err))
	}
	// The outcome is decided: a context that ends now must not hide it.
	l, err := s.readBack(context.WithoutCancel(ctx), id, want)
	if err != nil {
		return Meta{}, fmt.Errorf("read back: %w", err)
	}
	release()
	s.access.touch(id)
	s.o.Logger.Debug("snapshot published", "id", id.String(), "size", l.t.raw, "stored", l.t.size)
	s.retain(ctx)
	return l.meta(), nil
}

func (s *Store) readBack(ctx context.Context, id ID, want trailer) (layout, error) {
	o, err := s.stat(ctx, id)
	if err != nil {
		return layout{}, err
	}
	l, err := s.inspect(ctx, o)
	if err == nil && l.t != want {
		err = l.place().damaged(want.offset(), "trailer is not the one that was written")
	}
	return l, err
}
