package dirbucket_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/snapshot/membucket"
	"github.com/trimarandb/trimaran/vfs"
)

// store opens a store on a directory whose transfers survive restarts.
func store(t *testing.T, fsys vfs.FS) (s *snapshot.Store, closeAll func()) {
	t.Helper()
	b, err := dirbucket.Open("dir", &dirbucket.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	staging, err := b.Staging()
	if err != nil {
		t.Fatal(err)
	}
	s, err = snapshot.New(b, &snapshot.Options{ChunkSize: 4096, NoMembership: true, Staging: staging})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		t.Helper()
		if err := errors.Join(s.Close(), staging.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func source(t *testing.T) (*snapshot.Store, snapshot.Meta) {
	t.Helper()
	s, err := snapshot.New(membucket.New(nil), &snapshot.Options{ChunkSize: 4096, NoMembership: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w, err := s.Create(t.Context(), snapshot.Info{Index: 10, Term: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 50_000)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(content)
	if _, err := bytes.NewReader(content).WriteTo(w); err != nil {
		t.Fatal(err)
	}
	m, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

func TestStagingSurvivesRestart(t *testing.T) {
	mem := vfs.NewMem()
	src, m := source(t)
	man, err := src.Manifest(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(r *snapshot.Receiver, chunks []int) {
		t.Helper()
		for _, n := range chunks {
			c, err := src.Chunk(t.Context(), m.ID, n)
			if err == nil {
				err = errors.Join(r.Put(n, c), c.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	s, closeAll := store(t, mem)
	r, err := s.Receive(t.Context(), man)
	if err != nil {
		t.Fatal(err)
	}
	need := r.Need()
	half := len(need) / 2
	fetch(r, need[:half])
	closeAll()

	s, closeAll = store(t, mem)
	if _, err := s.Latest(t.Context()); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Latest = %v while half is received, want ErrNotFound", err)
	}
	if r, err = s.Receive(t.Context(), man); err != nil {
		t.Fatal(err)
	}
	if got := r.Need(); half == 0 || !slices.Equal(got, need[half:]) {
		t.Errorf("Need after a restart = %v, want %v", got, need[half:])
	}
	fetch(r, r.Need())
	if got, err := r.Commit(); err != nil || got.Digest != m.Digest {
		t.Errorf("Commit = %+v, %v, want digest %s", got, err, m.Digest)
	}
	closeAll()
	if left := files(t, mem, "dir/.staging"); len(left) > 0 {
		t.Errorf("staging holds %q after Commit, want nothing", left)
	}
}

func TestStagingOfClosedBucket(t *testing.T) {
	b := open(t, vfs.NewMem())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Staging(); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Staging = %v, want ErrClosed", err)
	}
}
