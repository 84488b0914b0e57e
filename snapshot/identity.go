package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/ident"
)

// Identity ties a store to the other parts of its node. The zero value means
// that none was set.
type Identity = ident.Identity

// Frozen: part of format v1.
const identityObject = "IDENTITY"

// Identity returns what SetIdentity stored last, also before a restart.
func (s *Store) Identity() Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// SetIdentity stores the identity beside the snapshots; it is durable on
// return. After an error the old or the new one is stored, and Identity
// returns the old one.
func (s *Store) SetIdentity(id Identity) error {
	ctx := context.Background()
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("set identity: %w", err)
	}
	defer s.leave()
	b, err := id.AppendBinary(nil)
	if err == nil {
		err = s.writeSmall(ctx, identityObject, b)
	}
	if err != nil {
		return fmt.Errorf("set identity: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity = id
	return nil
}

func (s *Store) readIdentity(ctx context.Context) (Identity, error) {
	b, err := s.readSmall(ctx, identityObject, ident.Size)
	if errors.Is(err, fault.ErrNotFound) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	if err := id.UnmarshalBinary(b); err != nil {
		return Identity{}, &fault.Corruption{Path: identityObject, Class: fault.Committed, Err: err}
	}
	return id, nil
}
