package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// kept is a bucket that outlives the stores on it.
type kept struct{ *membucket.Bucket }

func (kept) Close() error { return nil }

func newKept() kept { return kept{membucket.New(nil)} }

// Unwrap is for As: the bucket below has more abilities.
func (k kept) Unwrap() snapshot.Bucket { return k.Bucket }

func (k kept) put(t testing.TB, name string, b []byte) {
	t.Helper()
	p, err := k.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (k kept) get(t testing.TB, name string) []byte {
	t.Helper()
	r, err := k.Open(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (k kept) names(t testing.TB) (out []string) {
	t.Helper()
	for o, err := range k.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Name)
	}
	return out
}

func object(id snapshot.ID) string { return id.String() + ".snap" }

// open opens a store; after the test everything in it that should be readable
// is verified.
func open(t testing.TB, b snapshot.Bucket, o *snapshot.Options) *snapshot.Store {
	t.Helper()
	var own snapshot.Options
	if o != nil {
		own = *o
	}
	if own.ChunkSize == 0 {
		own.ChunkSize = 4 << 10
	}
	s, err := snapshot.New(b, &own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		verifyAll(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

func verifyAll(t testing.TB, s *snapshot.Store) {
	ctx := context.Background()
	for m, err := range s.All(ctx) {
		if errors.Is(err, fault.ErrClosed) {
			return
		}
		if err != nil || m.Damaged != nil {
			continue
		}
		if _, err := s.Verify(ctx, m.ID, nil); err != nil {
			t.Errorf("Verify(%v) after the test = %v", m.ID, err)
		}
	}
}

func info(index uint64) snapshot.Info {
	return snapshot.Info{Index: index, Term: 3, Membership: []byte("abc"), MembershipIndex: 1, Clock: time.Unix(9, 0).UTC()}
}

func commit(t testing.TB, s *snapshot.Store, index uint64, content []byte, o *snapshot.CreateOptions) snapshot.Meta {
	t.Helper()
	m, err := tryCommit(t.Context(), s, index, content, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryCommit(ctx context.Context, s *snapshot.Store, index uint64, content []byte, o *snapshot.CreateOptions) (snapshot.Meta, error) {
	w, err := s.Create(ctx, info(index), o)
	if err != nil {
		return snapshot.Meta{}, err
	}
	defer w.Close()
	if _, err := w.Write(content); err != nil {
		return snapshot.Meta{}, err
	}
	w.SetEntries(uint64(len(content)))
	return w.Commit()
}

func read(ctx context.Context, s *snapshot.Store, id snapshot.ID) ([]byte, error) {
	r, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func wantRead(t testing.TB, s *snapshot.Store, id snapshot.ID, content []byte) {
	t.Helper()
	if got, err := read(t.Context(), s, id); err != nil || !bytes.Equal(got, content) {
		t.Errorf("reading %v = %d bytes, %v, want %d bytes", id, len(got), err, len(content))
	}
}

func container(t testing.TB, s *snapshot.Store, id snapshot.ID) []byte {
	t.Helper()
	r, err := s.Stream(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func manifest(t testing.TB, s *snapshot.Store, id snapshot.ID) snapshot.Manifest {
	t.Helper()
	m, err := s.Manifest(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func chunk(t testing.TB, s *snapshot.Store, id snapshot.ID, n int) []byte {
	t.Helper()
	r, err := s.Chunk(t.Context(), id, n)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ids(t testing.TB, s *snapshot.Store) (out []uint64) {
	t.Helper()
	for m, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Index)
	}
	return out
}

// noise is bytes that nothing compresses; text is some that everything does.
func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func text(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 8))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "key-%04d=%x;", rng.IntN(10_000), rng.Uint32()%16)
	}
	return b[:n:n]
}

// counter is a source of randomness without any.
type counter struct {
	mu sync.Mutex
	n  byte
}

func (c *counter) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

func fixed() time.Time { return time.Unix(1_700_000_000, 123_456_789) }

// golden compares b with a file, or writes the file.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("%s: %d bytes differ from the %d of the golden file: the format is frozen", name, len(b), len(want))
	}
}

// flaky is a bucket in which the n-th call fails, counting from 1, or all of
// one kind.
type flaky struct {
	kept
	mu     sync.Mutex
	n      int
	refuse string
	calls  []string
	err    error
}

func (f *flaky) ask(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	if len(f.calls) == f.n || call == f.refuse {
		return f.err
	}
	return nil
}

func (f *flaky) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	if err := f.ask("create"); err != nil {
		return nil, err
	}
	p, err := f.kept.Create(ctx, name)
	return flakyPending{p, f}, err
}

func (f *flaky) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if err := f.ask("open"); err != nil {
		return nil, err
	}
	r, err := f.kept.Open(ctx, name, off)
	if err != nil {
		return nil, err
	}
	return flakyReader{r, f}, nil
}

func (f *flaky) Stat(ctx context.Context, name string) (snapshot.Object, error) {
	if err := f.ask("stat"); err != nil {
		return snapshot.Object{}, err
	}
	return f.kept.Stat(ctx, name)
}

func (f *flaky) List(ctx context.Context) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		if err := f.ask("list"); err != nil {
			yield(snapshot.Object{}, err)
			return
		}
		f.kept.List(ctx)(yield)
	}
}

func (f *flaky) Remove(ctx context.Context, name string) error {
	if err := f.ask("remove"); err != nil {
		return err
	}
	return f.kept.Remove(ctx, name)
}

type flakyPending struct {
	snapshot.Pending
	f *flaky
}

func (p flakyPending) Write(b []byte) (int, error) {
	if err := p.f.ask("write"); err != nil {
		return 0, err
	}
	return p.Pending.Write(b)
}

func (p flakyPending) Commit(ctx context.Context) error {
	if err := p.f.ask("commit"); err != nil {
		return err
	}
	return p.Pending.Commit(ctx)
}

type flakyReader struct {
	io.ReadCloser
	f *flaky
}

func (r flakyReader) Read(p []byte) (int, error) {
	if err := r.f.ask("read"); err != nil {
		return 0, err
	}
	return r.ReadCloser.Read(p)
}
