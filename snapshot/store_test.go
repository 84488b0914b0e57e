package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/ident"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
)

// TestEveryCallFails makes each call on the bucket fail once, through a commit
// with retention behind it and a removal: what was acknowledged stays, nothing
// appears that was not, and no predecessor goes before its successor was read
// back.
func TestEveryCallFails(t *testing.T) {
	broken := errors.New("input/output error")
	seen := map[string]bool{}
	for n := 1; ; n++ {
		f := &flaky{kept: newKept(), err: broken}
		s := open(t, f, &snapshot.Options{Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}})
		first := commit(t, s, 10, noise(1, 9000), nil)
		f.calls, f.n = nil, n
		second, err := tryCommit(t.Context(), s, 20, noise(2, 9000), nil)
		rerr := s.Remove(t.Context(), first.ID, nil)
		calls := f.calls
		f.n = 0
		got := ids(t, s)
		if len(calls) < n {
			if err != nil || !errors.Is(rerr, fault.ErrNotFound) || !slices.Equal(got, []uint64{20}) {
				t.Errorf("no call failed: Commit = %v, Remove = %v, All = %v", err, rerr, got)
			}
			break
		}
		seen[calls[n-1]] = true
		switch {
		case err == nil && !slices.Contains(got, 20):
			t.Errorf("call %d (%s) failed, 20 was committed and All = %v", n, calls[n-1], got)
		case err == nil:
			wantRead(t, s, second.ID, noise(2, 9000))
		case !errors.Is(err, broken):
			t.Errorf("call %d (%s) failed: Commit = %v, want that error", n, calls[n-1], err)
		case len(got) == 0:
			t.Errorf("call %d (%s) failed and nothing is left", n, calls[n-1])
		}
		if slices.Contains(got, 10) {
			wantRead(t, s, first.ID, noise(1, 9000))
		}
	}
	for _, call := range []string{"create", "write", "commit", "stat", "open", "read", "list", "remove"} {
		if !seen[call] {
			t.Errorf("no %s failed: the test does not reach it", call)
		}
	}
}

// lying is a bucket that loses a byte of what it commits.
type lying struct{ kept }

func (l lying) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	p, err := l.kept.Create(ctx, name)
	return &lyingPending{Pending: p}, err
}

type lyingPending struct {
	snapshot.Pending
	n int
}

func (p *lyingPending) Write(b []byte) (int, error) {
	if p.n++; p.n == 3 { // table and trailer
		_, err := p.Pending.Write(b[:len(b)-1])
		return len(b), err
	}
	return p.Pending.Write(b)
}

// TestReadBackFails publishes on a bucket that lies: the commit fails, and no
// predecessor is removed for it.
func TestReadBackFails(t *testing.T) {
	b := newKept()
	good := open(t, b, nil)
	m := commit(t, good, 10, noise(1, 3000), nil)
	s := open(t, lying{b}, &snapshot.Options{MaxSnapshots: 1, Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}})
	if _, err := tryCommit(t.Context(), s, 20, noise(2, 3000), nil); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Commit = %v on a bucket that loses a byte, want damage", err)
	}
	if _, err := s.Latest(t.Context()); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Latest = %v, want the damage", err)
	}
	wantRead(t, s, m.ID, noise(1, 3000))
}

// stale is a bucket that commits an older container in place of the new one.
type stale struct {
	kept
	old []byte
}

func (b stale) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	p, err := b.kept.Create(ctx, name)
	if err == nil {
		_, err = p.Write(b.old)
	}
	return stalePending{p}, err
}

type stalePending struct{ snapshot.Pending }

func (stalePending) Write(b []byte) (int, error) { return len(b), nil }

func TestReadBackIsAnother(t *testing.T) {
	b := newKept()
	m := commit(t, open(t, b, nil), 10, noise(1, 3000), nil)
	s := open(t, stale{b, b.get(t, object(m.ID))}, nil)
	if _, err := tryCommit(t.Context(), s, 10, noise(2, 3000), nil); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Commit = %v where another snapshot was published, want damage", err)
	}
}

func TestNoRoom(t *testing.T) {
	mem := membucket.New(&membucket.Options{MaxSize: 40_000})
	s := open(t, mem, nil)
	m := commit(t, s, 10, noise(1, 20_000), nil)
	if _, err := tryCommit(t.Context(), s, 20, noise(2, 30_000), nil); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Commit = %v without room, want ErrFull", err)
	}
	wantRead(t, s, m.ID, noise(1, 20_000))
	src, big, _ := peer(t, 50, noise(5, 15_000), nil)
	whole := container(t, src, big.ID)
	for range 3 {
		if _, err := s.Install(t.Context(), bytes.NewReader(whole[:len(whole)-1]), nil); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Install = %v of a container that was cut, want damage", err)
		}
	}
	commit(t, s, 30, noise(3, 15_000), nil) // what failed took nothing
	f := &flaky{kept: newKept(), n: 6, err: &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}}
	s = open(t, f, nil)
	if _, err := tryCommit(t.Context(), s, 20, noise(2, 9000), nil); !errors.Is(err, fault.ErrFull) {
		t.Errorf("Commit = %v after ENOSPC, want ErrFull", err)
	}
}

// TestSameState damages one of two snapshots of one state: the other stands
// for it, whichever has the higher id.
func TestSameState(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	pair := []snapshot.Meta{commit(t, s, 10, noise(1, 3000), nil), commit(t, s, 10, noise(1, 3000), nil)}
	for i, m := range pair {
		whole := b.get(t, object(m.ID))
		b.put(t, object(m.ID), whole[:len(whole)-1])
		other := pair[1-i]
		if got, err := s.Latest(t.Context()); err != nil || got.ID != other.ID {
			t.Errorf("Latest = %v, %v with %v damaged, want %v", got.ID, err, m.ID, other.ID)
		}
		if err := s.Remove(t.Context(), other.ID, nil); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("Remove = %v of the only valid one, want ErrInvalid", err)
		}
		b.put(t, object(m.ID), whole)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]snapshot.Options{
		"codec":            {Codec: 9},
		"level":            {Codec: snapshot.CodecGzip, Level: 10},
		"level of default": {Level: 23},
		"chunk size":       {ChunkSize: 5000},
		"small chunks":     {ChunkSize: 2048},
		"large chunks":     {ChunkSize: 2 << 20},
		"max snapshots":    {MaxSnapshots: -1},
		"max size":         {MaxSize: -1},
		"strategy":         {Retention: snapshot.Policy{Strategy: 9}},
		"keep count":       {Retention: snapshot.Policy{Strategy: snapshot.KeepLatest}},
		"max age":          {Retention: snapshot.Policy{Strategy: snapshot.Combined, KeepCount: 1}},
		"total size":       {Retention: snapshot.Policy{Strategy: snapshot.SizeBasedLRU}},
		"no strategy":      {Retention: snapshot.Policy{KeepCount: 1}},
	} {
		b := membucket.New(nil)
		if s, err := snapshot.New(b, &o); s != nil || !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: New = %v, want ErrInvalid", name, err)
		}
		if _, err := b.Create(t.Context(), "x"); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("%s: the bucket is still open after New failed", name)
		}
	}
	if _, err := snapshot.New(nil, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("New(nil) = %v, want ErrInvalid", err)
	}
}

func TestIdentityDamaged(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	if err := s.SetIdentity(ident.Identity{Node: [16]byte{1}, Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	whole := b.get(t, "IDENTITY")
	for _, d := range [][]byte{nil, whole[:10], append(bytes.Clone(whole), 1), make([]byte, 28)} {
		b.put(t, "IDENTITY", d)
		s, err := snapshot.New(b, nil)
		if c, ok := errors.AsType[*fault.Corruption](err); s != nil || !ok || c.Path != "IDENTITY" {
			t.Errorf("New with an identity of %d damaged bytes = %v, want a *fault.Corruption of IDENTITY", len(d), err)
		}
	}
}

func TestAccessIsKept(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	var m []snapshot.Meta
	for _, index := range []uint64{10, 20, 30, 40} {
		m = append(m, commit(t, s, index, []byte("content"), nil))
	}
	wantRead(t, s, m[0].ID, []byte("content"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	keepThree := snapshot.Policy{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: 3 * m[0].StoredSize}
	s = open(t, b, nil)
	if plan, err := s.Plan(t.Context(), keepThree); err != nil || len(plan) != 1 || plan[0].ID != m[1].ID {
		t.Errorf("Plan = %v, %v after a new start, want %v, which was opened before the others", plan, err, m[1].ID)
	}
	// It is a hint: damage to it changes the order and nothing else.
	b.put(t, "ACCESS", []byte("damaged"))
	s = open(t, b, nil)
	if plan, err := s.Plan(t.Context(), keepThree); err != nil || len(plan) != 1 || plan[0].ID != m[0].ID {
		t.Errorf("Plan = %v, %v without the order of opens, want the oldest", plan, err)
	}
}

func TestIDs(t *testing.T) {
	id := snapshot.ID{Term: 0xab, Index: 1, Suffix: 0xffffffffffffffff}
	const text = "00000000000000ab-0000000000000001-ffffffffffffffff"
	if id.String() != text {
		t.Errorf("String = %s, want %s", id, text)
	}
	if got, err := snapshot.ParseID(text); err != nil || got != id {
		t.Errorf("ParseID = %v, %v", got, err)
	}
	var back snapshot.ID
	b, err := id.MarshalText()
	if err == nil {
		err = back.UnmarshalText(b)
	}
	if err != nil || back != id {
		t.Errorf("text = %s, %v, %v", b, back, err)
	}
	for _, bad := range []string{
		"", "x", "../../../../../../../../etc/passwd", "/etc/passwd", text + "x", text[1:], strings.ToUpper(text),
		strings.Replace(text, "-", "/", 1), strings.Replace(text, "ab", "\x00b", 1), " " + text[1:],
		strings.Repeat("a", 1<<20), text[:49] + "\n", "0x" + text[2:], "+" + text[1:], strings.Replace(text, "ab", "ä", 1),
	} {
		if got, err := snapshot.ParseID(bad); !errors.Is(err, fault.ErrInvalid) || got != (snapshot.ID{}) || len(err.Error()) > 300 {
			t.Errorf("ParseID(%.60q) = %v, %.100v, want ErrInvalid", bad, got, err)
		}
	}
	small, big := snapshot.ID{Term: 1, Index: 0xf0}, snapshot.ID{Term: 1, Index: 0x100}
	if small.Compare(big) >= 0 || small.String() >= big.String() || id.Compare(id) != 0 {
		t.Error("ids do not sort by term and index")
	}
}

func TestNames(t *testing.T) {
	for name, c := range map[string]snapshot.Codec{"none": snapshot.CodecNone, "gzip": snapshot.CodecGzip, "lz4": snapshot.CodecLZ4, "zstd": snapshot.CodecZstd} {
		if got, err := snapshot.ParseCodec(name); err != nil || got != c || c.String() != name {
			t.Errorf("ParseCodec(%s) = %v, %v", name, got, err)
		}
	}
	for name, s := range map[string]snapshot.Strategy{
		"keep_latest": snapshot.KeepLatest, "keep_by_age": snapshot.KeepByAge,
		"combined": snapshot.Combined, "size_based_lru": snapshot.SizeBasedLRU,
	} {
		if got, err := snapshot.ParseStrategy(name); err != nil || got != s || s.String() != name {
			t.Errorf("ParseStrategy(%s) = %v, %v", name, got, err)
		}
	}
	_, codec := snapshot.ParseCodec("snappy")
	_, strategy := snapshot.ParseStrategy("none")
	if !errors.Is(codec, fault.ErrInvalid) || !errors.Is(strategy, fault.ErrInvalid) {
		t.Errorf("unknown names: %v, %v, want ErrInvalid", codec, strategy)
	}
	for _, bad := range []string{"", ".", "..", ".hidden", "a/b", `a\b`, "a b", "ä", "a\x00", "-a", "_a", strings.Repeat("a", 129)} {
		if err := snapshot.CheckName(bad); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("CheckName(%q) = %v, want ErrInvalid", bad, err)
		}
	}
	for p, want := range map[snapshot.Policy]string{
		{Strategy: snapshot.KeepLatest, KeepCount: 5}:                                     "keep_latest(5)",
		{Strategy: snapshot.KeepByAge, MaxAge: 168 * time.Hour}:                           "keep_by_age(168h0m0s)",
		{Strategy: snapshot.Combined, KeepCount: 2, MaxAge: time.Hour}:                    "combined(2, 1h0m0s)",
		{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: 1 << 20, KeepCount: 9 /* idle */}: "size_based_lru(1048576)",
		{}: "none",
	} {
		if p.String() != want {
			t.Errorf("Policy = %v, want %s", p, want)
		}
	}
}

func TestRandomSourceRepeats(t *testing.T) {
	s := open(t, newKept(), &snapshot.Options{Rand: zeros{}})
	m := commit(t, s, 10, []byte("one"), nil)
	if _, err := tryCommit(t.Context(), s, 10, []byte("two"), nil); err == nil {
		t.Error("Create = nil where the random source repeats itself, want an error: it would replace a snapshot")
	}
	commit(t, s, 20, []byte("three"), nil)
	wantRead(t, s, m.ID, []byte("one"))
	s = open(t, newKept(), &snapshot.Options{Rand: strings.NewReader("short")})
	if _, err := tryCommit(t.Context(), s, 10, nil, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Create = %v without randomness, want the error of the source", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestLarge writes what makes chunks of full size, with every codec, in writes
// of many lengths, and counts progress.
func TestLarge(t *testing.T) {
	content := append(noise(1, 2<<20), text(1, 2<<20)...)
	for _, codec := range codecs {
		s := open(t, membucket.New(nil), &snapshot.Options{Codec: codec, ChunkSize: 1 << 20})
		var done, total int64
		w, err := s.Create(t.Context(), info(9), &snapshot.CreateOptions{Size: int64(len(content)), Progress: func(d, all int64) { done, total = d, all }})
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		for rest := content; len(rest) > 0; {
			n := min(len(rest), rng.IntN(700_000))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		m, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if done != int64(len(content)) || total != done {
			t.Errorf("%v: progress %d of %d, want %d", codec, done, total, len(content))
		}
		if shrunk := m.StoredSize < 7<<19; shrunk != (codec != snapshot.CodecNone) {
			t.Errorf("%v: %d bytes stored as %d", codec, m.Size, m.StoredSize)
		}
		r, err := s.Open(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := io.Copy(&got, r); err != nil || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%v: WriteTo = %d bytes, %v", codec, got.Len(), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEqualPayloadsHaveEqualDigests(t *testing.T) {
	s := open(t, newKept(), nil)
	seen := map[string]bool{}
	for i, codec := range codecs {
		seen[commit(t, s, uint64(i+1), text(1, 50_000), &snapshot.CreateOptions{Codec: codec}).Digest] = true
	}
	if len(seen) != 1 {
		t.Errorf("digests = %v, want one", seen)
	}
	if other := commit(t, s, 9, text(2, 50_000), nil); seen[other.Digest] {
		t.Error("another payload has the same digest")
	}
}

func TestReaderClosed(t *testing.T) {
	s := open(t, newKept(), nil)
	m := commit(t, s, 7, noise(1, 30_000), nil)
	r, err := s.Open(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	clear(r.Meta().Membership)
	if got := r.Meta().Membership; string(got) != "abc" {
		t.Errorf("Meta().Membership = %q after the caller changed its own, want abc", got)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Read = %v after Close, want ErrClosed", err)
	}
	if _, err := r.WriteTo(io.Discard); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("WriteTo = %v after Close, want ErrClosed", err)
	}
}

func TestRemovedWhileReadIsNotFound(t *testing.T) {
	s := open(t, newKept(), nil)
	m := commit(t, s, 7, noise(1, 30_000), nil)
	r, err := s.Open(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Remove(t.Context(), m.ID, &snapshot.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	s.Pin(m.ID) // too late: it must not bring it back
	if _, err := s.Open(t.Context(), m.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Open = %v of what was removed while it was read, want ErrNotFound", err)
	}
	if got, err := io.ReadAll(r); err != nil || len(got) != 30_000 {
		t.Errorf("the open reader got %d bytes, %v", len(got), err)
	}
}

func TestRemovedWhileHeldGoesAtClose(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	m := commit(t, s, 7, noise(1, 9000), nil)
	commit(t, s, 8, noise(2, 9000), nil)
	defer s.Pin(m.ID)()
	if err := s.Remove(t.Context(), m.ID, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(b.names(t)); n != 2 {
		t.Errorf("%d objects while one is pinned, want 2", n)
	}
	if release := s.Pin(m.ID); release == nil {
		t.Error("Pin of a removed snapshot = nil")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range b.names(t) {
		if name == object(m.ID) {
			t.Error("a removed snapshot is still there after Close")
		}
	}
}

// TestParallel uses one store from many goroutines.
func TestParallel(t *testing.T) {
	s := open(t, newKept(), &snapshot.Options{MaxSnapshots: 4})
	src, m, man := peer(t, 1000, text(1, 20_000), nil)
	whole := container(t, src, m.ID)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := range 8 {
				content := noise(uint64(w), 2000*w+i)
				got, err := tryCommit(t.Context(), s, uint64(1+w*10+i), content, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := read(t.Context(), s, got.ID); err != nil && !errors.Is(err, fault.ErrNotFound) || err == nil && !bytes.Equal(b, content) {
					t.Errorf("read %d bytes, %v", len(b), err)
				}
				for _, err := range s.All(t.Context()) {
					if err != nil {
						t.Error(err)
					}
				}
				if _, err := s.Install(t.Context(), bytes.NewReader(whole), nil); err != nil {
					t.Error(err)
				}
				if _, err := s.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 2}); err != nil {
					t.Error(err)
				}
				r, err := s.Receive(t.Context(), man)
				if errors.Is(err, fault.ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if m, err := s.Latest(t.Context()); err != nil || m.Index != 1000 {
		t.Errorf("Latest = %v, %v, want index 1000", m.ID, err)
	}
}

// TestCloseWhileBusy closes a store under many goroutines: each call ends well
// or with ErrClosed.
func TestCloseWhileBusy(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	m := commit(t, s, 7, noise(1, 40_000), nil)
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				var err error
				switch w % 4 {
				case 0:
					_, err = read(t.Context(), s, m.ID)
				case 1:
					_, err = tryCommit(t.Context(), s, uint64(100+i), noise(1, 5000), nil)
				case 2:
					_, err = s.Verify(t.Context(), m.ID, nil)
				case 3:
					s.Pin(m.ID)()
					_, err = s.Stat(t.Context(), m.ID)
				}
				if i == 0 {
					started <- struct{}{}
				}
				if errors.Is(err, fault.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	wg.Wait()
	s = open(t, b, nil)
	for m, err := range s.All(t.Context()) {
		if err != nil || m.Damaged != nil {
			t.Errorf("%v: %v, %v after the store was closed under load", m.ID, err, m.Damaged)
		}
	}
}

func TestAsFindsAbilities(t *testing.T) {
	b := newKept()
	if _, ok := snapshot.As[snapshot.Stater](&struct{ snapshot.Bucket }{b}); ok {
		t.Error("As found an ability behind a wrapper that does not show it")
	}
	if v, ok := snapshot.As[snapshot.Volatile](b); !ok || !v.Volatile() {
		t.Error("As did not find Volatile")
	}
	if m, ok := snapshot.As[*membucket.Bucket](b); !ok || m != b.Bucket {
		t.Error("As did not find the bucket below")
	}
	if !open(t, b, nil).Volatile() || open(t, &struct{ snapshot.Bucket }{b}, nil).Volatile() {
		t.Error("Store.Volatile does not say what the bucket says")
	}
}

// TestGoldenFilesAreComplete: a leftover would be a format that nobody reviews.
func TestGoldenFilesAreComplete(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "v1*"))
	if err != nil || len(files) != 7 {
		t.Errorf("golden files = %v, %v, want 7", files, err)
	}
}
