package dragonboat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
)

// ApplyFunc applies one committed command inside the transaction that also moves
// the mark, and returns what the proposer gets. It must do the same on every
// replica; the entry and its Cmd are lent. A command that fails is a Result, not
// an error: an error means that this replica cannot go on, and ends the process.
// The transaction's SetMark, Commit and Rollback are fault.ErrInvalid.
type ApplyFunc func(tx *kv.WriteTx, e statemachine.Entry) (statemachine.Result, error)

// LookupFunc answers a query, beside writes and other queries. Reads that belong
// together go through r.View.
type LookupFunc func(r kv.Reader, query any) (any, error)

// Machine is an on-disk state machine over a key-value store: the data is
// durable by itself and knows which entry it contains, and snapshots are its
// exports. Dragonboat calls it; what it says of concurrency holds here.
type Machine struct {
	apply  ApplyFunc
	lookup LookupFunc
	open   func() (*kv.Store, *kv.Applier, error)
	owned  bool // Close closes the store

	store   atomic.Pointer[kv.Store]
	applier *kv.Applier

	mu       sync.Mutex
	captures map[*kv.Capture]struct{} // prepared, and not saved yet
}

var _ statemachine.IOnDiskStateMachine = (*Machine)(nil)

// NewMachine makes a state machine of an opened store, which stays the caller's,
// is closed after the NodeHost, and is changed by the machine only from now on.
// Let its Sync be kv.SyncNever: the log is the log. A store that forgets with
// the process is fault.ErrUnsupported. A replica that was stopped may be started
// with the same machine again.
func NewMachine(s *kv.Store, apply ApplyFunc, lookup LookupFunc) (*Machine, error) {
	if s == nil || apply == nil || lookup == nil {
		return nil, fmt.Errorf("make a state machine: no store, or nothing that applies or looks up: %w", fault.ErrInvalid)
	}
	applier, err := bind(s)
	if err != nil {
		return nil, fmt.Errorf("make a state machine: %w", err)
	}
	return &Machine{apply: apply, lookup: lookup, open: func() (*kv.Store, *kv.Applier, error) { return s, applier, nil }}, nil
}

// OpenMachines returns what NodeHost.StartOnDiskReplica is given: each replica
// keeps its data in a store of its own, on Pebble, in dir/SHARD-REPLICA, which is
// opened when the replica is started and closed when it stops. What a removed
// replica leaves there may be deleted.
func OpenMachines(dir string, apply ApplyFunc, lookup LookupFunc, o *Options) statemachine.CreateOnDiskStateMachineFunc {
	opts := o.withDefaults()
	return func(shardID, replicaID uint64) statemachine.IOnDiskStateMachine {
		return &Machine{apply: apply, lookup: lookup, owned: true, open: func() (*kv.Store, *kv.Applier, error) {
			return openStore(path.Join(dir, fmt.Sprintf("%d-%d", shardID, replicaID)), opts)
		}}
	}
}

func openStore(dir string, o Options) (*kv.Store, *kv.Applier, error) {
	d, err := pebblekv.Open(dir, &pebblekv.Options{FS: o.FS, Logger: o.Logger})
	if err != nil {
		return nil, nil, err
	}
	s, err := kv.New(d, &kv.Options{Sync: kv.SyncNever})
	if err != nil {
		return nil, nil, joinClose(err, d)
	}
	applier, err := bind(s)
	if err != nil {
		return nil, nil, joinClose(err, s)
	}
	return s, applier, nil
}

func bind(s *kv.Store) (*kv.Applier, error) {
	if s.Volatile() {
		return nil, fmt.Errorf("the store does not survive the process: %w", fault.ErrUnsupported)
	}
	return s.Bind()
}

// Open returns the index of the last entry that the data contains, durably.
func (m *Machine) Open(stop <-chan struct{}) (uint64, error) {
	if stopped(stop) {
		return 0, statemachine.ErrOpenStopped
	}
	s, applier, err := m.open()
	if err != nil {
		return 0, fmt.Errorf("open the state machine: %w", err)
	}
	err = s.Sync() // what was read after a crash need not be durable
	var mark kv.Mark
	if err == nil {
		mark, err = s.Mark(context.Background())
	}
	if err != nil {
		if m.owned {
			err = joinClose(err, s)
		}
		return 0, fmt.Errorf("open the state machine: %w", err)
	}
	m.applier, m.captures = applier, map[*kv.Capture]struct{}{}
	m.store.Store(s)
	return mark.Index, nil
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// Update applies commands in one transaction, which also moves the mark to the
// last of them. It is durable after Sync; until then the entries are, in the
// log. What the data contains already is skipped.
func (m *Machine) Update(entries []statemachine.Entry) ([]statemachine.Entry, error) {
	if len(entries) == 0 {
		return entries, nil
	}
	tx, err := m.applier.BeginWrite(context.Background())
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	defer tx.Rollback() // also when apply panics; does nothing after Commit
	mark, err := tx.Mark()
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	restricted := tx.Restrict()
	for i := range entries {
		e := &entries[i]
		if e.Index <= mark.Index {
			continue
		}
		if err := m.applyOne(tx, restricted, kv.Mark{Index: e.Index, Term: mark.Term}, e); err != nil {
			return nil, fmt.Errorf("apply entry %d: %w", e.Index, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("apply up to %d: %w", entries[len(entries)-1].Index, err)
	}
	return entries, nil
}

func (m *Machine) applyOne(tx, restricted *kv.WriteTx, mark kv.Mark, e *statemachine.Entry) error {
	if err := tx.SetMark(mark); err != nil { // before apply, which may look at it
		return err
	}
	result, err := m.apply(restricted, *e)
	if err != nil {
		return err
	}
	result.Data = bytes.Clone(result.Data) // it may be lent by the transaction
	e.Result = result
	return nil
}

// Lookup answers a query. Where Close closed the store, reads of it are
// fault.ErrClosed.
func (m *Machine) Lookup(query any) (any, error) {
	s := m.store.Load()
	if s == nil {
		return nil, fmt.Errorf("lookup: the state machine was never opened: %w", fault.ErrClosed)
	}
	return m.lookup(s, query)
}

// Sync makes durable what was applied.
func (m *Machine) Sync() error { return m.store.Load().Sync() }

// PrepareSnapshot holds the data still, which takes the same time whatever it
// holds.
func (m *Machine) PrepareSnapshot() (any, error) {
	c, err := m.store.Load().Capture(context.Background())
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.captures[c] = struct{}{}
	return c, nil
}

// SaveSnapshot writes what PrepareSnapshot held still, and lets go of it. Equal
// states give equal bytes. When stop is closed it ends with
// statemachine.ErrSnapshotStopped.
func (m *Machine) SaveSnapshot(prepared any, w io.Writer, stop <-chan struct{}) (err error) {
	c, ok := prepared.(*kv.Capture)
	if !ok {
		return fmt.Errorf("save snapshot of a %T: %w", prepared, fault.ErrInvalid)
	}
	defer func() {
		if released := m.release(c); err == nil {
			err = released
		}
	}()
	_, err = c.WriteTo(&stoppable{w: w, stop: stop})
	for _, answer := range []error{statemachine.ErrSnapshotStopped, statemachine.ErrSnapshotStreaming} {
		if errors.Is(err, answer) {
			return answer
		}
	}
	return err
}

func (m *Machine) release(c *kv.Capture) error {
	m.mu.Lock()
	delete(m.captures, c)
	m.mu.Unlock()
	return c.Release()
}

// stoppable is a writer, or a reader, that ends when stop is closed.
type stoppable struct {
	w    io.Writer
	r    io.Reader
	stop <-chan struct{}
}

func (s *stoppable) Write(p []byte) (int, error) {
	if stopped(s.stop) {
		return 0, statemachine.ErrSnapshotStopped
	}
	return s.w.Write(p)
}

func (s *stoppable) Read(p []byte) (int, error) {
	if stopped(s.stop) {
		return 0, statemachine.ErrSnapshotStopped
	}
	return s.r.Read(p)
}

// RecoverFromSnapshot replaces the data, durably and in one step, by a snapshot
// that another replica saved. Before that step, when stop is closed, it ends
// with statemachine.ErrSnapshotStopped, and the old data stays; so it does after
// a stream that is damaged, which is *fault.Corruption.
func (m *Machine) RecoverFromSnapshot(r io.Reader, stop <-chan struct{}) error {
	ctx := context.Background()
	p, err := m.applier.BeginImport(ctx)
	if err != nil {
		return fmt.Errorf("recover from snapshot: %w", err)
	}
	_, err = p.Load(ctx, &stoppable{r: r, stop: stop}, nil)
	if err == nil && stopped(stop) {
		err = statemachine.ErrSnapshotStopped
	}
	if err == nil {
		err = p.Switch(ctx)
	}
	err = errors.Join(err, p.Abort())
	switch {
	case errors.Is(err, statemachine.ErrSnapshotStopped):
		return statemachine.ErrSnapshotStopped
	case err != nil:
		return fmt.Errorf("recover from snapshot: %w", err)
	}
	return nil
}

// Close lets go of what was prepared and not saved, and closes the store if
// Open opened it.
func (m *Machine) Close() (err error) {
	s := m.store.Load()
	if s == nil {
		return nil // never opened
	}
	m.mu.Lock()
	for c := range m.captures {
		err = errors.Join(err, c.Release())
	}
	clear(m.captures)
	m.mu.Unlock()
	if m.owned {
		err = joinClose(err, s)
	}
	return err
}
