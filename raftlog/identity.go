package raftlog

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/ident"
)

// Identity says which node a log belongs to and how often it was opened.
type Identity = ident.Identity

// identityKey is the stable key that holds the identity. Frozen.
const identityKey = "trimaran/identity"

// CheckKeys refuses stable keys that are not the caller's to set.
func (b *Batch) CheckKeys() error {
	for _, kv := range b.Stable {
		if kv.Key == identityKey {
			return fmt.Errorf("stable key %q: set by SetIdentity only: %w", kv.Key, fault.ErrInvalid)
		}
	}
	return nil
}

// Identity returns what SetIdentity stored; zero if nothing was.
func (l *Log) Identity() Identity {
	l.idMu.Lock()
	defer l.idMu.Unlock()
	return l.id
}

// SetIdentity stores the identity of the node with the log. It is durable on
// return.
func (l *Log) SetIdentity(id Identity) error {
	if err := l.enter("set identity"); err != nil {
		return err
	}
	defer l.gate.Leave()
	value, err := id.AppendBinary(nil)
	if err != nil {
		return err
	}
	l.idMu.Lock()
	defer l.idMu.Unlock()
	batch := Batch{Stable: []StableKV{{identityKey, value}}}
	if err := l.d.Submit([]GroupBatch{{l.g, batch}}, nil); err != nil {
		return fmt.Errorf("set identity: %w", err)
	}
	l.id = id
	return nil
}

func (l *Log) loadIdentity() error {
	value, err := l.d.Stable(l.g, identityKey)
	if errors.Is(err, fault.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := l.id.UnmarshalBinary(value); err != nil {
		return &fault.Corruption{Offset: -1, Class: fault.Committed, Reason: "identity of the log", Err: err}
	}
	return nil
}
