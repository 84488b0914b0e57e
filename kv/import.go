package kv

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/trimarandb/trimaran/fault"
)

// ImportOptions configure an import.
type ImportOptions struct {
	// Mark, if set, is the mark of the new state in the place of the one in the
	// stream, with the later of both clocks.
	Mark *Mark
	// Progress, if set, is called now and then with what was loaded so far.
	Progress func(rows, bytes uint64)
}

// PendingImport is a state being loaded beside the live one, which readers and
// writers go on using until Switch. One may be pending at a time. One
// goroutine uses it; Abort may be called by another.
type PendingImport struct {
	s     *Store
	mu    sync.Mutex
	gen   Ingester
	stage stage
	im    *importer
}

type stage uint8

const (
	stageEmpty stage = iota
	stageFailed
	stageLoaded
	stageDone
)

// BeginImport starts an import in steps: Load, then Switch, and Abort deferred.
// It fails with fault.ErrUnsupported if the engine cannot build a state beside
// the live one, and with fault.ErrConflict while another import is pending.
func (s *Store) BeginImport(ctx context.Context) (*PendingImport, error) {
	if s.bound.Load() {
		return nil, errBound("begin import")
	}
	return s.beginImport(ctx)
}

func (s *Store) beginImport(ctx context.Context) (*PendingImport, error) {
	if err := s.enter("begin import"); err != nil {
		return nil, err
	}
	defer s.leave()
	gens, ok := As[Generations](s.d)
	if !ok {
		return nil, fmt.Errorf("begin import: %s has no generations: %w", s.engine(), fault.ErrUnsupported)
	}
	if err := s.sync.poisoned(); err != nil {
		return nil, wrap("begin import", err)
	}
	p := &PendingImport{s: s}
	p.mu.Lock() // a Close that finds p waits for its generation
	defer p.mu.Unlock()
	if err := s.reserve(p); err != nil {
		return nil, wrap("begin import", err)
	}
	gen, err := gens.Fresh(ctx)
	if err != nil {
		p.drop()
		return nil, wrap("begin import", err)
	}
	p.gen = gen
	return p, nil
}

// reserve makes p the one import that is pending.
func (s *Store) reserve(p *PendingImport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gate.closed():
		return fmt.Errorf("store: %w", fault.ErrClosed)
	case s.pending != nil:
		return fmt.Errorf("another one is pending: %w", fault.ErrConflict)
	}
	s.pending = p
	return nil
}

// Import replaces the whole state, except the identity, by the export in r,
// durably and at once: after an error the old state is untouched, and after a
// crash it is the old or the new one. Readers and captures begun before keep
// the old state. r has to end after the export.
func (s *Store) Import(ctx context.Context, r io.Reader, o *ImportOptions) (Summary, error) {
	p, err := s.BeginImport(ctx)
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = p.Abort() }() // what failed before counts
	sum, err := p.Load(ctx, r, o)
	if err == nil {
		err = p.Switch(ctx)
	}
	return sum, err
}

// Load reads the export in r, verifies it to its end and makes it durable,
// still unseen. It needs memory for one frame. A stream that is damaged or cut
// short is *fault.Corruption; rows over this store's limits, or an index whose
// extractor is not registered, are fault.ErrInvalid. After an error only Abort
// is left. The Summary carries the mark that Switch will put in force.
func (p *PendingImport) Load(ctx context.Context, r io.Reader, o *ImportOptions) (Summary, error) {
	if err := p.s.enter("load"); err != nil {
		return Summary{}, err
	}
	defer p.s.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stage != stageEmpty {
		return Summary{}, fmt.Errorf("load: the import has been loaded or ended: %w", fault.ErrInvalid)
	}
	p.stage = stageFailed
	im, err := newImporter(p.s, p.gen, r, o)
	if err == nil {
		err = im.run(ctx)
	}
	if err == nil {
		err = p.gen.Sync()
	}
	if err != nil {
		return Summary{}, wrap("load", err)
	}
	p.im, p.stage = im, stageLoaded
	return im.summary(), nil
}

// Switch makes the loaded state the live one, durably. It waits for the write
// transaction that is open; what that one commits is replaced as well. After
// fault.ErrFull or an error of ctx nothing has changed and Switch may be called
// again; after another failure of the engine the store is poisoned.
func (p *PendingImport) Switch(ctx context.Context) error {
	s := p.s
	if err := s.enter("switch"); err != nil {
		return err
	}
	defer s.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stage != stageLoaded {
		return fmt.Errorf("switch: the import is not loaded, or has ended: %w", fault.ErrInvalid)
	}
	if err := s.acquire(ctx); err != nil {
		return wrap("switch", err)
	}
	defer s.release()
	if err := s.sync.poisoned(); err != nil {
		return wrap("switch", err)
	}
	if err := p.exchange(); err != nil {
		return wrap("switch", err)
	}
	s.mark, s.indexes, s.timed, s.unmarked = p.im.mark, p.im.indexes, p.im.timed, false
	s.swept = nil
	s.counts.imports.Add(1)
	p.drop()
	return nil
}

// exchange puts the node's identity into the generation and switches to it.
// The writer lock is held, so the identity cannot change any more.
func (p *PendingImport) exchange() error {
	if id := p.s.Identity(); !id.IsZero() && !p.im.identified {
		b, err := id.AppendBinary(nil)
		if err == nil {
			err = p.gen.Put([]byte(keyIdentity), b)
		}
		if err != nil {
			return err
		}
		p.im.identified = true
	}
	return p.s.sync.guard(p.gen.Switch())
}

// Abort drops a state that was not switched to. It does nothing after Switch
// or Abort, so it can be deferred.
func (p *PendingImport) Abort() error { return wrap("abort import", p.close()) }

func (p *PendingImport) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stage == stageDone {
		return nil
	}
	err := p.gen.Discard()
	p.drop()
	return err
}

// drop lets the next import begin.
func (p *PendingImport) drop() {
	p.stage = stageDone
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.pending = nil
}
