package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

func readBack(ctx context.Context, b snapshot.Bucket) error {
	content := []byte("0123456789abcdef")
	if err := put(ctx, b, "a", content); err != nil {
		return err
	}
	for off := range len(content) + 3 {
		got, err := get(ctx, b, "a", int64(off))
		if err != nil {
			return err
		}
		if want := content[min(off, len(content)):]; !bytes.Equal(got, want) {
			return fmt.Errorf("from offset %d: %q, want %q", off, got, want)
		}
	}
	return holds(ctx, b, "a", content)
}

func large(ctx context.Context, b snapshot.Bucket) error {
	rng := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 3<<20+17)
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	p, err := b.Create(ctx, "large")
	if err != nil {
		return fmt.Errorf("Create = %w", err)
	}
	buf := make([]byte, 300<<10)
	for rest := content; len(rest) > 0; {
		n := copy(buf[:1+rng.IntN(len(buf))], rest)
		if m, err := p.Write(buf[:n]); err != nil || m != n {
			return errors.Join(fmt.Errorf("Write(%d bytes) = %d, %v", n, m, err), p.Abort())
		}
		clear(buf) // Write keeps nothing of it
		rest = rest[n:]
	}
	if err := p.Commit(ctx); err != nil {
		return fmt.Errorf("Commit = %w", err)
	}
	if err := holds(ctx, b, "large", content); err != nil {
		return err
	}
	for range 20 {
		off := rng.IntN(len(content))
		if err := readsOn(ctx, b, off, content[off:min(off+1000, len(content))]); err != nil {
			return err
		}
	}
	return nil
}

func readsOn(ctx context.Context, b snapshot.Bucket, off int, content []byte) error {
	r, err := b.Open(ctx, "large", int64(off))
	if err != nil {
		return fmt.Errorf("Open(large, %d) = %w", off, err)
	}
	got := make([]byte, len(content))
	_, err = io.ReadFull(r, got)
	if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) {
		return fmt.Errorf("%d bytes from %d: wrong bytes or %v", len(content), off, err)
	}
	return nil
}

func empty(ctx context.Context, b snapshot.Bucket) error {
	p, err := b.Create(ctx, "empty")
	if err != nil {
		return fmt.Errorf("Create = %w", err)
	}
	if err := p.Commit(ctx); err != nil {
		return fmt.Errorf("Commit = %w", err)
	}
	return holds(ctx, b, "empty", nil)
}

func missing(ctx context.Context, b snapshot.Bucket) error {
	if err := absent(ctx, b, "nothing"); err != nil {
		return err
	}
	if err := put(ctx, b, "a", []byte("content")); err != nil {
		return err
	}
	r, err := b.Open(ctx, "a", -1)
	if err == nil {
		err = r.Close()
	}
	return want("Open at offset -1", err, fault.ErrInvalid)
}

func pendingIsInvisible(ctx context.Context, b snapshot.Bucket) error {
	p, err := b.Create(ctx, "a")
	if err != nil {
		return fmt.Errorf("Create = %w", err)
	}
	if err := absent(ctx, b, "a"); err != nil {
		return errors.Join(fmt.Errorf("after Create: %w", err), p.Abort())
	}
	if _, err := p.Write(bytes.Repeat([]byte("pending"), 100_000)); err != nil {
		return errors.Join(fmt.Errorf("Write = %w", err), p.Abort())
	}
	if err := absent(ctx, b, "a"); err != nil {
		return errors.Join(fmt.Errorf("after Write: %w", err), p.Abort())
	}
	sizes, err := list(ctx, b)
	if err == nil && len(sizes) > 0 {
		err = fmt.Errorf("List has %v while one object is pending, want nothing", sizes)
	}
	if err != nil {
		return errors.Join(err, p.Abort())
	}
	if err := p.Commit(ctx); err != nil {
		return fmt.Errorf("Commit = %w", err)
	}
	return holds(ctx, b, "a", bytes.Repeat([]byte("pending"), 100_000))
}

func abortLeavesNothing(ctx context.Context, b snapshot.Bucket) error {
	for _, before := range []string{"", "before"} {
		if before != "" {
			if err := put(ctx, b, "a", []byte(before)); err != nil {
				return err
			}
		}
		p, err := b.Create(ctx, "a")
		if err != nil {
			return fmt.Errorf("Create = %w", err)
		}
		if _, err := p.Write([]byte("given up")); err != nil {
			return fmt.Errorf("Write = %w", err)
		}
		for range 2 {
			if err := p.Abort(); err != nil {
				return fmt.Errorf("Abort = %w", err)
			}
		}
		_, err = p.Write([]byte("more"))
		if err := errors.Join(want("Write after Abort", err, fault.ErrClosed),
			want("Commit after Abort", p.Commit(ctx), fault.ErrClosed)); err != nil {
			return err
		}
		if before == "" {
			err = absent(ctx, b, "a")
		} else {
			err = holds(ctx, b, "a", []byte(before))
		}
		if err != nil {
			return fmt.Errorf("after Abort: %w", err)
		}
	}
	return nil
}

func commitOnce(ctx context.Context, b snapshot.Bucket) error {
	p, err := b.Create(ctx, "a")
	if err != nil {
		return fmt.Errorf("Create = %w", err)
	}
	if _, err := p.Write([]byte("content")); err != nil {
		return fmt.Errorf("Write = %w", err)
	}
	if err := p.Commit(ctx); err != nil {
		return fmt.Errorf("Commit = %w", err)
	}
	_, err = p.Write([]byte("more"))
	if err := errors.Join(want("Write after Commit", err, fault.ErrClosed),
		want("second Commit", p.Commit(ctx), fault.ErrClosed),
		want("Abort after Commit", p.Abort(), nil)); err != nil {
		return err
	}
	return holds(ctx, b, "a", []byte("content"))
}

func replace(ctx context.Context, b snapshot.Bucket) error {
	if err := put(ctx, b, "a", []byte("a long first content")); err != nil {
		return err
	}
	if err := put(ctx, b, "a", []byte("second")); err != nil {
		return err
	}
	if err := holds(ctx, b, "a", []byte("second")); err != nil {
		return err
	}
	var both []snapshot.Pending
	for _, content := range []string{"third", "the fourth"} {
		p, err := b.Create(ctx, "a")
		if err != nil {
			return fmt.Errorf("Create = %w", err)
		}
		if _, err := p.Write([]byte(content)); err != nil {
			return fmt.Errorf("Write = %w", err)
		}
		both = append(both, p)
	}
	if err := both[1].Commit(ctx); err != nil {
		return fmt.Errorf("Commit = %w", err)
	}
	if err := holds(ctx, b, "a", []byte("the fourth")); err != nil {
		return err
	}
	if err := both[0].Commit(ctx); err != nil {
		return fmt.Errorf("Commit = %w", err)
	}
	return holds(ctx, b, "a", []byte("third"))
}

func readerKeepsOld(ctx context.Context, b snapshot.Bucket) error {
	old, young := bytes.Repeat([]byte("old"), 500_000), bytes.Repeat([]byte("new"), 500_000)
	change := map[string]func() error{
		"replaced": func() error { return put(ctx, b, "a", young) },
		"removed":  func() error { return b.Remove(ctx, "a") },
	}
	for _, what := range []string{"replaced", "removed"} {
		if err := put(ctx, b, "a", old); err != nil {
			return err
		}
		r, err := b.Open(ctx, "a", 0)
		if err != nil {
			return fmt.Errorf("Open = %w", err)
		}
		first := make([]byte, 1000)
		if _, err := io.ReadFull(r, first); err != nil {
			return errors.Join(fmt.Errorf("read = %w", err), r.Close())
		}
		if err := change[what](); err != nil {
			return errors.Join(fmt.Errorf("%s while it is read: %w", what, err), r.Close())
		}
		rest, err := io.ReadAll(r)
		if got := append(first, rest...); err == nil && !bytes.Equal(got, old) {
			return errors.Join(fmt.Errorf("a reader of a %s object got %d other bytes and io.EOF", what, len(got)), r.Close())
		}
		if err := r.Close(); err != nil {
			return fmt.Errorf("close the reader of a %s object: %w", what, err)
		}
	}
	return nil
}
