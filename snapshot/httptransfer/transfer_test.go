package httptransfer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/httptransfer"
	"github.com/trimarandb/trimaran/snapshot/membucket"
	"github.com/trimarandb/trimaran/vfs"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept is a bucket that outlives the stores on it.
type kept struct{ *membucket.Bucket }

func (kept) Close() error { return nil }

func newStore(t *testing.T, b snapshot.Bucket, staging vfs.FS) *snapshot.Store {
	t.Helper()
	s, err := snapshot.New(b, &snapshot.Options{ChunkSize: 16 << 10, NoMembership: true, Staging: staging})
	ok(t, err)
	t.Cleanup(func() { ok(t, s.Close()) })
	return s
}

func noise(seed uint64, n int) []byte {
	rng, b := rand.NewChaCha8([32]byte{byte(seed)}), make([]byte, n)
	_, _ = rng.Read(b) // never fails
	return b
}

func create(t *testing.T, s *snapshot.Store, index uint64, payload []byte) snapshot.Meta {
	t.Helper()
	w, err := s.Create(t.Context(), snapshot.Info{Index: index, Term: 1}, nil)
	ok(t, err)
	defer w.Close()
	_, err = w.Write(payload)
	ok(t, err)
	m, err := w.Commit()
	ok(t, err)
	return m
}

func payload(t *testing.T, s *snapshot.Store, id snapshot.ID) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), id)
	ok(t, err)
	b, err := io.ReadAll(r)
	ok(t, errors.Join(err, r.Close()))
	return b
}

// source is a store behind a server that counts what it sends, and may do
// something else instead.
type source struct {
	*snapshot.Store
	url   string
	sent  atomic.Int64 // bytes of chunks
	asked atomic.Int64 // for chunks
	mu    sync.Mutex
	odd   func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

func serve(t *testing.T) *source {
	t.Helper()
	src := &source{Store: newStore(t, membucket.New(nil), nil)}
	h := httptransfer.NewHandler(src.Store, nil)
	t.Cleanup(func() { ok(t, h.Close()) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := strings.Contains(r.URL.Path, "/chunks/")
		if chunk {
			src.asked.Add(1)
			w = &counted{w, &src.sent}
		}
		src.mu.Lock()
		odd := src.odd
		src.mu.Unlock()
		if odd != nil && chunk {
			odd(w, r, h)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	src.url = server.URL
	return src
}

type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// hasty is a client that does not wait.
func hasty(t *testing.T, url string) *httptransfer.Client {
	t.Helper()
	c, err := httptransfer.NewClient(url, &httptransfer.ClientOptions{
		Patience: time.Minute,
		Wait:     func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	ok(t, err)
	return c
}

func TestFetchNewest(t *testing.T) {
	src := serve(t)
	create(t, src.Store, 1, noise(1, 100<<10))
	want := create(t, src.Store, 2, noise(2, 300<<10))
	into := newStore(t, membucket.New(nil), nil)
	var done, total int64
	c := hasty(t, src.url)
	got, err := c.Fetch(t.Context(), into, snapshot.ID{}, func(d, n int64) { done, total = d, n })
	ok(t, err)
	if got.Index != 2 || got.Digest != want.Digest {
		t.Errorf("fetched %+v, want %+v", got, want)
	}
	if !bytes.Equal(payload(t, into, got.ID), noise(2, 300<<10)) {
		t.Error("the payload is not what was sent")
	}
	if done != total || total < 300<<10 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	all, err := c.List(t.Context())
	ok(t, err)
	if len(all) != 2 || all[0].ID != want.ID || all[0].Digest != want.Digest {
		t.Errorf("List = %+v", all)
	}
}

func TestFetchCostsTheChange(t *testing.T) {
	src := serve(t)
	old := noise(3, 2<<20)
	first := create(t, src.Store, 1, old)
	into := newStore(t, membucket.New(nil), nil)
	c := hasty(t, src.url)
	_, err := c.Fetch(t.Context(), into, first.ID, nil)
	ok(t, err)
	src.sent.Store(0)
	changed := append(append(append([]byte(nil), old[:1<<20]...), noise(4, 5000)...), old[1<<20:]...)
	second := create(t, src.Store, 2, changed)
	m, err := c.Fetch(t.Context(), into, second.ID, nil)
	ok(t, err)
	if !bytes.Equal(payload(t, into, m.ID), changed) {
		t.Error("the payload is not what was sent")
	}
	if sent := src.sent.Load(); sent > 10*16<<10 {
		t.Errorf("%d bytes were sent for an insertion of 5000", sent)
	}
}

// Each connection breaks after some bytes of a chunk: the rest is asked for.
func TestBrokenConnections(t *testing.T) {
	src := serve(t)
	want := noise(5, 400<<10)
	create(t, src.Store, 1, want)
	src.odd = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&breaking{ResponseWriter: w, left: 5000}, r)
	}
	into := newStore(t, membucket.New(nil), nil)
	m, err := hasty(t, src.url).Fetch(t.Context(), into, snapshot.ID{}, nil)
	ok(t, err)
	if !bytes.Equal(payload(t, into, m.ID), want) {
		t.Error("the payload is not what was sent")
	}
	if sent := src.sent.Load(); sent > int64(len(want))*5/4 {
		t.Errorf("%d bytes were sent for %d: chunks began anew", sent, len(want))
	}
}

// breaking drops the connection after left bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	n, err := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 {
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// The server fails for a while and comes back.
func TestServerComesBack(t *testing.T) {
	src := serve(t)
	want := noise(6, 300<<10)
	create(t, src.Store, 1, want)
	var n atomic.Int64
	src.odd = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if k := n.Add(1); k > 4 && k < 20 {
			http.Error(w, "restarting", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	}
	into := newStore(t, membucket.New(nil), nil)
	m, err := hasty(t, src.url).Fetch(t.Context(), into, snapshot.ID{}, nil)
	ok(t, err)
	if !bytes.Equal(payload(t, into, m.ID), want) {
		t.Error("the payload is not what was sent")
	}
}

// The receiving process ends in the middle; the next one fetches the rest.
func TestReceiverComesBack(t *testing.T) {
	src := serve(t)
	want := noise(7, 500<<10)
	create(t, src.Store, 1, want)
	bucket, staging := kept{membucket.New(nil)}, vfs.NewMem()
	ctx, stop := context.WithCancel(t.Context())
	src.odd = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if src.asked.Load() > 12 {
			stop()
		}
		next.ServeHTTP(w, r)
	}
	_, err := hasty(t, src.url).Fetch(ctx, newStore(t, bucket, staging), snapshot.ID{}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Fetch = %v, want context.Canceled", err)
	}
	before := src.asked.Load()
	src.mu.Lock()
	src.odd = nil
	src.mu.Unlock()
	into := newStore(t, bucket, staging)
	m, err := hasty(t, src.url).Fetch(t.Context(), into, snapshot.ID{}, nil)
	ok(t, err)
	if !bytes.Equal(payload(t, into, m.ID), want) {
		t.Error("the payload is not what was sent")
	}
	manifest, err := src.Manifest(t.Context(), snapshotOf(t, src))
	ok(t, err)
	if again := src.asked.Load() - before; again > int64(len(manifest.Chunks))-8 {
		t.Errorf("%d of %d chunks were fetched again", again, len(manifest.Chunks))
	}
}

func snapshotOf(t *testing.T, src *source) snapshot.ID {
	t.Helper()
	m, err := src.Latest(t.Context())
	ok(t, err)
	return m.ID
}

func TestPatienceEnds(t *testing.T) {
	src := serve(t)
	create(t, src.Store, 1, noise(8, 100<<10))
	src.odd = func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "no", http.StatusBadGateway)
	}
	var mu sync.Mutex
	now := time.Unix(0, 0)
	c, err := httptransfer.NewClient(src.url, &httptransfer.ClientOptions{
		Wait: func(_ context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(d)
			return nil
		},
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		},
	})
	ok(t, err)
	_, err = c.Fetch(t.Context(), newStore(t, membucket.New(nil), nil), snapshot.ID{}, nil)
	if err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("Fetch = %v, want the 502", err)
	}
}

// A source that sends something else is found out before anything is published.
func TestWrongBytes(t *testing.T) {
	src := serve(t)
	create(t, src.Store, 1, noise(9, 100<<10))
	for name, spoil := range map[string]func([]byte) []byte{
		"flipped":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"longer":   func(b []byte) []byte { return append(b, 0) },
		"shorter":  func(b []byte) []byte { return b[:len(b)-1] },
		"endless":  func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) },
		"emptied":  func([]byte) []byte { return nil },
		"reversed": func(b []byte) []byte { b[0], b[len(b)-1] = b[len(b)-1], b[0]+1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			src.mu.Lock()
			src.odd = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				_, _ = w.Write(spoil(rec.Body.Bytes()))
			}
			src.mu.Unlock()
			into := newStore(t, membucket.New(nil), nil)
			_, err := hasty(t, src.url).Fetch(t.Context(), into, snapshot.ID{}, nil)
			if !errors.Is(err, fault.ErrCorrupt) {
				t.Errorf("Fetch = %v, want damage", err)
			}
			if _, err := into.Latest(t.Context()); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("Latest = %v, want fault.ErrNotFound", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	src := serve(t)
	into := newStore(t, membucket.New(nil), nil)
	if _, err := hasty(t, src.url).Fetch(t.Context(), into, snapshot.ID{}, nil); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("fetch from an empty store = %v, want fault.ErrNotFound", err)
	}
	m := create(t, src.Store, 1, noise(10, 1000))
	for path, code := range map[string]int{
		"/snapshots/nonsense/manifest":                        http.StatusBadRequest,
		"/snapshots/..%2f..%2fetc/manifest":                   http.StatusBadRequest,
		"/snapshots/" + m.ID.String() + "/chunks/x":           http.StatusBadRequest,
		"/snapshots/" + m.ID.String() + "/chunks/99":          http.StatusBadRequest,
		"/snapshots/" + m.ID.String() + "/chunks/-1":          http.StatusBadRequest,
		"/snapshots/" + m.ID.String() + "0/manifest":          http.StatusBadRequest,
		"/snapshots/" + m.ID.String() + "/manifest":           http.StatusOK,
		"/snapshots/" + m.ID.String():                         http.StatusNotFound,
		"/snapshots/latest/chunks/0":                          http.StatusOK,
		"/snapshots/latest/manifest":                          http.StatusOK,
		"/snapshots/" + strings.Repeat("9", 64) + "/manifest": http.StatusBadRequest,
	} {
		resp, err := http.Get(src.url + path)
		ok(t, err)
		ok(t, resp.Body.Close())
		if resp.StatusCode != code {
			t.Errorf("GET %s = %d, want %d", path, resp.StatusCode, code)
		}
	}
	for _, url := range []string{"", "localhost:80", "ftp://x", "http://"} {
		if _, err := httptransfer.NewClient(url, nil); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("NewClient(%q) = %v, want fault.ErrInvalid", url, err)
		}
	}
}

// What is being fetched is not removed under the reader, until the hold ends.
func TestHeldWhileFetched(t *testing.T) {
	s := newStore(t, membucket.New(nil), nil)
	old := create(t, s, 1, noise(11, 1000))
	h := httptransfer.NewHandler(s, nil)
	server := httptest.NewServer(h)
	defer server.Close()
	resp, err := http.Get(server.URL + "/snapshots/latest/manifest")
	ok(t, err)
	ok(t, resp.Body.Close())
	create(t, s, 2, noise(12, 1000))
	if removed, err := s.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}); err != nil || len(removed) != 0 {
		t.Errorf("Prune = %v, %v while %v is fetched, want nothing removed", removed, err, old.ID)
	}
	ok(t, h.Close())
	ok(t, h.Close())
	if removed, err := s.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}); err != nil || len(removed) != 1 {
		t.Errorf("Prune = %v, %v after Close, want one removed", removed, err)
	}
	resp, err = http.Get(server.URL + "/snapshots/latest/manifest")
	ok(t, err)
	ok(t, resp.Body.Close())
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a closed handler answers %d, want 503", resp.StatusCode)
	}
}

// A server that accepts a request and says nothing is asked again.
func TestStall(t *testing.T) {
	src := serve(t)
	want := noise(13, 100<<10)
	create(t, src.Store, 1, want)
	var n atomic.Int64
	src.odd = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n.Add(1)%3 == 0 {
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	}
	c, err := httptransfer.NewClient(src.url, &httptransfer.ClientOptions{
		Stall: 50 * time.Millisecond,
		Wait:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	ok(t, err)
	into := newStore(t, membucket.New(nil), nil)
	m, err := c.Fetch(t.Context(), into, snapshot.ID{}, nil)
	ok(t, err)
	if !bytes.Equal(payload(t, into, m.ID), want) {
		t.Error("the payload is not what was sent")
	}
}
