package kv

import (
	"context"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Applier is the one way to change the data of a bound store. Whoever keeps
// data and log consistent with each other holds it.
type Applier struct{ s *Store }

// Bind gives out the store's applier, once; a second call is fault.ErrConflict.
// From then on every method of the Store that changes data is
// fault.ErrInvalid; a write transaction that is open goes on. A store with a
// wall clock cannot be bound: replicas would not agree.
func (s *Store) Bind() (*Applier, error) {
	if err := s.enter("bind"); err != nil {
		return nil, err
	}
	defer s.leave()
	if s.o.Clock != nil {
		return nil, fmt.Errorf("bind: the store has a wall clock of its own: %w", fault.ErrInvalid)
	}
	if !s.bound.CompareAndSwap(false, true) {
		return nil, fmt.Errorf("bind: the store is bound already: %w", fault.ErrConflict)
	}
	return &Applier{s: s}, nil
}

// BeginWrite is [Store.BeginWrite] on the bound store.
func (a *Applier) BeginWrite(ctx context.Context) (*WriteTx, error) {
	return a.s.beginWrite(ctx, scopeOwner)
}

// BeginImport is [Store.BeginImport] on the bound store.
func (a *Applier) BeginImport(ctx context.Context) (*PendingImport, error) {
	return a.s.beginImport(ctx)
}
