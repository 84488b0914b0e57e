package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// BucketCases returns the rules of [snapshot.Bucket].
func BucketCases() []Case {
	return []Case{
		{"Bucket/ReadBack", "what was written is read back, from every offset", onBucket(readBack)},
		{"Bucket/Large", "an object of any size comes back whole, whatever the lengths of writes and reads", onBucket(large)},
		{"Bucket/Empty", "an object may be empty", onBucket(empty)},
		{"Bucket/Missing", "an object that is not there is ErrNotFound, a negative offset ErrInvalid", onBucket(missing)},
		{"Bucket/Pending", "an object is neither listed nor found before its Commit returned", onBucket(pendingIsInvisible)},
		{"Bucket/Abort", "an aborted object never appears, and leaves what has its name alone", onBucket(abortLeavesNothing)},
		{"Bucket/Commit", "a committed object is finished: a second Commit and a Write are ErrClosed, Abort does nothing", onBucket(commitOnce)},
		{"Bucket/Replace", "Commit replaces an older object as a whole, and of several pending ones the last to commit stays", onBucket(replace)},
		{"Bucket/OpenReader", "a reader whose object was replaced or removed reads the old bytes to their end or fails", onBucket(readerKeepsOld)},
		{"Bucket/List", "every committed object is listed once with its exact size", onBucket(listAll)},
		{"Bucket/ListStop", "a listing can be left early, and the bucket used inside it", onBucket(listStop)},
		{"Bucket/Remove", "a removed object is gone, others stay, and removing nothing is no error", onBucket(remove)},
		{"Bucket/Names", "every name that CheckName allows can be used", onBucket(names)},
		{"Bucket/Cancel", "a call whose context is done fails with its error and changes nothing", onBucket(cancelled)},
		{"Bucket/Closed", "after Close every call is ErrClosed, and a second Close is no error", onBucket(closed)},
		{"Bucket/ClosePending", "Close gives up what is pending", closePending},
		{"Bucket/Reopen", "a closed bucket opens again with what was committed and nothing else", reopen},
		{"Bucket/Parallel", "calls may run in parallel: each sees whole objects", onBucket(parallel)},
	}
}

func put(ctx context.Context, b snapshot.Bucket, name string, content []byte) error {
	p, err := b.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("Create(%s) = %w", name, err)
	}
	if n, err := p.Write(content); err != nil || n != len(content) {
		return errors.Join(fmt.Errorf("Write(%d bytes) = %d, %v", len(content), n, err), p.Abort())
	}
	if err := p.Commit(ctx); err != nil {
		return errors.Join(fmt.Errorf("Commit(%s) = %w", name, err), p.Abort())
	}
	return nil
}

func get(ctx context.Context, b snapshot.Bucket, name string, off int64) (_ []byte, err error) {
	r, err := b.Open(ctx, name, off)
	if err != nil {
		return nil, fmt.Errorf("Open(%s, %d) = %w", name, off, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s from %d: %w", name, off, err)
	}
	return content, nil
}

// holds returns an error unless the object has that content and size.
func holds(ctx context.Context, b snapshot.Bucket, name string, content []byte) error {
	got, err := get(ctx, b, name, 0)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, content) {
		return fmt.Errorf("%s holds %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(content), content)
	}
	sizes, err := list(ctx, b)
	if err != nil {
		return err
	}
	if size, ok := sizes[name]; !ok || size != int64(len(content)) {
		return fmt.Errorf("List has %s with %d bytes (listed: %v), want %d", name, size, ok, len(content))
	}
	return nil
}

// absent returns an error unless the object is not there.
func absent(ctx context.Context, b snapshot.Bucket, name string) error {
	if r, err := b.Open(ctx, name, 0); !errors.Is(err, fault.ErrNotFound) {
		if err == nil {
			err = r.Close()
		}
		return fmt.Errorf("Open(%s) = %v, want ErrNotFound", name, err)
	}
	sizes, err := list(ctx, b)
	if err != nil {
		return err
	}
	if size, ok := sizes[name]; ok {
		return fmt.Errorf("List has %s with %d bytes, want it not listed", name, size)
	}
	return nil
}

func list(ctx context.Context, b snapshot.Bucket) (map[string]int64, error) {
	sizes := map[string]int64{}
	for o, err := range b.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("List = %w", err)
		}
		if _, twice := sizes[o.Name]; twice {
			return nil, fmt.Errorf("List has %s twice", o.Name)
		}
		sizes[o.Name] = o.Size
	}
	return sizes, nil
}
