package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

func put(t testing.TB, r *snapshot.Receiver, src *snapshot.Store, id snapshot.ID, n int) {
	t.Helper()
	if err := r.Put(n, bytes.NewReader(chunk(t, src, id, n))); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, s *snapshot.Store, m snapshot.Manifest) *snapshot.Receiver {
	t.Helper()
	r, err := s.Receive(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// peer has one snapshot of that content.
func peer(t testing.TB, index uint64, content []byte, o *snapshot.CreateOptions) (*snapshot.Store, snapshot.Meta, snapshot.Manifest) {
	t.Helper()
	src := open(t, newKept(), nil)
	m := commit(t, src, index, content, o)
	return src, m, manifest(t, src, m.ID)
}

func staged(t testing.TB, fsys vfs.FS) (out []string) {
	t.Helper()
	infos, err := fsys.List(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		out = append(out, i.Name)
	}
	return out
}

// TestReceiveSurvivesRestart interrupts a transfer after each chunk with a new
// store on the same staging, on memory and on disk.
func TestReceiveSurvivesRestart(t *testing.T) {
	disk, err := vfs.Disk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, staging := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": disk} {
		t.Run(name, func(t *testing.T) {
			content := text(1, 60_000)
			src, m, man := peer(t, 7, content, nil)
			b := newKept()
			var s *snapshot.Store
			for left := len(man.Chunks); ; left-- {
				s = open(t, b, &snapshot.Options{Staging: staging})
				r := receive(t, s, man)
				need := r.Need()
				if len(need) != left {
					t.Fatalf("Need = %v after a restart, want %d chunks", need, left)
				}
				if left == 0 {
					got, err := r.Commit()
					if err != nil || got.Digest != m.Digest {
						t.Fatalf("Commit = %+v, %v", got, err)
					}
					wantRead(t, s, got.ID, content)
					if whole := container(t, src, m.ID); !bytes.Equal(container(t, s, got.ID), whole) {
						t.Error("the received container is not byte for byte that of the source")
					}
					break
				}
				put(t, r, src, m.ID, need[len(need)/2])
				if err := s.Close(); err != nil { // with the receiver open
					t.Fatal(err)
				}
			}
			if left := staged(t, staging); len(left) != 0 {
				t.Errorf("staging holds %v after Commit, want nothing", left)
			}
		})
	}
}

// TestReceiveAfterHalfStagedManifest takes a transfer up after a crash between
// the two steps in which its manifest is staged, and one in which a chunk is.
func TestReceiveAfterHalfStagedManifest(t *testing.T) {
	src, m, man := peer(t, 10, text(1, 100_000), nil)
	mem := vfs.NewMem()
	stop := errors.New("crash")
	s := open(t, newKept(), &snapshot.Options{Staging: vfs.Hook(mem, func(op vfs.Op) error {
		if op.Kind == "rename" || op.Kind == "remove" {
			return stop
		}
		return nil
	})})
	if _, err := s.Receive(t.Context(), man); !errors.Is(err, stop) {
		t.Fatalf("Receive = %v, want it to stop at the rename", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, newKept(), &snapshot.Options{Staging: mem})
	if err := transferAll(t, s, src, m.ID, man); err != nil {
		t.Errorf("the transfer cannot be taken up: %v", err)
	}
}

func TestReceiveManifestOverTheWire(t *testing.T) {
	src, m, man := peer(t, 7, text(1, 30_000), nil)
	b, err := man.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var sent snapshot.Manifest
	if err := sent.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	s := open(t, newKept(), nil)
	r := receive(t, s, sent)
	var wg sync.WaitGroup
	for _, n := range r.Need() {
		c := chunk(t, src, m.ID, n)
		for range 2 { // the same chunk twice at once
			wg.Go(func() {
				if err := r.Put(n, bytes.NewReader(c)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	got, err := r.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if m.ID = got.ID; fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("Commit = %+v, want %+v", got, m)
	}
}

func TestManifestEveryBitFlipped(t *testing.T) {
	_, _, man := peer(t, 7, text(1, 9000), nil)
	whole, err := man.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		var m snapshot.Manifest
		if err := m.UnmarshalBinary(b); !errors.Is(err, fault.ErrCorrupt) {
			t.Fatalf("bit %d flipped: %v, want damage", bit, err)
		}
	}
	for n := range whole {
		var m snapshot.Manifest
		if err := m.UnmarshalBinary(whole[:n]); !errors.Is(err, fault.ErrCorrupt) {
			t.Fatalf("cut at %d: %v, want damage", n, err)
		}
	}
	var m snapshot.Manifest
	if err := m.UnmarshalBinary(append(bytes.Clone(whole), 0)); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("extended: %v, want damage", err)
	}
	if err := m.UnmarshalBinary(snapshot.WithVersion(whole, 9)); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("version 9: %v, want ErrUnsupported", err)
	}
}

func TestHostileManifest(t *testing.T) {
	_, _, man := peer(t, 7, noise(1, 30_000), nil)
	s := open(t, newKept(), nil)
	for name, change := range map[string]func(m *snapshot.Manifest){
		"index 0":           func(m *snapshot.Manifest) { m.Meta.Index = 0 },
		"membership":        func(m *snapshot.Manifest) { m.Meta.Membership = nil },
		"codec":             func(m *snapshot.Manifest) { m.Meta.Codec = 77 },
		"level":             func(m *snapshot.Manifest) { m.Meta.Level = -1 },
		"size":              func(m *snapshot.Manifest) { m.Meta.Size = 1 << 62 },
		"stored size":       func(m *snapshot.Manifest) { m.Meta.StoredSize++ },
		"digest":            func(m *snapshot.Manifest) { m.Meta.Digest = "sha256:00" },
		"no chunks":         func(m *snapshot.Manifest) { m.Chunks = nil },
		"chunk size":        func(m *snapshot.Manifest) { m.Chunks[0].Size = 1 << 30 },
		"negative size":     func(m *snapshot.Manifest) { m.Chunks[0].Size = -1 },
		"chunk stored size": func(m *snapshot.Manifest) { m.Chunks[1].StoredSize = m.Chunks[1].Size + 1 },
		"offset":            func(m *snapshot.Manifest) { m.Chunks[1].Offset = 1 << 62 },
		"chunk digest":      func(m *snapshot.Manifest) { m.Chunks[1].Digest[0]++ },
		"order":             func(m *snapshot.Manifest) { m.Chunks[0], m.Chunks[1] = m.Chunks[1], m.Chunks[0] },
	} {
		m := man
		m.Chunks = slices.Clone(man.Chunks)
		change(&m)
		if _, err := s.Receive(t.Context(), m); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: Receive = %v, want ErrInvalid", name, err)
		}
	}
}

// TestReceiveSupersedes begins a transfer, drops it for a newer state of which
// much is the same, and wants the chunks that are there to be used.
func TestReceiveSupersedes(t *testing.T) {
	staging := vfs.NewMem()
	s := open(t, newKept(), &snapshot.Options{Staging: staging})
	content := noise(1, 100_000)
	src, m, man := peer(t, 7, content, nil)
	r := receive(t, s, man)
	for _, n := range r.Need() {
		put(t, r, src, m.ID, n)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, older := peer(t, 6, text(1, 5000), nil)
	if r = receive(t, s, older); r.Close() != nil || len(staged(t, staging)) != 2 {
		t.Fatalf("staging holds %v, want both transfers: the other one is of a newer state", staged(t, staging))
	}
	src, m, man = peer(t, 8, append(noise(2, 10_000), content...), nil)
	r = receive(t, s, man)
	if need := r.Need(); len(need) == 0 || len(need) > 5 {
		t.Errorf("Need = %d of %d chunks, want a few", len(need), len(man.Chunks))
	}
	if left := staged(t, staging); len(left) != 1 {
		t.Errorf("staging holds %v, want only the newer transfer", left)
	}
	for _, n := range r.Need() {
		put(t, r, src, m.ID, n)
	}
	got, err := r.Commit()
	if err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, got.ID, append(noise(2, 10_000), content...))
}

// TestReceiveStagedDamage damages what was staged: at once, and after the
// transfer was taken up again.
func TestReceiveStagedDamage(t *testing.T) {
	staging := vfs.NewMem()
	s := open(t, newKept(), &snapshot.Options{Staging: staging})
	content := noise(1, 50_000)
	src, m, man := peer(t, 7, content, nil)
	r := receive(t, s, man)
	for _, n := range r.Need() {
		put(t, r, src, m.ID, n)
	}
	damage := func() {
		dir := staged(t, staging)[0]
		infos, err := staging.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		f, err := staging.OpenWrite(dir + "/" + infos[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("rot"), 500); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	if _, err := r.Commit(); !errors.Is(err, fault.ErrCorrupt) || len(r.Need()) != 1 {
		t.Fatalf("Commit = %v, Need = %v after a staged chunk was damaged, want damage and that chunk", err, r.Need())
	}
	put(t, r, src, m.ID, r.Need()[0])
	damage()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = receive(t, s, man)
	if len(r.Need()) != 1 {
		t.Fatalf("Need = %v after a new start, want the damaged chunk", r.Need())
	}
	put(t, r, src, m.ID, r.Need()[0])
	got, err := r.Commit()
	if err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, got.ID, content)
}

// TestReceiveLocalDamage takes chunks from a snapshot whose payload is damaged.
func TestReceiveLocalDamage(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	content := noise(1, 50_000)
	local := commit(t, s, 5, content, nil)
	d := b.get(t, object(local.ID))
	d[2000] ^= 1
	b.put(t, object(local.ID), d)
	src, m, man := peer(t, 7, content, &snapshot.CreateOptions{Codec: snapshot.CodecNone})
	r := receive(t, s, man)
	if len(r.Need()) != 0 {
		t.Fatalf("Need = %v, want nothing: equal chunks are here", r.Need())
	}
	if _, err := r.Commit(); !errors.Is(err, fault.ErrCorrupt) || len(r.Need()) == 0 {
		t.Fatalf("Commit = %v, Need = %v, want damage and chunks to send", err, r.Need())
	}
	for _, n := range r.Need() {
		put(t, r, src, m.ID, n)
	}
	got, err := r.Commit()
	if err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, got.ID, content)
	if err := s.Remove(t.Context(), local.ID, nil); err != nil {
		t.Fatal(err)
	}
}

// TestReceiveOutlivesRemoval removes the snapshot that chunks are taken from.
func TestReceiveOutlivesRemoval(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	content := noise(1, 50_000)
	local := commit(t, s, 5, content, nil)
	_, _, man := peer(t, 7, content, nil)
	r := receive(t, s, man)
	if err := s.Remove(t.Context(), local.ID, &snapshot.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	got, err := r.Commit()
	if err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, got.ID, content)
	if names := b.names(t); len(names) != 1 || names[0] != object(got.ID) {
		t.Errorf("objects = %v, want only %v", names, object(got.ID))
	}
}

// TestReceiveFailingStaging fails each call on the staging directory once: the
// call fails, nothing is published by mistake, and the next try succeeds.
func TestReceiveFailingStaging(t *testing.T) {
	content := noise(1, 30_000)
	src, m, man := peer(t, 7, content, nil)
	broken := errors.New("input/output error")
	kinds := map[string]int{}
	for n := 1; ; n++ {
		calls, armed := 0, true
		fsys := vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
			if calls++; calls == n && armed {
				kinds[op.Kind]++
				return broken
			}
			return nil
		})
		s := open(t, newKept(), &snapshot.Options{Staging: fsys})
		err := transferAll(t, s, src, m.ID, man)
		if calls < n {
			if err != nil {
				t.Fatalf("no call failed, yet %v", err)
			}
			break
		}
		armed = false
		if err == nil {
			// Only what is left of a finished transfer may fail unnoticed.
			if got := ids(t, s); len(got) != 1 {
				t.Errorf("call %d failed, the transfer did not, and there are %d snapshots", n, len(got))
			}
			continue
		}
		if !errors.Is(err, broken) {
			t.Errorf("call %d failed: %v, want the error of the disk", n, err)
		}
		if got := ids(t, s); len(got) != 0 {
			t.Errorf("call %d failed, and there are %d snapshots, want none", n, len(got))
		}
		if err := transferAll(t, s, src, m.ID, man); err != nil {
			t.Errorf("after call %d failed once: %v, want a transfer", n, err)
		}
	}
	for _, kind := range []string{"create", "write", "rename", "mkdir", "list", "lock", "read", "open"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s failed: the test does not reach it", kind)
		}
	}
}

func transferAll(t *testing.T, s, src *snapshot.Store, id snapshot.ID, man snapshot.Manifest) (err error) {
	r, err := s.Receive(t.Context(), man)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for range 3 {
		for _, n := range r.Need() {
			if err := r.Put(n, bytes.NewReader(chunk(t, src, id, n))); err != nil {
				return err
			}
		}
		if _, err = r.Commit(); !errors.Is(err, fault.ErrCorrupt) {
			return err
		}
	}
	return err
}

// TestReceiverCloseWaitsForPut closes a receiver while a chunk comes in.
func TestReceiverCloseWaitsForPut(t *testing.T) {
	src, m, man := peer(t, 7, noise(1, 30_000), nil)
	s := open(t, newKept(), nil)
	r := receive(t, s, man)
	closed := make(chan error, 1)
	slow := io.MultiReader(readFunc(func([]byte) (int, error) {
		go func() { closed <- r.Close() }()
		for range 10_000 {
			runtime.Gosched()
		}
		return 0, io.EOF
	}), bytes.NewReader(chunk(t, src, m.ID, 0)))
	if err := r.Put(0, slow); err != nil {
		t.Errorf("Put = %v while the receiver was closed, want nil", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close = %v", err)
	}
	if r = receive(t, s, man); slices.Contains(r.Need(), 0) {
		t.Errorf("Need = %v, want it without the chunk that was put", r.Need())
	}
}

func TestReceiveCancelled(t *testing.T) {
	src, m, man := peer(t, 7, noise(1, 30_000), nil)
	s := open(t, newKept(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Receive(ctx, man)
	if err != nil {
		t.Fatal(err)
	}
	put(t, r, src, m.ID, 0)
	cancel()
	if err := r.Put(1, bytes.NewReader(chunk(t, src, m.ID, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want context.Canceled", err)
	}
	if _, err := r.Commit(); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v, want context.Canceled", err)
	}
	if err := r.Abort(); err != nil {
		t.Errorf("Abort = %v, want nil", err)
	}
}

func TestInstallOfANewNode(t *testing.T) {
	src := open(t, newKept(), &snapshot.Options{NoMembership: true})
	w, err := src.Create(t.Context(), snapshot.Info{Index: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	whole := container(t, src, m.ID)
	man := manifest(t, src, m.ID)
	s := open(t, newKept(), nil)
	_, installed := s.Install(t.Context(), bytes.NewReader(whole), nil)
	_, received := s.Receive(t.Context(), man)
	if !errors.Is(installed, fault.ErrInvalid) || !errors.Is(received, fault.ErrInvalid) || !strings.Contains(installed.Error(), "membership") {
		t.Errorf("without membership: Install = %v, Receive = %v, want ErrInvalid that says so", installed, received)
	}
	s = open(t, newKept(), &snapshot.Options{NoMembership: true})
	if _, err := s.Install(t.Context(), bytes.NewReader(whole), nil); err != nil {
		t.Errorf("Install = %v where no membership is needed, want nil", err)
	}
	r := receive(t, s, man)
	if m, err := r.Commit(); err != nil || m.Size != 0 {
		t.Errorf("Commit of an empty snapshot = %+v, %v", m, err)
	}
}

// TestInstallStopsWithTheStore closes the store in the middle of a stream.
func TestInstallStopsWithTheStore(t *testing.T) {
	src, m, _ := peer(t, 7, noise(1, 60_000), nil)
	whole := container(t, src, m.ID)
	b := newKept()
	s := open(t, b, nil)
	closed := make(chan error)
	half := io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), readFunc(func([]byte) (int, error) {
		go func() { closed <- s.Close() }()
		for {
			if _, err := s.Latest(t.Context()); errors.Is(err, fault.ErrClosed) {
				return 0, io.EOF
			}
			runtime.Gosched()
		}
	}), bytes.NewReader(whole[len(whole)/2:]))
	if _, err := s.Install(t.Context(), half, nil); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Install = %v while the store was closed, want ErrClosed", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close = %v", err)
	}
	if names := b.names(t); len(names) != 0 {
		t.Errorf("objects = %v, want none", names)
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
