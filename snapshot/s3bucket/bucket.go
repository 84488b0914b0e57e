package s3bucket

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
	"github.com/trimarandb/trimaran/snapshot"
)

// Bucket is a [snapshot.Bucket] on an S3 server. All methods may be called by
// several goroutines.
type Bucket struct {
	endpoint string // as it was given, for messages
	name     string
	prefix   string // before each name: empty, or with a slash at its end
	o        Options
	client   *minio.Core
	wire     *transport
	calls    gate.Gate
	close    func() error

	sweeping sync.Mutex // one search of leftovers at a time

	mu    sync.Mutex
	open  map[*pending]struct{}
	swept time.Time // when the last search of leftovers began
}

var (
	_ snapshot.Bucket = (*Bucket)(nil)
	_ snapshot.Stater = (*Bucket)(nil)
)

// Open reaches for the bucket and aborts uploads that a crash left behind; that
// they could not be looked for is only logged. The endpoint is https:// or
// http:// and a host. Errors to test for: fault.ErrInvalid, [ErrNoBucket],
// [ErrUnreachable], and fs.ErrPermission, also where there are no credentials.
func Open(ctx context.Context, endpoint, bucket string, o *Options) (*Bucket, error) {
	b, err := newBucket(endpoint, bucket, o)
	if err != nil {
		return nil, fmt.Errorf("open S3 bucket %q: %w", bucket, err)
	}
	if err := b.start(ctx); err != nil {
		b.wire.CloseIdleConnections()
		return nil, fmt.Errorf("open S3 bucket: %w", err)
	}
	return b, nil
}

func newBucket(endpoint, name string, o *Options) (*Bucket, error) {
	if err := CheckBucketName(name); err != nil {
		return nil, err
	}
	host, secure, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	b := &Bucket{endpoint: strings.TrimRight(endpoint, "/"), name: name, open: map[*pending]struct{}{}}
	if b.o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	if b.o.Prefix != "" {
		b.prefix = b.o.Prefix + "/"
	}
	creds, err := b.o.Credentials.provider()
	if err != nil {
		return nil, err
	}
	b.o.Credentials = Credentials{} // the provider has them
	b.wire = newTransport(b.o.TLS, b.o.Timeout)
	b.client, err = minio.NewCore(host, &minio.Options{
		Creds: creds, Secure: secure, Transport: b.wire, Region: b.o.Region,
		BucketLookup: b.o.Addressing.lookup(), MaxRetries: 1, // try does that; the client pauses for up to 0.2 s all the same
	})
	if err != nil {
		return nil, invalid("%v", err)
	}
	b.close = sync.OnceValue(b.shutdown)
	return b, nil
}

// start finds out what would make every later call fail.
func (b *Bucket) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := b.try(ctx, "look into it", func() error {
		_, err := b.page(ctx, 1)
		return err
	})
	if err != nil {
		return err
	}
	b.sweepIfDue(ctx)
	return ctx.Err()
}

// Close aborts what is pending. Calls under way are waited for, which takes as
// long as they try again; readers that are open can be read on.
func (b *Bucket) Close() error { return b.close() }

func (b *Bucket) shutdown() error {
	b.calls.Close()
	// No call is under way and none can begin.
	var err error
	for p := range b.open {
		err = errors.Join(err, p.drop(context.Background()))
	}
	b.wire.CloseIdleConnections()
	return err
}

// enter begins a call, which must end with calls.Leave.
func (b *Bucket) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !b.calls.Enter() {
		return fault.ErrClosed
	}
	return nil
}

// enterFor is enter for a call on one object.
func (b *Bucket) enterFor(ctx context.Context, name string) error {
	if err := snapshot.CheckName(name); err != nil {
		return err
	}
	return b.enter(ctx)
}

func (b *Bucket) key(name string) string { return b.prefix + name }

// Create begins an object. Nothing is sent before there is a part of it. ctx
// governs the writes too.
func (b *Bucket) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	if err := b.enterFor(ctx, name); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	var mark [16]byte
	if _, err := io.ReadFull(b.o.Rand, mark[:]); err != nil {
		return nil, fmt.Errorf("make a mark: %w", err)
	}
	b.sweepIfDue(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &pending{ctx: ctx, b: b, name: name, mark: hex.EncodeToString(mark[:]), landed: make(chan landing, b.o.Parallel)}
	p.flight, p.ground = context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[p] = struct{}{}
	return p, nil
}

// Open reads an object from off. If it is replaced while it is read, the reader
// fails with fault.ErrConflict at the end of what it has asked for, and if it
// is removed, with fault.ErrNotFound.
func (b *Bucket) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if off < 0 {
		return nil, invalid("offset %d", off)
	}
	if err := b.enterFor(ctx, name); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	r := &reader{ctx: ctx, b: b, name: name, begun: off, off: off, size: -1}
	if err := r.ask(firstRange); err != nil {
		return nil, err
	}
	return r, nil
}

// Stat describes one object.
func (b *Bucket) Stat(ctx context.Context, name string) (snapshot.Object, error) {
	if err := b.enterFor(ctx, name); err != nil {
		return snapshot.Object{}, err
	}
	defer b.calls.Leave()
	// A HEAD request would not tell whether it is the object that is missing
	// or the bucket.
	r := &reader{ctx: ctx, b: b, name: name, size: -1}
	if err := r.ask(1); err != nil {
		return snapshot.Object{}, err
	}
	return snapshot.Object{Name: name, Size: r.size}, r.Close()
}

// List yields the objects as they are when it is called, by name.
func (b *Bucket) List(ctx context.Context) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		objects, err := b.list(ctx)
		if err != nil {
			yield(snapshot.Object{}, err)
			return
		}
		for _, o := range objects {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (b *Bucket) list(ctx context.Context) ([]snapshot.Object, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	var objects []snapshot.Object
	err := b.try(ctx, "list", func() (err error) {
		objects, err = b.page(ctx, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(objects, func(x, y snapshot.Object) int { return strings.Compare(x.Name, y.Name) })
	return objects, nil
}

// page lists up to limit objects, all of them where that is 0.
func (b *Bucket) page(ctx context.Context, limit int) (objects []snapshot.Object, err error) {
	for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix, MaxKeys: limit}) {
		if o.Err != nil {
			return nil, o.Err
		}
		// What lies deeper is listed too, as the name of its directory.
		if name, ok := strings.CutPrefix(o.Key, b.prefix); ok && snapshot.CheckName(name) == nil {
			objects = append(objects, snapshot.Object{Name: name, Size: o.Size})
		}
		if limit > 0 {
			break
		}
	}
	return objects, ctx.Err() // the listing ends without a word when it is done
}

// Remove removes an object; readers that are open fail where they ask for more.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	if err := b.enterFor(ctx, name); err != nil {
		return err
	}
	defer b.calls.Leave()
	err := b.try(ctx, "remove "+name, func() error {
		return b.client.RemoveObject(ctx, b.name, b.key(name), minio.RemoveObjectOptions{})
	})
	if errors.Is(err, fault.ErrNotFound) { // most servers do not say
		return nil
	}
	return err
}
