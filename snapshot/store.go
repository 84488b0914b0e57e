package snapshot

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
)

// Store keeps snapshots in a bucket. All methods may be called by several
// goroutines. After Close they return fault.ErrClosed.
type Store struct {
	bucket Bucket
	o      Options
	holds  holds
	access access
	damage damage
	writes atomic.Uint64 // containers that were published, or may have been

	calls gate.Gate
	stop  chan struct{} // closed when Close begins
	close func() error

	mu       sync.Mutex
	ended    bool
	handles  map[handle]uint64 // open writers, readers and receivers, and the order in which they were opened
	adopted  uint64            // how many there were
	minted   map[ID]struct{}   // ids whose containers are being written
	identity Identity

	removing sync.Mutex // one removal at a time, so that each sees what the other left
}

// handle is something open that Close has to end.
type handle interface{ shut() }

// New returns a store on b, which belongs to it from then on, also when New
// fails: nil, fault.ErrInvalid for an option that makes no sense, and a
// *fault.Corruption when the identity in b is damaged.
func New(b Bucket, o *Options) (*Store, error) {
	if b == nil {
		return nil, invalid("open snapshot store: no bucket")
	}
	s := &Store{
		bucket: b, stop: make(chan struct{}),
		handles: map[handle]uint64{}, minted: map[ID]struct{}{},
	}
	s.close = sync.OnceValue(s.shutdown)
	var err error
	if s.o, err = o.withDefaults(); err == nil {
		err = s.load(context.Background())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot store: %w", err), b.Close())
	}
	return s, nil
}

// load reads the small objects beside the containers.
func (s *Store) load(ctx context.Context) error {
	var err error
	if s.identity, err = s.readIdentity(ctx); err != nil {
		return err
	}
	b, err := s.readSmall(ctx, accessObject, accessLimit)
	if err == nil {
		err = s.access.unmarshal(b)
	}
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		s.o.Logger.Warn("snapshot store: order of opens is lost", "error", err)
	}
	return nil
}

// Volatile reports whether nothing in the bucket survives the process.
func (s *Store) Volatile() bool {
	v, ok := As[Volatile](s.bucket)
	return ok && v.Volatile()
}

// Close ends the store and its bucket. Calls under way are waited for; those
// that take long, such as Verify or Install, end early with fault.ErrClosed
// as soon as what they read from or write to returns. Writers that are open
// are discarded and readers fail from then on, so Close waits for no handle.
// Received chunks stay staged. A second Close waits for the first and returns
// what it returned.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	close(s.stop)
	s.calls.Close()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	// No call is under way and none can begin: the handles stay as they are.
	for _, h := range slices.SortedFunc(maps.Keys(s.handles), func(a, b handle) int { return cmp.Compare(s.handles[a], s.handles[b]) }) {
		h.shut()
	}
	ctx := context.Background()
	err := s.removeRest(ctx)
	s.saveAccess(ctx)
	if cerr := s.bucket.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close bucket: %w", cerr))
	}
	return err
}

// enter begins a call, which must end with leave.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.calls.Enter() {
		return fault.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.calls.Leave() }

// going is asked by long calls between steps.
func (s *Store) going(ctx context.Context) error {
	select {
	case <-s.stop:
		return fault.ErrClosed
	default:
		return ctx.Err()
	}
}

// adopt makes Close end h; the caller is inside a call.
func (s *Store) adopt(h handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopted++
	s.handles[h] = s.adopted
}

func (s *Store) disown(h handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		delete(s.handles, h)
	}
}

// mint makes an id that no snapshot has and keeps others from getting it
// until the caller calls unmint.
func (s *Store) mint(ctx context.Context, info Info) (ID, error) {
	for range 8 {
		id, err := s.candidateID(info)
		if err != nil {
			return ID{}, err
		}
		if id.IsZero() {
			continue
		}
		_, err = s.stat(ctx, id)
		if errors.Is(err, fault.ErrNotFound) {
			return id, nil
		}
		s.unmint(id)
		if err != nil {
			return ID{}, err
		}
	}
	return ID{}, errors.New("mint snapshot id: the random source repeats itself")
}

// candidateID reserves a random id, or returns the zero ID if it is reserved.
func (s *Store) candidateID(info Info) (ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b [8]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return ID{}, fmt.Errorf("mint snapshot id: %w", err)
	}
	id := ID{Term: info.Term, Index: info.Index, Suffix: binary.BigEndian.Uint64(b[:])}
	if _, taken := s.minted[id]; taken {
		return ID{}, nil
	}
	s.minted[id] = struct{}{}
	return id, nil
}

func (s *Store) unmint(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.minted, id)
}

func (s *Store) newNonce() (n nonce, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.ReadFull(s.o.Rand, n[:]); err != nil {
		return n, fmt.Errorf("make a nonce: %w", err)
	}
	return n, nil
}
