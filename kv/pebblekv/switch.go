package pebblekv

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// Switch syncs the generation, writes the pointer, and lets new transactions
// in. The old content is removed after its last reader, by a goroutine that
// Close waits for.
func (l *load) Switch() error {
	if err := l.Sync(); err != nil {
		return err
	}
	db := l.db
	old, err := db.beginSwitch()
	if err != nil {
		return err
	}
	unchanged, err := db.dir.Switch(l.number)
	db.mu.Lock()
	defer db.mu.Unlock()
	defer db.calls.Done()
	db.writing = false
	if err != nil {
		if unchanged && vfs.IsFull(err) {
			return fmt.Errorf("pebble engine: switch: %w", full(err))
		}
		l.named = !unchanged
		old.fate.fail(err) // which content the next open finds, nobody knows
		return fmt.Errorf("pebble engine: switch: %w", err)
	}
	l.done = true
	delete(db.loads, l)
	db.live = l.g
	old.retired = true
	old.fate.fail(errReplaced)
	if old.refs == 0 {
		db.bury(old)
	}
	return nil
}

// beginSwitch keeps writers out.
func (db *DB) beginSwitch() (live *generation, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, errClosed("switch")
	}
	if db.writing {
		return nil, fmt.Errorf("pebble engine has a writer: %w", fault.ErrConflict)
	}
	if err := db.live.fate.poisoned(); err != nil {
		return nil, fmt.Errorf("pebble engine: switch: %w", err)
	}
	db.writing = true
	db.calls.Add(1)
	return db.live, nil
}

// bury closes a generation that nobody uses any more, and removes it. What it
// cannot remove, the next open does. The caller holds mu.
func (db *DB) bury(g *generation) {
	db.calls.Go(func() {
		if err := g.close(); err != nil && g.fate.err() != err { //nolint:errorlint // the very same
			db.o.Logger.Warn("closing a replaced generation", "file", g.dir, "error", err)
		}
		if err := vfs.RemoveAll(db.fs, g.dir); err != nil {
			db.o.Logger.Warn("removing a replaced generation", "file", g.dir, "error", err)
		}
	})
}

// Discard removes the generation, unless the pointer may name it: then the next
// open decides.
func (l *load) Discard() error {
	if l.done {
		return nil
	}
	l.done = true
	db := l.db
	db.mu.Lock()
	delete(db.loads, l)
	db.mu.Unlock()
	l.g.fate.fail(errReplaced)
	_ = l.g.close() // it is thrown away
	if l.named {
		return nil
	}
	if err := vfs.RemoveAll(db.fs, l.g.dir); err != nil {
		return fmt.Errorf("pebble engine: discard: %w", err)
	}
	return nil
}
