package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
)

// TestWorkers writes the same with any number of workers: the same bytes come
// out, and any number of workers reads them.
func TestWorkers(t *testing.T) {
	content := append(text(1, 300_000), noise(2, 100_000)...)
	for _, codec := range codecs {
		var want []byte
		for _, workers := range []int{1, 2, 3, 7} {
			b := newKept()
			s := open(t, b, &snapshot.Options{Now: fixed, Rand: &counter{}, Workers: workers})
			m := commit(t, s, 7, content, &snapshot.CreateOptions{Codec: codec})
			whole := b.get(t, object(m.ID))
			if want == nil {
				want = whole
			}
			if !bytes.Equal(whole, want) {
				t.Errorf("%v: %d workers write other bytes than one", codec, workers)
			}
			wantRead(t, s, m.ID, content)
			if r, err := s.Verify(t.Context(), m.ID, nil); err != nil || r.Bytes != int64(len(content)) {
				t.Errorf("%v, %d workers: Verify = %d bytes, %v", codec, workers, r.Bytes, err)
			}
			if _, err := s.Install(t.Context(), bytes.NewReader(whole), nil); err != nil {
				t.Errorf("%v, %d workers: Install = %v", codec, workers, err)
			}
		}
	}
}

func TestNegativeWorkers(t *testing.T) {
	if _, err := snapshot.New(newKept(), &snapshot.Options{Workers: -1}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("New = %v, want ErrInvalid", err)
	}
	s := open(t, newKept(), nil)
	if _, err := s.Create(t.Context(), info(7), &snapshot.CreateOptions{Workers: -1}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Create = %v, want ErrInvalid", err)
	}
}

// TestWorkersAndDamage damages each chunk in turn: all before it is handed out,
// and nothing else.
func TestWorkersAndDamage(t *testing.T) {
	b := newKept()
	s := open(t, b, &snapshot.Options{Workers: 3})
	content := noise(1, 200_000)
	m := commit(t, s, 7, content, nil)
	whole, man := b.get(t, object(m.ID)), manifest(t, s, m.ID)
	if len(man.Chunks) < 10 {
		t.Fatalf("%d chunks, want more than workers hold", len(man.Chunks))
	}
	before := 0
	for n, c := range man.Chunks {
		d := bytes.Clone(whole)
		d[c.Offset+30] ^= 1
		b.put(t, object(m.ID), d)
		if got, err := read(t.Context(), s, m.ID); !errors.Is(err, fault.ErrCorrupt) || !bytes.Equal(got, content[:before]) {
			t.Errorf("chunk %d is damaged: %d bytes, %v, want %d bytes and damage", n, len(got), err, before)
		}
		if r, err := s.Verify(t.Context(), m.ID, nil); !errors.Is(err, fault.ErrCorrupt) || r.Faults != 1 || r.Chunks != int64(len(man.Chunks)-1) {
			t.Errorf("chunk %d is damaged: Verify = %+v, %v, want one fault", n, r, err)
		}
		before += c.Size
	}
	b.put(t, object(m.ID), whole)
}

// failing is a bucket whose objects refuse to grow beyond a size.
type failing struct {
	snapshot.Bucket
	room int
}

func (b failing) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	p, err := b.Bucket.Create(ctx, name)
	return &failingPending{p, b.room}, err
}

type failingPending struct {
	snapshot.Pending
	room int
}

var errRoom = errors.New("no room")

func (p *failingPending) Write(b []byte) (int, error) {
	if p.room -= len(b); p.room < 0 {
		return 0, errRoom
	}
	return p.Pending.Write(b)
}

// TestNoGoroutineStays ends handles in the middle of their work in all the ways
// there are; the bubble fails if a goroutine outlives them.
func TestNoGoroutineStays(t *testing.T) {
	content := text(1, 400_000)
	for name, end := range map[string]func(*testing.T, *snapshot.Store, context.CancelFunc, *snapshot.Writer) error{
		"closed": func(_ *testing.T, _ *snapshot.Store, _ context.CancelFunc, w *snapshot.Writer) error {
			return w.Close()
		},
		"store": func(_ *testing.T, s *snapshot.Store, _ context.CancelFunc, _ *snapshot.Writer) error {
			return s.Close()
		},
		"canceled": writeCanceled,
		"read":     readSome,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := snapshot.New(membucket.New(nil), &snapshot.Options{ChunkSize: 4 << 10, Workers: 3, NoMembership: true})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w, err := s.Create(ctx, snapshot.Info{Index: 7, Term: 3}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(content); err != nil {
					t.Fatal(err)
				}
				if err := end(t, s, cancel, w); err != nil {
					t.Error(err)
				}
				if err := errors.Join(w.Close(), s.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func writeCanceled(_ *testing.T, _ *snapshot.Store, cancel context.CancelFunc, w *snapshot.Writer) error {
	cancel()
	if _, err := w.Write([]byte("more")); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Write after cancel = %w", err)
	}
	return nil
}

func readSome(t *testing.T, s *snapshot.Store, _ context.CancelFunc, w *snapshot.Writer) error {
	m, err := w.Commit()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, stop := range []func(){func() {}, cancel} {
		r, err := s.Open(ctx, m.ID)
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(r, make([]byte, 10_000)); err != nil {
			return err
		}
		stop()
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestWriteFailsBehind fails the bucket while chunks are being compressed: the
// failure comes out of a later Write or of Commit, stays, and nothing is
// published.
func TestWriteFailsBehind(t *testing.T) {
	content := noise(1, 100_000)
	for _, room := range []int{1000, 30_000, 99_000} {
		s := open(t, failing{newKept(), room}, &snapshot.Options{Workers: 3})
		w, err := s.Create(t.Context(), info(7), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, werr := w.Write(content)
		_, cerr := w.Commit()
		if !errors.Is(cerr, errRoom) || werr != nil && !errors.Is(werr, errRoom) {
			t.Errorf("room for %d: Write = %v, Commit = %v, want %v", room, werr, cerr, errRoom)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := ids(t, s); len(got) != 0 {
			t.Errorf("room for %d: %v was published", room, got)
		}
	}
}
