package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/ident"
)

// Store is a key-value store over one engine. All methods may be called by
// several goroutines.
//
// Keys are 1 byte to Options.MaxKey long and values up to Options.MaxValue;
// others are fault.ErrInvalid. A key without a value is fault.ErrNotFound from
// Get, and no error from Delete.
//
// Each write method is one transaction. Use [Store.Update] or
// [Store.BeginWrite] for more.
type Store struct {
	d    Driver
	get  Getter // nil if d is none
	o    Options
	sync *syncer

	gate    gate
	idle    chan struct{} // closed when the last call has left the closed store
	closing chan struct{} // closed when Close begins: nobody waits for a lock any more
	stopped chan struct{} // closed when the flusher has ended
	closed  error         // of the first Close
	close   sync.Once

	lock chan struct{} // holds one element while there is a writer
	pace pacer

	// Guarded by the writer lock.
	mark     mark
	indexes  catalog
	timed    bool   // some row may have a deadline
	swept    []byte // the queue of deadlines has no entry below; for an engine that would walk over what was removed
	unmarked bool   // the engine holds no format version yet

	bound  atomic.Bool
	wall   atomic.Uint64 // the latest time that Options.Clock has told
	ident  atomic.Pointer[Identity]
	counts counters

	mu      sync.Mutex
	open    map[*txn]struct{}
	pending *PendingImport
	live    sync.WaitGroup // one for each transaction that holds an engine's
}

// Identity ties the parts of one node together.
type Identity = ident.Identity

// New makes a store over d, which it owns from now on if it succeeds. It
// fails with *fault.Corruption if the engine holds something else, with
// fault.ErrUnsupported if that is of a newer format, and with
// fault.ErrInvalid if an index needs an extractor that is not registered.
func New(d Driver, o *Options) (*Store, error) {
	opt, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		d: d, o: opt, sync: newSyncer(d),
		idle: make(chan struct{}), closing: make(chan struct{}), stopped: make(chan struct{}),
		lock: make(chan struct{}, 1), open: map[*txn]struct{}{},
	}
	s.get, _ = d.(Getter)
	s.ident.Store(&Identity{})
	if err := s.load(context.Background()); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.o.Sync == SyncInterval {
		go s.flush()
	} else {
		close(s.stopped)
	}
	return s, nil
}

// load reads what the store keeps in memory, and repairs indexes if asked to.
func (s *Store) load(ctx context.Context) error {
	d, err := s.d.Begin(ctx, false)
	if err != nil {
		return err
	}
	err = s.loadFrom(d)
	if err2 := d.Rollback(); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	if err = s.indexes.resolve(s.o.Extractors); err == nil || !s.o.Reindex {
		return err
	}
	return s.update(ctx, func(t *WriteTx) error { return t.reindex() })
}

func (s *Store) loadFrom(d DriverTx) error {
	b, err := d.Get([]byte(keyFormat))
	switch {
	case errors.Is(err, fault.ErrNotFound):
		s.unmarked = true
		return requireEmpty(d)
	case err != nil:
		return err
	case len(b) != 1 || b[0] == 0:
		return damaged("format version of %d bytes", len(b))
	case b[0] != formatVersion:
		return fmt.Errorf("format version %d, this build knows %d: %w", b[0], formatVersion, fault.ErrUnsupported)
	}
	if b, err = d.Get([]byte(keyIdentity)); err == nil {
		var id Identity
		if err := id.UnmarshalBinary(b); err != nil {
			return damaged("identity: %v", err)
		}
		s.ident.Store(&id)
	} else if !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	if s.mark, err = readMark(d); err != nil {
		return err
	}
	if s.indexes, err = readCatalog(d); err != nil {
		return err
	}
	for _, err := range d.Scan(Range{Lo: []byte{spaceDeadline}, Hi: []byte{spaceDeadline + 1}}) {
		s.timed = true
		return err
	}
	return nil
}

func requireEmpty(d DriverTx) error {
	for _, err := range d.Scan(Range{}) {
		if err != nil {
			return err
		}
		return &fault.Corruption{Offset: -1, Class: fault.Foreign, Reason: "the engine holds keys but no format version: not a store of ours"}
	}
	return nil
}

// Close waits for calls under way, ends open transactions, makes every commit
// durable and closes the engine. Waiting for a lock ends at once; walks and
// exports end with fault.ErrClosed at their next row, as does everything
// afterwards. A store that is poisoned is closed too, and Close says so with
// fault.ErrPoisoned: commits may be lost of which nobody has heard. It may be
// called twice and then returns what it did the first time; it must not be
// called from inside a call.
func (s *Store) Close() error {
	s.close.Do(func() { s.closed = s.shut() })
	return s.closed
}

func (s *Store) shut() error {
	_, empty := s.gate.close()
	close(s.closing)
	s.mu.Lock()
	open := make([]*txn, 0, len(s.open))
	for t := range s.open {
		open = append(open, t)
	}
	pending := s.pending
	s.mu.Unlock()
	var errs []error
	for _, t := range open {
		errs = append(errs, t.close())
	}
	if pending != nil {
		errs = append(errs, pending.close())
	}
	if !empty {
		<-s.idle
	}
	s.live.Wait()
	<-s.stopped
	errs = append(errs, s.sync.all(), s.d.Close())
	return wrap("close store", errors.Join(errs...))
}

// enter opens a call.
func (s *Store) enter(verb string) error {
	if !s.gate.enter() {
		return fmt.Errorf("%s: store: %w", verb, fault.ErrClosed)
	}
	return nil
}

func (s *Store) leave() {
	if s.gate.leave() {
		close(s.idle)
	}
}

// start lets Close know of a transaction, unless it has begun already.
func (s *Store) start(t *txn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate.closed() {
		return fmt.Errorf("store: %w", fault.ErrClosed)
	}
	s.open[t] = struct{}{}
	s.live.Add(1)
	return nil
}

// finish ends the engine's part of a transaction that was started.
func (s *Store) finish(t *txn) error {
	defer s.live.Done()
	s.mu.Lock()
	delete(s.open, t)
	s.mu.Unlock()
	return t.d.Rollback()
}

// Volatile reports whether the engine forgets everything when it is closed.
func (s *Store) Volatile() bool {
	v, ok := As[Volatile](s.d)
	return ok && v.Volatile()
}

// Identity is that of the node, as last set; the zero value if it never was.
func (s *Store) Identity() Identity { return *s.ident.Load() }

// SetIdentity records the identity of the node. It is durable when the call
// returns, whatever Options.Sync says, and stays through an import.
func (s *Store) SetIdentity(id Identity) error {
	b, err := id.AppendBinary(nil)
	if err != nil {
		return fmt.Errorf("set identity: %w", err)
	}
	err = s.update(context.Background(), func(t *WriteTx) error {
		if err := t.put([]byte(keyIdentity), b); err != nil {
			return err
		}
		t.ident = &id
		return nil
	})
	if err == nil {
		err = s.sync.all()
	}
	return wrap("set identity", err)
}

// Sync makes every commit so far durable.
func (s *Store) Sync() error {
	if err := s.enter("sync"); err != nil {
		return err
	}
	defer s.leave()
	return wrap("sync", s.sync.all())
}

// Compact tells the engine to give space back. It fails with
// fault.ErrUnsupported if the engine has nothing of the kind.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.enter("compact"); err != nil {
		return err
	}
	defer s.leave()
	c, ok := As[Compacter](s.d)
	if !ok {
		return fmt.Errorf("compact: %s: %w", s.engine(), fault.ErrUnsupported)
	}
	return wrap("compact", c.Compact(ctx))
}

func (s *Store) checkKey(key []byte) error {
	if len(key) == 0 || len(key) > s.o.MaxKey {
		return fmt.Errorf("key of %d bytes, want 1 to %d: %w", len(key), s.o.MaxKey, fault.ErrInvalid)
	}
	return nil
}

func (s *Store) checkPair(key, value []byte) error {
	if err := s.checkKey(key); err != nil {
		return err
	}
	if len(value) > s.o.MaxValue {
		return fmt.Errorf("value of %d bytes, at most %d: %w", len(value), s.o.MaxValue, fault.ErrInvalid)
	}
	return nil
}
