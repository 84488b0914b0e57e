package memkv

import (
	"context"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// generation is a content that nobody sees yet.
type generation struct {
	content
	db   *DB
	done bool
}

// Fresh starts a generation.
func (db *DB) Fresh(ctx context.Context) (kv.Ingester, error) {
	return &generation{db: db, content: content{tree: newTree()}}, ctx.Err()
}

func (g *generation) Put(key, value []byte) error {
	if g.done {
		return fmt.Errorf("memory engine: generation: %w", fault.ErrClosed)
	}
	return g.put(key, value, g.db.max)
}

// Sync does nothing: there is nothing durable here.
func (g *generation) Sync() error { return nil }

func (g *generation) Switch() error {
	g.db.mu.Lock()
	defer g.db.mu.Unlock()
	switch {
	case g.done || g.db.live.Load() == nil:
		return fmt.Errorf("memory engine: generation: %w", fault.ErrClosed)
	case g.db.writing:
		return fmt.Errorf("memory engine has a writer: %w", fault.ErrConflict)
	}
	g.done = true
	g.db.live.Store(&g.content)
	return nil
}

func (g *generation) Discard() error {
	g.done = true
	return nil
}
