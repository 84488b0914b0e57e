package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/internal/ident"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// Random takes a store on the bucket through that many random steps (create,
// commit, discard, open, read, remove, pin, prune, install whole and damaged
// containers, receive in parts, open anew) beside a model in memory, and
// compares the two after each step. Equal seeds make equal runs. The error
// names seed and step.
func Random(open Open, seed uint64, steps int) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	r := &random{
		rng: rng, open: open, staging: vfs.NewMem(), now: time.Unix(1_700_000_000, 0).UTC(),
		model: model{opened: map[snapshot.ID]int{}},
	}
	err := r.start()
	for step := 0; err == nil && step < steps; step++ {
		var what string
		if what, err = r.step(); err == nil {
			err = r.check()
		}
		if err != nil {
			err = fmt.Errorf("seed %d, step %d of %d, %s: %w", seed, step, steps, what, err)
		}
	}
	return errors.Join(err, r.finish())
}

// random is a store and what is open on it.
type random struct {
	rng      *rand.Rand
	open     Open
	bucket   snapshot.Bucket
	store    *snapshot.Store
	source   *snapshot.Store // the other end of transfers
	staging  vfs.FS
	now      time.Time
	identity ident.Identity
	last     []byte // payload that the next one is made from
	index    uint64
	model    model

	writers []*openWriter
	readers []*openReader
	pins    []*pin
	recv    *transfer
}

type openWriter struct {
	w       *snapshot.Writer
	info    snapshot.Info
	content []byte
}

type openReader struct {
	r    *snapshot.Reader
	of   *state
	rest []byte
}

type pin struct {
	release func()
	of      *state
}

type transfer struct {
	man     snapshot.Manifest
	meta    snapshot.Meta // in the source
	content []byte
	r       *snapshot.Receiver // nil between two attempts
	staged  map[int]bool
}

func (r *random) start() error {
	b, err := newPlain().reopen()
	if err != nil {
		return err
	}
	if r.source, err = snapshot.New(b, r.options()); err != nil {
		return err
	}
	return r.openStore()
}

func (r *random) options() *snapshot.Options {
	return &snapshot.Options{
		ChunkSize: chunkSize, Codec: snapshot.Codec(1 + r.rng.IntN(4)), Staging: r.staging,
		Now: func() time.Time { return r.now }, Rand: random8{r.rng},
	}
}

// random8 reads from the run's own generator.
type random8 struct{ rng *rand.Rand }

func (r random8) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.rng.Uint32())
	}
	return len(p), nil
}

func (r *random) openStore() error {
	var err error
	if r.bucket, err = r.open(); err != nil {
		return err
	}
	r.store, err = snapshot.New(r.bucket, r.options())
	return err
}

func (r *random) finish() error {
	var err error
	for _, s := range []*snapshot.Store{r.store, r.source} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

func (r *random) step() (string, error) {
	steps := []struct {
		name   string
		weight int
		run    func(ctx context.Context) error
	}{
		{"create", 8, r.create}, {"write", 14, r.write}, {"commit", 8, r.commit}, {"discard", 2, r.discard},
		{"open", 6, r.openReader}, {"read", 12, r.read}, {"close a reader", 4, r.closeReader},
		{"pin", 3, r.pin}, {"release", 4, r.release}, {"remove", 4, r.remove}, {"prune", 3, r.prune},
		{"install", 3, r.install}, {"install damage", 2, r.installDamage}, {"receive", 3, r.receive}, {"put", 14, r.put},
		{"put damage", 2, r.putDamage}, {"stop receiving", 2, r.stopReceiving}, {"finish receiving", 6, r.finishReceiving},
		{"verify", 3, r.verify}, {"move the clock", 3, r.moveClock}, {"set the identity", 1, r.setIdentity}, {"open anew", 1, r.reopen},
	}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	n := r.rng.IntN(total)
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			return s.name, s.run(context.Background())
		}
	}
	panic("snaptest: weights do not add up")
}

// content makes a payload that shares much with the one before.
func (r *random) content() []byte {
	b := slices.Clone(r.last)
	for range r.rng.IntN(4) {
		at := r.rng.IntN(len(b) + 1)
		switch r.rng.IntN(3) {
		case 0:
			b = slices.Insert(b, at, payload(r.rng, r.rng.IntN(20_000))...)
		case 1:
			b = slices.Delete(b, at, min(len(b), at+r.rng.IntN(10_000)))
		case 2:
			copy(b[at:], payload(r.rng, r.rng.IntN(2000)))
		}
	}
	r.last = b[:min(len(b), 60_000)]
	return slices.Clone(r.last)
}

func (r *random) info() snapshot.Info {
	if r.rng.IntN(4) > 0 {
		r.index += uint64(1 + r.rng.IntN(50))
	}
	return info(max(1, r.index))
}

func (r *random) create(ctx context.Context) error {
	if len(r.writers) > 3 {
		return nil
	}
	i := r.info()
	w, err := r.store.Create(ctx, i, &snapshot.CreateOptions{Codec: snapshot.Codec(r.rng.IntN(5))})
	if err != nil {
		return err
	}
	r.writers = append(r.writers, &openWriter{w: w, info: i, content: nil})
	return nil
}

func (r *random) write(context.Context) error {
	w, ok := choose(r.rng, r.writers)
	if !ok {
		return nil
	}
	b := r.content()
	w.content = append(w.content, b...)
	n, err := w.w.Write(b)
	if err == nil && n != len(b) {
		err = fmt.Errorf("wrote %d of %d bytes", n, len(b))
	}
	return err
}

func (r *random) commit(context.Context) error {
	w, ok := take(r.rng, &r.writers)
	if !ok {
		return nil
	}
	w.w.SetEntries(uint64(len(w.content)))
	m, err := w.w.Commit()
	if err != nil {
		return err
	}
	return errors.Join(r.published(m, w.info, w.content), w.w.Close())
}

// published adds to the model what the store says it has published.
func (r *random) published(m snapshot.Meta, i snapshot.Info, content []byte) error {
	if m.Index != i.Index || m.Term != i.Term || m.ID.Index != i.Index || m.ID.Term != i.Term ||
		m.Size != int64(len(content)) || m.Entries != uint64(len(content)) || m.Damaged != nil {
		return fmt.Errorf("published %+v, want index %d of term %d with %d bytes", m, i.Index, i.Term, len(content))
	}
	return r.model.add(m, content)
}

func (r *random) discard(context.Context) error {
	if w, ok := take(r.rng, &r.writers); ok {
		return w.w.Close()
	}
	return nil
}

func (r *random) openReader(ctx context.Context) error {
	s, ok := choose(r.rng, r.model.list)
	if !ok || len(r.readers) > 3 {
		return nil
	}
	rd, err := r.store.Open(ctx, s.meta.ID)
	if err != nil {
		return err
	}
	s.holds++
	r.model.touch(s.meta.ID)
	r.readers = append(r.readers, &openReader{r: rd, of: s, rest: s.content})
	return same(rd.Meta(), s.meta)
}

func (r *random) read(context.Context) error {
	rd, ok := choose(r.rng, r.readers)
	if !ok {
		return nil
	}
	buf := make([]byte, 1+r.rng.IntN(20_000))
	n, err := io.ReadFull(rd.r, buf)
	wanted := rd.rest[:min(len(buf), len(rd.rest))]
	if !bytes.Equal(buf[:n], wanted) {
		return fmt.Errorf("read %d bytes, %v, want %d others", n, err, len(wanted))
	}
	rd.rest = rd.rest[n:]
	if n < len(buf) {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("at the end: %w, want io.EOF", err)
		}
		return nil
	}
	return err
}

func (r *random) closeReader(context.Context) error {
	rd, ok := take(r.rng, &r.readers)
	if !ok {
		return nil
	}
	rd.of.holds--
	return rd.r.Close()
}

func (r *random) pin(context.Context) error {
	s, ok := choose(r.rng, r.model.list)
	if ok {
		s.holds++
		r.pins = append(r.pins, &pin{release: r.store.Pin(s.meta.ID), of: s})
	}
	return nil
}

func (r *random) release(context.Context) error {
	if p, ok := take(r.rng, &r.pins); ok {
		p.of.holds--
		p.release()
	}
	return nil
}

func (r *random) verify(ctx context.Context) error {
	s, ok := choose(r.rng, r.model.list)
	if !ok {
		return nil
	}
	var done int64
	report, err := r.store.Verify(ctx, s.meta.ID, func(n, _ int64) { done = n })
	if err == nil && (report.Bytes != s.meta.Size || done != s.meta.Size || report.Faults != 0) {
		err = fmt.Errorf("report %+v with progress %d, want %d bytes", report, done, s.meta.Size)
	}
	return err
}

func (r *random) moveClock(context.Context) error {
	r.now = r.now.Add(time.Duration(r.rng.IntN(7200)-2400) * time.Second)
	return nil
}

func (r *random) setIdentity(context.Context) error {
	r.identity.Epoch++
	return r.store.SetIdentity(r.identity)
}

// reopen closes the store with whatever is open on it.
func (r *random) reopen(context.Context) error {
	if err := r.store.Close(); err != nil {
		return err
	}
	for _, rd := range r.readers {
		if _, err := rd.r.Read(make([]byte, 1)); err == nil {
			return errors.New("a reader goes on after Close")
		}
		rd.of.holds--
	}
	for _, p := range r.pins {
		p.of.holds--
		p.release()
	}
	r.writers, r.readers, r.pins = nil, nil, nil
	if r.recv != nil {
		r.recv.r = nil
	}
	if volatile(r.bucket) {
		r.model = model{opened: map[snapshot.ID]int{}}
		r.identity = ident.Identity{}
	}
	if err := r.openStore(); err != nil {
		return err
	}
	if got := r.store.Identity(); got != r.identity {
		return fmt.Errorf("identity is %v, want %v", got, r.identity)
	}
	return nil
}

// check compares what the store lists with the model.
func (r *random) check() error {
	ctx := context.Background()
	metas := make([]snapshot.Meta, len(r.model.list))
	for i, s := range r.model.list {
		metas[i] = s.meta
	}
	return has(ctx, r.store, metas...)
}

// choose picks one of list.
func choose[T any](rng *rand.Rand, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[rng.IntN(len(list))], true
}

// take picks one and removes it from list.
func take[T any](rng *rand.Rand, list *[]T) (one T, ok bool) {
	if len(*list) == 0 {
		return one, false
	}
	i := rng.IntN(len(*list))
	one = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return one, true
}
