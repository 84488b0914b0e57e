package snaptest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// plain is the shortest bucket that keeps the rules: where the cases need a
// second store, as the other end of a transfer, it is on one of these.
type plain struct {
	mu      sync.Mutex
	closed  bool
	objects map[string][]byte
}

func newPlain() *plain { return &plain{objects: map[string][]byte{}} }

func (b *plain) check(ctx context.Context) error {
	if b.closed {
		return fault.ErrClosed
	}
	return ctx.Err()
}

func (b *plain) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(ctx); err != nil {
		return nil, err
	}
	return &plainPending{b: b, name: name}, nil
}

func (b *plain) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(ctx); err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, fmt.Errorf("offset %d: %w", off, fault.ErrInvalid)
	}
	data, ok := b.objects[name]
	if !ok {
		return nil, fault.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(data[min(off, int64(len(data))):])), nil
}

func (b *plain) List(ctx context.Context) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		b.mu.Lock()
		err := b.check(ctx)
		objects := maps.Clone(b.objects)
		b.mu.Unlock()
		if err != nil {
			yield(snapshot.Object{}, err)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			if !yield(snapshot.Object{Name: name, Size: int64(len(objects[name]))}, nil) {
				return
			}
		}
	}
}

func (b *plain) Remove(ctx context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(ctx); err != nil {
		return err
	}
	delete(b.objects, name)
	return nil
}

func (b *plain) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// reopen makes a closed bucket usable again, with what it holds.
func (b *plain) reopen() (snapshot.Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = false
	return b, nil
}

type plainPending struct {
	b    *plain
	name string
	data []byte
	done bool
}

func (p *plainPending) Write(d []byte) (int, error) {
	if p.done {
		return 0, fault.ErrClosed
	}
	p.data = append(p.data, d...)
	return len(d), nil
}

func (p *plainPending) Commit(ctx context.Context) error {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if err := p.b.check(ctx); err != nil {
		return err
	}
	if p.done {
		return fault.ErrClosed
	}
	p.done = true
	p.b.objects[p.name] = p.data
	return nil
}

func (p *plainPending) Abort() error {
	p.done = true
	return nil
}
