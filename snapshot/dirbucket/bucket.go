package dirbucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

const (
	lockName      = ".lock"
	stagingName   = ".staging"
	pendingPrefix = ".pending-"
)

// Bucket is a [snapshot.Bucket] in a directory. All methods may be called by
// several goroutines.
type Bucket struct {
	dir   string // as it was given, for messages
	fs    vfs.FS
	lock  io.Closer
	calls gate.Gate
	close func() error

	names  sync.RWMutex // over objects' names: a change is seen when it is durable
	poison error        // why changes are refused; nil while they are not

	mu     sync.Mutex
	serial uint64 // of the newest pending object
	open   map[*pending]struct{}
}

var (
	_ snapshot.Bucket = (*Bucket)(nil)
	_ snapshot.Stater = (*Bucket)(nil)
)

// Open opens the bucket in dir and makes the directory if need be. What an
// earlier process had not committed is removed; all that is listed afterwards
// is durable. fault.ErrLocked: another process, or another Bucket of this one,
// has it open.
func Open(dir string, o *Options) (*Bucket, error) {
	var fsys vfs.FS
	if o != nil {
		fsys = o.FS
	}
	root, err := vfs.At(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("open snapshot directory %s: %w", dir, full(err))
	}
	b := &Bucket{dir: dir, fs: root, open: map[*pending]struct{}{}}
	b.close = sync.OnceValue(b.shutdown)
	if err := b.start(); err != nil {
		return nil, fmt.Errorf("open snapshot directory %s: %w", dir, errors.Join(full(err), b.release()))
	}
	return b, nil
}

func (b *Bucket) start() error {
	lock, err := b.fs.Lock(lockName)
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %w", fault.ErrLocked, err)
	}
	if err != nil {
		return err
	}
	b.lock = lock
	infos, err := b.fs.List(".")
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.Dir || !strings.HasPrefix(info.Name, pendingPrefix) {
			continue
		}
		if err := b.fs.Remove(info.Name); err != nil {
			return err
		}
	}
	// A process that was killed between the rename and its sync leaves a name
	// that a power failure could still take.
	return b.fs.SyncDir(".")
}

// Close removes what is pending and releases the directory. Readers that are
// open can be read on.
func (b *Bucket) Close() error { return b.close() }

func (b *Bucket) shutdown() error {
	b.calls.Close()
	// No call is under way and none can begin.
	var err error
	for _, p := range slices.SortedFunc(maps.Keys(b.open), func(p, q *pending) int { return strings.Compare(p.temp, q.temp) }) {
		err = errors.Join(err, p.drop())
	}
	return errors.Join(err, b.release())
}

func (b *Bucket) release() error {
	err := b.fs.Close()
	if b.lock != nil {
		err = errors.Join(err, b.lock.Close())
	}
	return err
}

// enter begins a call, which must end with calls.Leave.
func (b *Bucket) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !b.calls.Enter() {
		return fault.ErrClosed
	}
	return nil
}

// enterFor is enter for a call on one object.
func (b *Bucket) enterFor(ctx context.Context, name string) error {
	if err := snapshot.CheckName(name); err != nil {
		return err
	}
	return b.enter(ctx)
}

// Create begins an object. Nothing of it is durable or visible before Commit.
func (b *Bucket) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	if err := b.enterFor(ctx, name); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	if err := b.refusal(); err != nil {
		return nil, b.failed(err)
	}
	p := &pending{b: b, name: name, temp: b.tempName()}
	var err error
	if p.f, err = b.fs.Create(p.temp); err != nil {
		return nil, b.failed(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[p] = struct{}{}
	return p, nil
}

func (b *Bucket) tempName() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial++
	return pendingPrefix + strconv.FormatUint(b.serial, 10)
}

// Open reads an object from off. The reader keeps the bytes as they are now,
// whatever happens to the name.
func (b *Bucket) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if off < 0 {
		return nil, fmt.Errorf("offset %d: %w", off, fault.ErrInvalid)
	}
	if err := b.enterFor(ctx, name); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	b.names.RLock()
	f, err := b.fs.Open(name)
	b.names.RUnlock()
	if err != nil {
		return nil, b.failed(notFound(err))
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(b.failed(err), f.Close())
	}
	return &reader{ctx: ctx, b: b, f: f, name: name, off: off, size: size}, nil
}

// Stat describes one object.
func (b *Bucket) Stat(ctx context.Context, name string) (snapshot.Object, error) {
	if err := b.enterFor(ctx, name); err != nil {
		return snapshot.Object{}, err
	}
	defer b.calls.Leave()
	b.names.RLock()
	info, err := b.fs.Stat(name)
	b.names.RUnlock()
	if err == nil && info.Dir {
		err = fs.ErrNotExist
	}
	if err != nil {
		return snapshot.Object{}, b.failed(notFound(err))
	}
	return snapshot.Object{Name: name, Size: info.Size}, nil
}

// List yields the objects as they are when it is called, by name.
func (b *Bucket) List(ctx context.Context) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		infos, err := b.list(ctx)
		if err != nil {
			yield(snapshot.Object{}, err)
			return
		}
		for _, info := range infos {
			if info.Dir || snapshot.CheckName(info.Name) != nil {
				continue
			}
			if !yield(snapshot.Object{Name: info.Name, Size: info.Size}, nil) {
				return
			}
		}
	}
}

func (b *Bucket) list(ctx context.Context) ([]vfs.Info, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	b.names.RLock()
	defer b.names.RUnlock()
	infos, err := b.fs.List(".")
	if err != nil {
		return nil, b.failed(err)
	}
	return infos, nil
}

// Staging opens a directory below this one, for snapshot.Options.Staging: the
// bucket's lock protects it, and what it holds survives restarts. The caller
// closes it, after the store.
func (b *Bucket) Staging() (vfs.FS, error) {
	if err := b.enter(context.Background()); err != nil {
		return nil, err
	}
	defer b.calls.Leave()
	sub, err := vfs.At(b.fs, stagingName)
	if err != nil {
		return nil, b.failed(err)
	}
	return sub, nil
}

// failed says where an error comes from.
func (b *Bucket) failed(err error) error {
	return fmt.Errorf("snapshot directory %s: %w", b.dir, full(err))
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", fault.ErrNotFound, err)
	}
	return err
}

// full marks a file system that has no room with fault.ErrFull, unless trying
// again does not help.
func full(err error) error {
	if vfs.IsFull(err) && !errors.Is(err, fault.ErrPoisoned) {
		return fmt.Errorf("%w: %w", fault.ErrFull, err)
	}
	return err
}
