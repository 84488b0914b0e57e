package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/trimarandb/trimaran/fault"
)

// Writer takes the payload of one snapshot. Nothing of it can be seen before
// Commit. Its methods may be called by several goroutines, one at a time does
// work: each Write cuts chunks, which are compressed by Options.Workers
// goroutines of its own and written, in order, by the Writes and the Commit
// that follow. It holds one chunk more than there are workers, three compressed
// ones for each worker, and 48 bytes for each that was written.
type Writer struct {
	s        *Store
	ctx      context.Context // of Create: io.Writer has no place for one
	id       ID
	pending  Pending
	progress Progress
	size     int64
	workers  int
	verify   bool

	mu      sync.Mutex
	pack    *packer
	crew    *crew[*squeezer, packing]
	cuts    chunker
	fill    *packing // the chunk that grows
	spare   [][]byte // for the raw bytes of those after it
	taken   int64    // payload so far
	entries uint64
	err     error // the first failure, or fault.ErrClosed
}

// packing is a chunk on its way into the container.
type packing struct {
	raw    []byte // behind chunkRoom bytes; nil once the Writer has it back
	out    []byte // what the codec made of it, behind chunkRoom bytes
	codec  Codec  // none: raw is stored, not out
	size   int    // of the chunk
	sum    uint32
	digest [32]byte
	err    error
}

func pack(s *squeezer, t *packing) {
	raw := t.raw[chunkRoom:]
	var out []byte
	t.codec, out, t.err = s.squeeze(raw)
	t.size, t.digest = len(raw), sha256.Sum256(raw)
	if t.codec != CodecNone {
		t.out = append(roomFor(t.out, chunkRoom+len(out))[:chunkRoom], out...)
	}
	t.sum = prefixChunk(t.frame(), t.codec, t.size)
}

// frame is what is written of the chunk.
func (t *packing) frame() []byte {
	if t.codec == CodecNone {
		return t.raw
	}
	return t.out
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
	workers := o.Workers
	if workers == 0 {
		workers = s.o.Workers
	}
	if workers < 0 {
		return nil, invalid("workers are %d", workers)
	}
	w := &Writer{s: s, ctx: ctx, progress: o.Progress, size: o.Size, workers: workers, verify: o.Verify, cuts: newChunker(s.o.ChunkSize)}
	h := header{info: info.clone(), created: s.o.Now().UTC(), codec: codec, level: level}
	if h.nonce, err = s.newNonce(); err != nil {
		return nil, err
	}
	tools, err := squeezers(workers, codec, level)
	if err != nil {
		return nil, err
	}
	w.crew = newCrew(tools, 3*workers, pack)
	w.spare = make([][]byte, workers+1) // none of them has room yet
	if err := w.start(h); err != nil {
		w.crew.dismiss((*squeezer).close)
		return nil, err
	}
	w.begin(nil)
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
	if limit := w.s.o.MaxSize; limit > 0 && w.taken+int64(len(p)) > limit {
		w.err = fmt.Errorf("more than %d bytes: %w", limit, fault.ErrFull)
		return 0, w.fail("write", w.err)
	}
	// In small steps, so that what remains behind a cut is cheap to move.
	const step = 64 << 10
	var n int
	for n < len(p) {
		m := min(step, len(p)-n, chunkRoom+w.cuts.largest-len(w.fill.raw))
		w.fill.add(p[n:n+m], w.cuts.largest)
		n += m
		w.taken += int64(m)
		if w.err = w.cutChunks(); w.err != nil {
			return n, w.fail("write", w.err)
		}
	}
	return n, nil
}

const firstRoom = 64 << 10

// add appends to the chunk. The first time that takes more than what the
// smallest snapshots need, it gets room for the largest chunk.
func (t *packing) add(b []byte, largest int) {
	if n := len(t.raw) + len(b); n > cap(t.raw) && n <= firstRoom {
		t.raw = append(make([]byte, 0, firstRoom), t.raw...)
	} else if n > cap(t.raw) {
		t.raw = append(make([]byte, 0, chunkRoom+largest), t.raw...)
	}
	t.raw = append(t.raw, b...)
}

// cutChunks gives away the chunks that fill holds as a whole.
func (w *Writer) cutChunks() error {
	for {
		raw := w.fill.raw[chunkRoom:]
		n := w.cuts.cut(raw)
		if n == 0 {
			return nil
		}
		w.fill.raw = w.fill.raw[:chunkRoom+n]
		w.crew.begin()
		if err := w.makeRoom(); err != nil {
			return err
		}
		w.begin(raw[n:])
	}
}

// makeRoom waits until another chunk can begin. It does not wait for the oldest
// chunk as long as others give back the buffers of their raw bytes: one that
// takes long would keep the workers from going on.
func (w *Writer) makeRoom() error {
	for w.crew.full() || len(w.spare) == 0 {
		if w.crew.full() || w.crew.ready() {
			if err := w.write(); err != nil {
				return err
			}
		} else {
			w.packed(w.crew.end())
		}
	}
	return nil
}

// packed takes back the raw bytes of a chunk of which they are not stored.
func (w *Writer) packed(t *packing) {
	if t.codec != CodecNone {
		w.recycle(t)
	}
}

func (w *Writer) recycle(t *packing) { w.spare, t.raw = append(w.spare, t.raw), nil }

// begin begins the next chunk with b. There is room for it.
func (w *Writer) begin(b []byte) {
	last := len(w.spare) - 1
	w.fill = w.crew.next()
	w.fill.raw = roomFor(w.spare[last], chunkRoom)[:chunkRoom]
	w.spare = w.spare[:last]
	w.fill.add(b, w.cuts.largest)
}

// write waits for the oldest chunk that was given away, and writes it.
func (w *Writer) write() error {
	for !w.crew.ready() {
		w.packed(w.crew.end())
	}
	t := w.crew.take()
	if t.err != nil {
		return t.err
	}
	if err := w.pack.chunk(t.size, t.digest, t.frame(), t.sum); err != nil {
		return full(err)
	}
	if t.raw != nil {
		w.recycle(t)
	}
	total := w.size
	if total <= 0 {
		total = -1
	}
	w.progress.report(w.pack.tally.raw, total)
	return nil
}

// flush writes all that was not written.
func (w *Writer) flush() error {
	if len(w.fill.raw) > chunkRoom {
		w.crew.begin()
	}
	for !w.crew.idle() {
		if err := w.write(); err != nil {
			return err
		}
	}
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
// header, table and trailer as they were written and, with
// CreateOptions.Verify, every chunk as it was taken in. Retention is applied
// after that, and its failures are logged.
//
// After an error the snapshot is not there, or, where the bucket or the
// reading back failed, it may be there, and All shows it whole or damaged;
// nothing older was removed. One of which a chunk does not verify is removed
// again. The Writer is of no use after Commit.
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
	if err := w.flush(); err != nil {
		return Meta{}, w.fail("commit", err)
	}
	t, err := w.pack.finish(w.entries)
	if err != nil {
		return Meta{}, w.fail("commit", full(err))
	}
	meta, err := w.s.publish(w.ctx, w.pending, w.id, t, w.check())
	if err != nil {
		return Meta{}, w.fail("commit", err)
	}
	return meta, nil
}

// check is what more than the ends is to be read back, nil for nothing.
func (w *Writer) check() func(context.Context) error {
	if !w.verify {
		return nil
	}
	return func(ctx context.Context) error {
		err := w.s.verify(ctx, w.id, w.workers, nil, &Report{})
		if errors.Is(err, fault.ErrCorrupt) {
			err = errors.Join(err, w.s.remove(ctx, w.id, true))
		}
		return err
	}
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
	w.crew.dismiss((*squeezer).close)
	w.s.unmint(w.id)
	w.s.disown(w)
	w.pending, w.pack, w.crew, w.fill, w.err = nil, nil, nil, nil, err
	return abort
}

func (w *Writer) fail(verb string, err error) error {
	return fmt.Errorf("%s snapshot %v: %w", verb, w.id, err)
}

// publish commits a pending container, reads it back, checks it if it is to be
// checked, and applies retention.
func (s *Store) publish(ctx context.Context, p Pending, id ID, want trailer, check func(context.Context) error) (Meta, error) {
	defer s.writes.Add(1)
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
	if err == nil && check != nil {
		err = check(context.WithoutCancel(ctx))
	}
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
