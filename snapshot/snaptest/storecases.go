package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// StoreCases returns the rules of [snapshot.Store], to be checked on top of
// any bucket.
func StoreCases() []Case {
	return []Case{
		{"Store/RoundTrip", "a committed snapshot reads back as it was written, with any codec and of any size", onStore(nil, roundTrip)},
		{"Store/Uncommitted", "a snapshot that was not committed does not exist, and Close discards it", onStore(nil, uncommitted)},
		{"Store/Refused", "a snapshot that makes no sense is ErrInvalid, an unknown id ErrNotFound, and nothing changes", onStore(nil, refused)},
		{"Store/Order", "snapshots are listed newest first by term and index; what is no snapshot is left alone", onStore(nil, order)},
		{"Store/Owned", "what was handed in or out shares no bytes with the store (D-33)", onStore(nil, owned)},
		{"Store/Remove", "the newest valid snapshot is removed only by force (D-13)", onStore(nil, removeNewest)},
		{"Store/Held", "readers and pins outlive removal, which hides the snapshot at once", onStore(nil, held)},
		{"Store/Policies", "no policy removes the newest valid, a pinned or an open snapshot; Plan tells what Prune does (D-30)", onStore(nil, policies)},
		{"Store/Clock", "a clock that goes backwards keeps", onStore(nil, clockBack)},
		{"Store/LeastRecent", "size_based_lru removes the least recently opened first, and never the last one", onStore(nil, leastRecent)},
		{"Store/MaxSnapshots", "beyond max_snapshots the oldest unpinned one goes once the new one is published", onStore(&snapshot.Options{MaxSnapshots: 3}, maxSnapshots)},
		{"Store/MaxSize", "more payload than allowed is ErrFull and leaves nothing", onStore(&snapshot.Options{MaxSize: 50_000}, maxSize)},
		{"Store/Damaged", "any damaged byte is a *fault.Corruption before a wrong byte is handed out", onStore(nil, damagedAnywhere)},
		{"Store/DamagedNewest", "a damaged newest snapshot is listed as damaged and never silently replaced by an older one", onStore(nil, damagedNewest)},
		{"Store/Install", "a container that is cut, changed or followed by anything is refused and leaves nothing", onStore(nil, installs)},
		{"Store/InstallTwice", "a state may be installed again, under another id", onStore(nil, installTwice)},
		{"Store/Receive", "a transfer asks for what is missing, verifies each chunk, and goes on where it stopped", onStore(nil, receives)},
		{"Store/ReceiveReuse", "chunks of snapshots that the store holds need not be sent", onStore(nil, receiveReuses)},
		{"Store/ReceiveConflict", "one transfer is received once at a time", onStore(nil, receiveConflict)},
		{"Store/Identity", "the identity is there again after the store was opened anew (D-32)", identity},
		{"Store/Reopen", "a store opens again with its snapshots and nothing that was not committed", reopenStore},
		{"Store/Close", "Close ends open handles, waits for none, and afterwards everything is ErrClosed", onStore(nil, closeStore)},
		{"Store/Cancel", "a context that is done ends calls and handles with its error", onStore(nil, cancelStore)},
	}
}

// env is a store that is tested, on the bucket that is tested.
type env struct {
	*snapshot.Store
	bucket snapshot.Bucket
	now    time.Time
	rng    *rand.Rand
}

// The cases cut small, so that little data makes many chunks.
const chunkSize = 4 << 10

func onStore(o *snapshot.Options, fn func(ctx context.Context, e *env) error) func(context.Context, Open) error {
	return func(ctx context.Context, open Open) error {
		e, err := newEnv(open, o)
		if err != nil {
			return err
		}
		err = fn(ctx, e)
		if cerr := e.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("Close = %w", cerr))
		}
		return err
	}
}

func newEnv(open Open, o *snapshot.Options) (*env, error) {
	b, err := open()
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	e := &env{bucket: b, now: time.Unix(1_000_000, 0), rng: rand.New(rand.NewPCG(3, 4))}
	var own snapshot.Options
	if o != nil {
		own = *o
	}
	own.ChunkSize = chunkSize
	own.Now = func() time.Time { return e.now }
	if e.Store, err = snapshot.New(b, &own); err != nil {
		return nil, fmt.Errorf("New = %w", err)
	}
	return e, nil
}

// payload is bytes that compress a little.
func (e *env) payload(n int) []byte { return payload(e.rng, n) }

func payload(rng *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		if rng.IntN(4) == 0 {
			b = fmt.Appendf(b, "%d ", rng.IntN(1000))
		} else {
			b = append(b, words[rng.IntN(len(words))]...)
		}
	}
	return b[:n:n]
}

var words = [...]string{"raft ", "log ", "snapshot ", "entry ", "term ", "index ", "leader ", "follower "}

func info(index uint64) snapshot.Info {
	return snapshot.Info{
		Index: index, Term: 1 + index/100, Membership: []byte("members"),
		MembershipIndex: index / 2, Clock: time.Unix(int64(index), 5).UTC(),
	}
}

// commit writes a whole snapshot.
func commit(ctx context.Context, s *snapshot.Store, i snapshot.Info, content []byte, o *snapshot.CreateOptions) (_ snapshot.Meta, err error) {
	w, err := s.Create(ctx, i, o)
	if err != nil {
		return snapshot.Meta{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if n, err := w.Write(content); err != nil || n != len(content) {
		return snapshot.Meta{}, fmt.Errorf("Write(%d bytes) = %d, %w", len(content), n, err)
	}
	w.SetEntries(uint64(len(content)))
	return w.Commit()
}

func (e *env) add(ctx context.Context, index uint64, size int) (snapshot.Meta, []byte, error) {
	content := e.payload(size)
	m, err := commit(ctx, e.Store, info(index), content, nil)
	return m, content, err
}

// addAll adds snapshots of those indexes and returns them newest last.
func (e *env) addAll(ctx context.Context, indexes ...uint64) (out []snapshot.Meta, err error) {
	for _, index := range indexes {
		m, _, err := e.add(ctx, index, 3000)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func read(ctx context.Context, s *snapshot.Store, id snapshot.ID) (_ []byte, err error) {
	r, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return io.ReadAll(r)
}

// readsAs returns an error unless the snapshot has that payload and verifies.
func readsAs(ctx context.Context, s *snapshot.Store, id snapshot.ID, content []byte) error {
	got, err := read(ctx, s, id)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, content) {
		return fmt.Errorf("snapshot %v reads as %d other bytes, want %d", id, len(got), len(content))
	}
	if r, err := s.Verify(ctx, id, nil); err != nil || r.Bytes != int64(len(content)) {
		return fmt.Errorf("Verify(%v) = %d bytes, %w, want %d", id, r.Bytes, err, len(content))
	}
	return nil
}

// all lists what the store has.
func all(ctx context.Context, s *snapshot.Store) (out []snapshot.Meta, err error) {
	for m, err := range s.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("All = %w", err)
		}
		out = append(out, m)
	}
	return out, nil
}

// has returns an error unless the store lists exactly those, in that order.
func has(ctx context.Context, s *snapshot.Store, want ...snapshot.Meta) error {
	got, err := all(ctx, s)
	if err != nil {
		return err
	}
	if len(got) != len(want) {
		return fmt.Errorf("All lists %v, want %v", ids(got), ids(want))
	}
	for i := range got {
		if err := same(got[i], want[i]); err != nil {
			return fmt.Errorf("All at %d: %w", i, err)
		}
	}
	return nil
}

func ids(list []snapshot.Meta) (out []string) {
	for _, m := range list {
		out = append(out, m.ID.String())
	}
	return out
}

// same compares what is told of a snapshot that is whole.
func same(got, want snapshot.Meta) error {
	a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	if a != b {
		return fmt.Errorf("snapshot is %s, want %s", a, b)
	}
	return nil
}

// container returns the bytes behind a snapshot.
func (e *env) container(ctx context.Context, id snapshot.ID) ([]byte, error) {
	return get(ctx, e.bucket, id.String()+".snap", 0)
}

// corrupt returns an error unless err is a *fault.Corruption.
func corrupt(what string, err error) error {
	if _, ok := errors.AsType[*fault.Corruption](err); !ok {
		return fmt.Errorf("%s = %v, want a *fault.Corruption", what, err)
	}
	return nil
}
