package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/trimarandb/trimaran/fault"
)

// Receiver collects the chunks of one snapshot, in any order and from any
// source that has it. Chunks that were put are kept in Options.Staging until
// Commit or Abort, also when the store is closed and opened again in between.
// Methods may be called by several goroutines, and Puts run in parallel; each
// holds one chunk. The Receiver itself takes what the Manifest takes, twice.
type Receiver struct {
	s    *Store
	ctx  context.Context // of Receive
	m    Manifest
	life sync.RWMutex // held for reading by Put, for writing by what ends or commits

	mu     sync.Mutex // guards what follows
	st     *staging   // nil when ended
	staged map[[32]byte]int
	local  map[[32]byte]localChunk
	holds  map[ID]func()
}

// localChunk is a chunk of a snapshot that the store holds.
type localChunk struct {
	l layout
	e ChunkInfo
}

// Receive begins to receive a snapshot, or takes up where an earlier Receive
// of the same Manifest stopped. Chunks that were staged, also by transfers of
// older states, which this one replaces, and those that are part of snapshots
// in the store need not be sent; the latter are kept from being removed until
// the Receiver ends.
//
// fault.ErrInvalid: the Manifest is none, or lacks the membership that the
// store requires. fault.ErrConflict: this Manifest is being received already.
// fault.ErrFull: the snapshot is larger than allowed.
func (s *Store) Receive(ctx context.Context, m Manifest) (*Receiver, error) {
	r, err := s.receive(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("receive snapshot %d of term %d: %w", m.Meta.Index, m.Meta.Term, err)
	}
	return r, nil
}

func (s *Store) receive(ctx context.Context, m Manifest) (*Receiver, error) {
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	if err := m.Meta.checkMembership(s.o.NoMembership); err != nil {
		return nil, err
	}
	if limit := s.o.MaxSize; limit > 0 && m.Meta.Size > limit {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", m.Meta.Size, limit, fault.ErrFull)
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	r := &Receiver{s: s, ctx: ctx, local: map[[32]byte]localChunk{}, holds: map[ID]func(){}}
	// A copy that nobody else can change.
	if r.m, err = parseManifest(b); err != nil {
		return nil, err
	}
	if r.st, err = openStaging(s.o.Staging, stagingName(manifestKey(b))); err != nil {
		return nil, err
	}
	if err := r.start(b); err != nil {
		return nil, errors.Join(err, r.end((*staging).close))
	}
	s.adopt(r)
	return r, nil
}

// start finds out what is here already.
func (r *Receiver) start(manifest []byte) error {
	wanted := make(map[[32]byte]int, len(r.m.Chunks))
	for _, c := range r.m.Chunks {
		wanted[c.Digest] = c.Size
	}
	isWanted := func(digest [32]byte) bool { _, ok := wanted[digest]; return ok }
	err := r.st.write(manifestFile, manifest)
	if err == nil {
		err = r.st.adopt(r.m.Meta.Index, isWanted)
	}
	if err == nil {
		r.staged, err = r.st.chunks(isWanted)
	}
	if err != nil {
		return fmt.Errorf("prepare staging: %w", full(err))
	}
	return r.findLocal(wanted)
}

// findLocal looks for chunks in the snapshots of the store. One that cannot be
// read is of no use here, and no obstacle.
func (r *Receiver) findLocal(wanted map[[32]byte]int) error {
	list, err := r.s.containers(r.ctx)
	if err != nil {
		return err
	}
	for _, o := range list {
		if err := r.s.going(r.ctx); err != nil {
			return err
		}
		release, err := r.s.hold(o.id)
		if err != nil {
			continue
		}
		if r.findIn(o, wanted) {
			r.holds[o.id] = release
		} else {
			release()
		}
	}
	return nil
}

func (r *Receiver) findIn(o container, wanted map[[32]byte]int) (used bool) {
	l, err := r.s.layout(r.ctx, o)
	if err != nil {
		return false
	}
	for e, err := range r.s.entries(r.ctx, l) {
		if err != nil {
			break
		}
		if size, ok := wanted[e.Digest]; ok && size == e.Size && !r.has(e) {
			r.local[e.Digest] = localChunk{l, e}
			used = true
		}
	}
	return used
}

// has reports whether a chunk need not be sent; the caller holds mu or is
// alone.
func (r *Receiver) has(e ChunkInfo) bool {
	size, ok := r.staged[e.Digest]
	if !ok {
		var c localChunk
		c, ok = r.local[e.Digest]
		size = c.e.Size
	}
	return ok && size == e.Size
}

// Need returns the numbers of the chunks that are still to be put, in
// ascending order; of chunks with equal content only the first. It is empty
// once the Receiver has ended.
func (r *Receiver) Need() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.st == nil {
		return nil
	}
	return r.missing()
}

func (r *Receiver) missing() (need []int) {
	seen := map[[32]byte]bool{}
	for n, e := range r.m.Chunks {
		if !r.has(e) && !seen[e.Digest] {
			seen[e.Digest] = true
			need = append(need, n)
		}
	}
	return need
}

// Put takes chunk n, framed as Store.Chunk returns it, from src to its end.
// The chunk is staged once its checksum and, expanded, its SHA-256 are those
// of the Manifest: *fault.Corruption if they are not, and nothing is staged.
// A chunk that is here already is not read. fault.ErrInvalid: there is no
// chunk n. fault.ErrFull: there is no room.
func (r *Receiver) Put(n int, src io.Reader) error {
	if err := r.put(n, src); err != nil {
		return r.fail(fmt.Sprintf("put chunk %d of", n), err)
	}
	return nil
}

func (r *Receiver) put(n int, src io.Reader) error {
	if err := r.s.enter(r.ctx); err != nil {
		return err
	}
	defer r.s.leave()
	r.life.RLock()
	defer r.life.RUnlock()
	if n < 0 || n >= len(r.m.Chunks) {
		return invalid("there are %d chunks", len(r.m.Chunks))
	}
	e := r.m.Chunks[n]
	r.mu.Lock()
	st, here := r.st, r.has(e)
	r.mu.Unlock()
	if st == nil {
		return fault.ErrClosed
	}
	if here {
		return nil
	}
	c, data, err := r.accept(n, src)
	if err != nil {
		return err
	}
	if err := st.put(e, c, data); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.staged[e.Digest] = e.Size
	return nil
}

// accept reads chunk n from src and verifies all of it.
func (r *Receiver) accept(n int, src io.Reader) (Codec, []byte, error) {
	e, p := r.m.Chunks[n], place{path: fmt.Sprintf("chunk %d", n), class: fault.Uncommitted}
	b, err := appendBytes(p, src, 0, e.frameSize(), nil)
	if err != nil {
		return 0, nil, err
	}
	if err := atEnd(p, src, int64(e.frameSize())); err != nil {
		return 0, nil, err
	}
	c, data, err := checkChunk(p, 0, r.m.nonce.seed(e.Offset), e, b)
	if err != nil {
		return 0, nil, err
	}
	var x expander
	defer x.close()
	if _, err := x.check(new([]byte), c, e, data); err != nil {
		return 0, nil, p.broken(0, "", err)
	}
	return c, data, nil
}

// Commit puts the snapshot together, publishes it as Writer.Commit does, and
// drops what was staged. Every chunk is expanded and compared with its digest
// once more before anything can be seen.
//
// fault.ErrInvalid: chunks are missing. *fault.Corruption: a chunk that was
// staged or held is damaged by now; Need then lists it, and Commit can be
// called again after it was put. The Receiver has ended only on success.
func (r *Receiver) Commit() (Meta, error) {
	if err := r.s.enter(r.ctx); err != nil {
		return Meta{}, r.fail("commit", err)
	}
	defer r.s.leave()
	r.life.Lock()
	defer r.life.Unlock()
	if r.st == nil {
		return Meta{}, r.fail("commit", fault.ErrClosed)
	}
	if n := len(r.Need()); n > 0 {
		return Meta{}, r.fail("commit", invalid("%d chunks are missing", n))
	}
	m, err := r.assemble()
	if err != nil {
		return Meta{}, r.fail("commit", err)
	}
	if err := r.end((*staging).remove); err != nil {
		r.s.o.Logger.Warn("snapshot store: staging of a finished transfer could not be removed", "id", m.ID.String(), "error", err)
	}
	return m, nil
}

// Close ends the Receiver and keeps what was staged: a Receive of the same
// Manifest goes on from there. It waits for Puts under way, may be called
// twice, and does nothing after Commit or Abort.
func (r *Receiver) Close() error { return r.finish("close", (*staging).close) }

// Abort ends the Receiver and drops what was staged. It does nothing after
// Commit, Close or Abort.
func (r *Receiver) Abort() error { return r.finish("abort", (*staging).remove) }

func (r *Receiver) finish(verb string, how func(*staging) error) error {
	r.life.Lock()
	defer r.life.Unlock()
	if err := r.end(how); err != nil {
		return r.fail(verb, err)
	}
	return nil
}

func (r *Receiver) shut() { _ = r.Close() } // what is staged is verified when it is used

func (r *Receiver) end(how func(*staging) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.st == nil {
		return nil
	}
	err := how(r.st)
	for _, id := range slices.SortedFunc(maps.Keys(r.holds), ID.Compare) {
		r.holds[id]()
	}
	r.st, r.local, r.holds = nil, nil, nil
	r.s.disown(r)
	return err
}

func (r *Receiver) fail(verb string, err error) error {
	return fmt.Errorf("%s received snapshot %d of term %d: %w", verb, r.m.Meta.Index, r.m.Meta.Term, err)
}
