package httptransfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// ClientOptions tune a Client. Nil and zero fields mean the defaults.
type ClientOptions struct {
	// HTTP makes the requests. Default: http.DefaultClient.
	HTTP *http.Client
	// Parallel is how many chunks are fetched at once. Default 4.
	Parallel int
	// Patience is how long requests may fail without a byte in between before a
	// fetch gives up. Default 2 minutes.
	Patience time.Duration
	// Stall is how long nothing may arrive before the request is made again.
	// Default 30 seconds.
	Stall time.Duration
	// Wait pauses between tries and returns the context's error if that ends
	// first. Default: a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the clock behind Patience. Default time.Now.
	Now func() time.Time
}

// Client fetches snapshots from a Handler. It may be used by several goroutines.
type Client struct {
	o    ClientOptions
	base string
}

// NewClient returns a client of the Handler at a URL. fault.ErrInvalid: it is
// none.
func NewClient(base string, o *ClientOptions) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("fetch snapshots from %q: want http://host:port or https://host:port: %w", base, fault.ErrInvalid)
	}
	return &Client{o: o.withDefaults(), base: strings.TrimSuffix(base, "/")}, nil
}

func (o *ClientOptions) withDefaults() ClientOptions {
	var out ClientOptions
	if o != nil {
		out = *o
	}
	if out.HTTP == nil {
		out.HTTP = http.DefaultClient
	}
	if out.Parallel <= 0 {
		out.Parallel = 4
	}
	if out.Patience <= 0 {
		out.Patience = 2 * time.Minute
	}
	if out.Stall <= 0 {
		out.Stall = 30 * time.Second
	}
	if out.Wait == nil {
		out.Wait = wait
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	return out
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Bounds for answers that have to be held as a whole, in bytes.
const (
	maxList     = 16 << 20
	maxManifest = 1 << 30 // 48 bytes a chunk: more than 20 TB of snapshot
)

// List returns the snapshots of the source, newest first.
func (c *Client) List(ctx context.Context) ([]Listed, error) {
	b, _, err := c.get(ctx, "/snapshots", maxList)
	var all []Listed
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return all, nil
}

// get returns a whole answer.
func (c *Client) get(ctx context.Context, path string, limit int64) ([]byte, http.Header, error) {
	body := c.open(ctx, path)
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("GET %s: over %d bytes: %w", path, limit, fault.ErrInvalid)
	}
	return b, body.header, err
}

// Fetch fetches a snapshot into a store and publishes it there, durably, under
// an id of the store's own. The zero id means the newest that the source has.
// Only chunks that neither the store's snapshots nor its staging hold are
// transferred; progress is told the bytes of these. When it fails, what arrived
// is kept: the next Fetch of the same snapshot goes on from there.
//
// fault.ErrNotFound: the source does not have it, any more perhaps.
// fault.ErrConflict: it is being fetched already. *fault.Corruption: the source
// sent what is not the snapshot.
func (c *Client) Fetch(ctx context.Context, into *snapshot.Store, id snapshot.ID, progress snapshot.Progress) (snapshot.Meta, error) {
	meta, err := c.fetch(ctx, into, id, progress)
	if err != nil {
		return meta, fmt.Errorf("fetch snapshot: %w", err)
	}
	return meta, nil
}

func (c *Client) fetch(ctx context.Context, into *snapshot.Store, id snapshot.ID, progress snapshot.Progress) (meta snapshot.Meta, err error) {
	name := "latest"
	if !id.IsZero() {
		name = id.String()
	}
	b, header, err := c.get(ctx, "/snapshots/"+name+"/manifest", maxManifest)
	if err != nil {
		return meta, err
	}
	var m snapshot.Manifest
	if err := m.UnmarshalBinary(b); err != nil {
		return meta, err
	}
	if name == "latest" {
		name = header.Get(headerID)
	}
	if _, err := snapshot.ParseID(name); err != nil {
		return meta, fmt.Errorf("the source calls its newest %q: %w", name, err)
	}
	r, err := into.Receive(ctx, m)
	if err != nil {
		return meta, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f := &fetching{c: c, r: r, m: m, path: "/snapshots/" + name + "/chunks/", progress: progress}
	for try := 0; ; try++ {
		if err := f.chunks(ctx, r.Need()); err != nil {
			return meta, err
		}
		meta, err = r.Commit()
		// What was staged or held may turn out to be damaged: it is needed again.
		if err == nil || try == 1 || len(r.Need()) == 0 {
			return meta, err
		}
	}
}

// fetching is one Fetch under way.
type fetching struct {
	c        *Client
	r        *snapshot.Receiver
	m        snapshot.Manifest
	path     string
	progress snapshot.Progress

	mu          sync.Mutex
	done, total int64
}

// chunks fetches those that are needed, several at once; the first failure ends
// all.
func (f *fetching) chunks(ctx context.Context, need []int) error {
	for _, n := range need {
		f.total += int64(f.m.Chunks[n].StoredSize)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	todo := make(chan int)
	var workers sync.WaitGroup
	for range min(f.c.o.Parallel, len(need)) {
		workers.Go(func() {
			for n := range todo {
				if err := f.chunk(ctx, n); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, n := range need {
		select {
		case todo <- n:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(todo)
	workers.Wait()
	return context.Cause(ctx)
}

func (f *fetching) chunk(ctx context.Context, n int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	body := f.c.open(ctx, fmt.Sprintf("%s%d", f.path, n))
	defer body.Close()
	err := f.r.Put(n, body)
	if body.err != nil && !errors.Is(body.err, io.EOF) {
		return body.err // Put saw its effect only
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done += int64(f.m.Chunks[n].StoredSize)
	if f.progress != nil {
		f.progress(f.done, f.total)
	}
	return nil
}
