package dirbucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/trimarandb/trimaran/fault"
)

// Remove removes an object; readers that are open keep its bytes.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	if err := b.enterFor(ctx, name); err != nil {
		return err
	}
	defer b.calls.Leave()
	b.names.Lock()
	defer b.names.Unlock()
	if b.poison != nil {
		return b.failed(b.poison)
	}
	info, err := b.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Dir {
		return nil // an earlier removal synced it before it let names go
	}
	if err == nil {
		err = b.fs.Remove(name)
	}
	if err == nil {
		err = b.syncNames()
	}
	if err != nil {
		return b.failed(err)
	}
	return nil
}

// publish renames a synced file to the name of its object. After an error the
// name stands for what it stood for before, or, where only the sync of the
// directory failed, for the new content in place of an older one.
func (b *Bucket) publish(temp, name string) error {
	b.names.Lock()
	defer b.names.Unlock()
	if b.poison != nil {
		return b.poison
	}
	_, err := b.fs.Stat(name)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return err
	}
	if err := b.fs.Rename(temp, name); err != nil {
		return err
	}
	err = b.syncNames()
	if err != nil && isNew {
		// Nobody was told of it, and nobody shall find it: the caller will
		// try again under another name.
		err = errors.Join(err, b.fs.Remove(name))
	}
	return err
}

// syncNames makes changes of names durable, or refuses those to come: a second
// sync would say nothing about what the first one failed to write. The caller
// holds names.
func (b *Bucket) syncNames() error {
	if err := b.fs.SyncDir("."); err != nil {
		b.poison = fmt.Errorf("%w: %w", fault.ErrPoisoned, err)
	}
	return b.poison
}

// refusal is the error of a change that must not be begun.
func (b *Bucket) refusal() error {
	b.names.RLock()
	defer b.names.RUnlock()
	return b.poison
}
