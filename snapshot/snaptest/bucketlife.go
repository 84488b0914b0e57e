package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

func listAll(ctx context.Context, b snapshot.Bucket) error {
	const n = 60
	for i := range n {
		if err := put(ctx, b, fmt.Sprintf("object-%d", i), make([]byte, i*37)); err != nil {
			return err
		}
	}
	sizes, err := list(ctx, b)
	if err != nil {
		return err
	}
	if len(sizes) != n {
		return fmt.Errorf("List has %d objects, want %d", len(sizes), n)
	}
	for i := range n {
		name := fmt.Sprintf("object-%d", i)
		if size, ok := sizes[name]; !ok || size != int64(i*37) {
			return fmt.Errorf("List has %s with %d bytes (listed: %v), want %d", name, size, ok, i*37)
		}
	}
	return nil
}

func listStop(ctx context.Context, b snapshot.Bucket) error {
	for _, name := range []string{"a", "b", "c"} {
		if err := put(ctx, b, name, []byte(name)); err != nil {
			return err
		}
	}
	for o, err := range b.List(ctx) {
		if err != nil {
			return fmt.Errorf("List = %w", err)
		}
		if err := holds(ctx, b, o.Name, []byte(o.Name)); err != nil {
			return fmt.Errorf("inside a listing: %w", err)
		}
		break
	}
	return put(ctx, b, "d", nil)
}

func remove(ctx context.Context, b snapshot.Bucket) error {
	for _, name := range []string{"a", "b"} {
		if err := put(ctx, b, name, []byte(name)); err != nil {
			return err
		}
	}
	for _, what := range []string{"Remove", "Remove of nothing"} {
		if err := want(what, b.Remove(ctx, "a"), nil); err != nil {
			return err
		}
		if err := absent(ctx, b, "a"); err != nil {
			return fmt.Errorf("after %s: %w", what, err)
		}
	}
	if err := holds(ctx, b, "b", []byte("b")); err != nil {
		return err
	}
	if err := put(ctx, b, "a", []byte("again")); err != nil {
		return err
	}
	return holds(ctx, b, "a", []byte("again"))
}

func names(ctx context.Context, b snapshot.Bucket) error {
	all := []string{
		"IDENTITY", "0", "a..b", "a.tmp", "a-_.", strings.Repeat("n", 128),
		"abcdefghijklmnopqrstuvwxyz", "B0123456789-_.",
		"00000000000000ff-0000000000000001-ffffffffffffffff.snap",
	}
	for _, name := range all {
		if err := snapshot.CheckName(name); err != nil {
			return fmt.Errorf("CheckName(%s) = %w", name, err)
		}
		if err := put(ctx, b, name, []byte(name)); err != nil {
			return err
		}
	}
	for _, name := range all {
		if err := holds(ctx, b, name, []byte(name)); err != nil {
			return err
		}
	}
	return nil
}

func cancelled(ctx context.Context, b snapshot.Bucket) error {
	if err := put(ctx, b, "a", []byte("a")); err != nil {
		return err
	}
	p, err := b.Create(ctx, "b")
	if err != nil {
		return fmt.Errorf("Create = %w", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, create := b.Create(done, "c")
	_, open := b.Open(done, "a", 0)
	_, listing := list(done, b)
	if err := errors.Join(
		want("Create", create, context.Canceled), want("Open", open, context.Canceled),
		want("List", listing, context.Canceled), want("Remove", b.Remove(done, "a"), context.Canceled),
		want("Commit", p.Commit(done), context.Canceled), want("Abort", p.Abort(), nil)); err != nil {
		return err
	}
	if err := errors.Join(absent(ctx, b, "b"), absent(ctx, b, "c")); err != nil {
		return err
	}
	return holds(ctx, b, "a", []byte("a"))
}

func closed(ctx context.Context, b snapshot.Bucket) error {
	if err := put(ctx, b, "a", []byte("a")); err != nil {
		return err
	}
	for _, what := range []string{"Close", "second Close"} {
		if err := want(what, b.Close(), nil); err != nil {
			return err
		}
	}
	_, create := b.Create(ctx, "c")
	_, open := b.Open(ctx, "a", 0)
	_, listing := list(ctx, b)
	return errors.Join(
		want("Create", create, fault.ErrClosed), want("Open", open, fault.ErrClosed),
		want("List", listing, fault.ErrClosed), want("Remove", b.Remove(ctx, "a"), fault.ErrClosed))
}

func closePending(ctx context.Context, open Open) error {
	b, err := open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	p, err := b.Create(ctx, "a")
	if err != nil {
		return errors.Join(fmt.Errorf("Create = %w", err), b.Close())
	}
	if _, err := p.Write([]byte("pending")); err != nil {
		return errors.Join(fmt.Errorf("Write = %w", err), b.Close())
	}
	if err := b.Close(); err != nil {
		return fmt.Errorf("Close = %w", err)
	}
	if err := errors.Join(want("Commit after Close", p.Commit(ctx), fault.ErrClosed), want("Abort after Close", p.Abort(), nil)); err != nil {
		return err
	}
	return onBucket(func(ctx context.Context, b snapshot.Bucket) error { return absent(ctx, b, "a") })(ctx, open)
}

func reopen(ctx context.Context, open Open) error {
	b, err := open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if volatile(b) {
		return b.Close()
	}
	err = errors.Join(put(ctx, b, "kept", []byte("kept")), put(ctx, b, "removed", []byte("removed")),
		put(ctx, b, "replaced", []byte("before")), put(ctx, b, "replaced", []byte("after")))
	if err == nil {
		err = want("Remove", b.Remove(ctx, "removed"), nil)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return err
	}
	return onBucket(func(ctx context.Context, b snapshot.Bucket) error {
		return errors.Join(holds(ctx, b, "kept", []byte("kept")), holds(ctx, b, "replaced", []byte("after")), absent(ctx, b, "removed"))
	})(ctx, open)
}

func parallel(ctx context.Context, b snapshot.Bucket) error {
	const workers, rounds = 6, 12
	errs := make(chan error, workers)
	for w := range workers {
		go func() { errs <- work(ctx, b, w, rounds) }()
	}
	var err error
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return err
}

// work replaces an object that all share, and creates, reads and removes one
// of its own.
func work(ctx context.Context, b snapshot.Bucket, w, rounds int) error {
	own, letter := fmt.Sprintf("own-%d", w), []byte{byte('a' + w)}
	for i := range rounds {
		size := 10_000 + 1000*w + i
		if err := errors.Join(put(ctx, b, own, bytes.Repeat(letter, size)), put(ctx, b, "shared", bytes.Repeat(letter, 20_000))); err != nil {
			return err
		}
		if err := holds(ctx, b, own, bytes.Repeat(letter, size)); err != nil {
			return err
		}
		got, err := get(ctx, b, "shared", 0)
		if err != nil {
			return err
		}
		if len(got) != 20_000 || bytes.Count(got, got[:1]) != len(got) {
			return fmt.Errorf("a shared object holds %d bytes of several writers", len(got))
		}
		if err := b.Remove(ctx, own); err != nil {
			return fmt.Errorf("Remove(%s) = %w", own, err)
		}
		if err := absent(ctx, b, own); err != nil {
			return err
		}
	}
	return nil
}
