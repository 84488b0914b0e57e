package s3bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/vfs"
)

func store(t *testing.T, b snapshot.Bucket, o snapshot.Options) *snapshot.Store {
	t.Helper()
	o.NoMembership = true
	s, err := snapshot.New(b, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for m, err := range s.All(context.WithoutCancel(t.Context())) {
			if err != nil || m.Damaged != nil {
				t.Errorf("snapshot %v: %v, %v", m.ID, err, m.Damaged)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func publish(t *testing.T, s *snapshot.Store, index uint64, content []byte) snapshot.Meta {
	t.Helper()
	w, err := s.Create(t.Context(), snapshot.Info{Index: index, Term: 1}, &snapshot.CreateOptions{Codec: snapshot.CodecNone})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for piece := range slices.Chunk(content, 100_000) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func indexes(t *testing.T, s *snapshot.Store) (all []uint64) {
	t.Helper()
	for m, err := range s.All(t.Context()) {
		if err != nil || m.Damaged != nil {
			t.Fatal(err, m.Damaged)
		}
		all = append(all, m.Index)
	}
	return all
}

// A store on a real server does what a store does: snapshots of several parts
// are published, read, verified and pruned, and survive the store.
func TestStore(t *testing.T) {
	g := startGateway(t)
	keep := snapshot.Options{Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 3}}
	s := store(t, g.open(options("node-1")), keep)
	other := store(t, g.open(options("node-2")), keep)
	content := noise(13 << 20)
	publish(t, other, 77, content[:100])
	var metas []snapshot.Meta
	for i := range uint64(5) {
		content[i] ^= 1
		metas = append(metas, publish(t, s, 10*(i+1), content))
	}
	if got := indexes(t, s); !slices.Equal(got, []uint64{50, 40, 30}) {
		t.Errorf("snapshots %v are kept, want 50, 40 and 30", got)
	}
	if got := indexes(t, other); !slices.Equal(got, []uint64{77}) {
		t.Errorf("the other node has snapshots %v, want its own", got)
	}
	latest, err := s.Latest(t.Context())
	if err != nil || latest.ID != metas[4].ID || latest.Digest != metas[4].Digest {
		t.Errorf("Latest = %+v, %v, want %+v", latest, err, metas[4])
	}
	again := store(t, g.open(options("node-1")), keep) // as after a restart
	r, err := again.Open(t.Context(), latest.ID)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v, want the %d that were written", len(got), err, len(content))
	}
	report, err := again.Verify(t.Context(), latest.ID, nil)
	if err != nil || report.Bytes != int64(len(content)) || report.Faults != 0 {
		t.Errorf("Verify = %+v, %v", report, err)
	}
	gone, err := again.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	if err != nil || len(gone) != 2 {
		t.Errorf("Prune removed %d, %v, want 2", len(gone), err)
	}
	if _, err := again.Open(t.Context(), metas[2].ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Open of what was pruned = %v, want ErrNotFound", err)
	}
	if got := indexes(t, again); !slices.Equal(got, []uint64{50}) {
		t.Errorf("snapshots %v are left, want 50", got)
	}
	if keys := g.uploads(); len(keys) > 0 {
		t.Errorf("uploads %v are left, want none", keys)
	}
}

// Damage in the bucket is found out, as anywhere.
func TestStoreDamaged(t *testing.T) {
	f := newFake(t)
	s, err := snapshot.New(f.open(f.options()), &snapshot.Options{NoMembership: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := publish(t, s, 5, noise(100_000))
	f.mu.Lock()
	for key, o := range f.objects {
		if strings.Contains(key, m.ID.String()) {
			o.content[len(o.content)/2] ^= 1
		}
	}
	f.mu.Unlock()
	if report, err := s.Verify(t.Context(), m.ID, nil); !errors.Is(err, fault.ErrCorrupt) || report.Faults == 0 {
		t.Errorf("Verify = %+v, %v, want ErrCorrupt", report, err)
	}
}

// transfer brings a snapshot from one store to another, chunk by chunk, and
// returns how many chunks came.
func transfer(t *testing.T, from, to *snapshot.Store, id snapshot.ID) int {
	t.Helper()
	man, err := from.Manifest(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := to.Receive(t.Context(), man)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	need := r.Need()
	for _, n := range need {
		c, err := from.Chunk(t.Context(), id, n)
		if err == nil {
			err = errors.Join(r.Put(n, c), c.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := r.Commit()
	if err != nil || m.ID.Index != id.Index {
		t.Fatalf("Commit = %+v, %v", m, err)
	}
	return len(need)
}

// A transfer takes chunks out of a bucket and puts them into one, and fetches
// only what the other side lacks.
func TestTransfer(t *testing.T) {
	g := startGateway(t)
	staging, err := vfs.At(nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = staging.Close() })
	s3 := store(t, g.open(options("node-1")), snapshot.Options{Staging: staging})
	disk, err := dirbucket.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	local := store(t, disk, snapshot.Options{})
	back := store(t, g.open(options("node-2")), snapshot.Options{})

	content := noise(13 << 20)
	first := publish(t, s3, 10, content)
	if n := transfer(t, s3, local, first.ID); n < 5 {
		t.Errorf("%d chunks came, want all", n)
	}
	content[6<<20] ^= 1
	second := publish(t, local, 20, content)
	if n := transfer(t, local, s3, second.ID); n > 2 {
		t.Errorf("%d chunks came for one changed byte, want at most 2", n)
	}
	latest, err := s3.Latest(t.Context())
	if err != nil || latest.Digest != second.Digest {
		t.Errorf("Latest = %+v, %v, want what was sent", latest, err)
	}
	transfer(t, s3, back, latest.ID)
	if report, err := back.Verify(t.Context(), newest(t, back), nil); err != nil || report.Bytes != int64(len(content)) {
		t.Errorf("Verify = %+v, %v", report, err)
	}
}

func newest(t *testing.T, s *snapshot.Store) snapshot.ID {
	t.Helper()
	m, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// Whatever its size, an object costs three parts of memory while it is written:
// two that are sent and one that is filled.
func TestMemory(t *testing.T) {
	g := startGateway(t)
	b := g.open(options("a"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := b.Create(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	piece := noise(1 << 20)
	for range 64 {
		if _, err := p.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// What was allocated in all, so that no collection hides any of it.
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(32<<20); got > most {
		t.Errorf("writing 64 MiB allocated %d MiB in all, want at most %d", got>>20, most>>20)
	}
	if _, sizes := listed(t, b); !slices.Equal(sizes, []int64{64 << 20}) {
		t.Errorf("List has sizes %v, want 64 MiB", sizes)
	}
}

// A small object costs what it holds, not a part.
func TestMemoryOfSmallObjects(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.PartSize = 64 << 20
	b := f.open(o)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if err := upload(t.Context(), b, "x", []byte("small")); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("writing 50 bytes allocated %d MiB", got>>20)
	}
}

// A clock that is far behind does not make an upload a leftover.
func TestClockBehind(t *testing.T) {
	f := newFake(t)
	f.leave("a/young", 0)
	o := f.options()
	o.Now = func() time.Time { return f.clock().Add(-10 * 365 * 24 * time.Hour) }
	f.open(o)
	if len(f.left()) != 1 {
		t.Errorf("uploads left: %q, want the young one", f.left())
	}
}
