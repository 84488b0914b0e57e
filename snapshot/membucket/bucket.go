package membucket

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// Options limit a Bucket. The zero value of each field is its default.
type Options struct {
	// MaxSize, if positive, is how many bytes of objects are held, committed
	// and pending together. More is fault.ErrFull. What only a reader still
	// holds, because its object was removed, is not counted.
	MaxSize int64
}

// Bucket is a [snapshot.Bucket] in memory. All methods may be called by
// several goroutines.
type Bucket struct {
	limit int64

	mu      sync.Mutex
	closed  bool
	size    int64
	objects map[string]*data
}

// data is the content of an object. It changes no more once it is committed.
type data struct {
	segments [][]byte // all but the last are full
	size     int64
}

const segmentSize = 256 << 10

// New returns an empty bucket.
func New(o *Options) *Bucket {
	b := &Bucket{objects: map[string]*data{}}
	if o != nil && o.MaxSize > 0 {
		b.limit = o.MaxSize
	}
	return b
}

// Volatile is true.
func (b *Bucket) Volatile() bool { return true }

// lock takes the lock for a call; on nil the caller unlocks.
func (b *Bucket) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return fault.ErrClosed
	}
	return nil
}

// Create begins an object.
func (b *Bucket) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	if err := snapshot.CheckName(name); err != nil {
		return nil, err
	}
	if err := b.lock(ctx); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	return &pending{b: b, name: name, data: &data{}}, nil
}

// Open reads an object from off. The reader keeps the bytes as they are now.
func (b *Bucket) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if off < 0 {
		return nil, fmt.Errorf("offset %d: %w", off, fault.ErrInvalid)
	}
	if err := b.lock(ctx); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	d := b.objects[name]
	if d == nil {
		return nil, fault.ErrNotFound
	}
	return &reader{ctx: ctx, d: d, off: min(off, d.size)}, nil
}

// List yields the objects as they are when it is called, by name.
func (b *Bucket) List(ctx context.Context) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		if err := b.lock(ctx); err != nil {
			yield(snapshot.Object{}, err)
			return
		}
		objects := maps.Clone(b.objects)
		b.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			if !yield(snapshot.Object{Name: name, Size: objects[name].size}, nil) {
				return
			}
		}
	}
}

// Stat describes one object.
func (b *Bucket) Stat(ctx context.Context, name string) (snapshot.Object, error) {
	if err := b.lock(ctx); err != nil {
		return snapshot.Object{}, err
	}
	defer b.mu.Unlock()
	d := b.objects[name]
	if d == nil {
		return snapshot.Object{}, fault.ErrNotFound
	}
	return snapshot.Object{Name: name, Size: d.size}, nil
}

// Remove removes an object; readers that are open keep its bytes.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	if err := b.lock(ctx); err != nil {
		return err
	}
	defer b.mu.Unlock()
	b.drop(name)
	return nil
}

func (b *Bucket) drop(name string) {
	if d := b.objects[name]; d != nil {
		b.size -= d.size
		delete(b.objects, name)
	}
}

// Close forgets everything.
func (b *Bucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.objects, b.size = nil, 0
	return nil
}

// pending is an object that is being written.
type pending struct {
	b    *Bucket
	name string
	data *data // nil once it is committed or given up
}

// Write appends a copy of p, or nothing if it does not fit.
func (w *pending) Write(p []byte) (int, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	if w.data == nil || w.b.closed {
		return 0, fault.ErrClosed
	}
	if n := int64(len(p)); w.b.limit > 0 && n > w.b.limit-w.b.size {
		return 0, fmt.Errorf("%d of %d bytes are in use, %d more wanted: %w", w.b.size, w.b.limit, n, fault.ErrFull)
	}
	w.b.size += int64(len(p))
	w.data.append(p)
	return len(p), nil
}

func (d *data) append(p []byte) {
	d.size += int64(len(p))
	for len(p) > 0 {
		if n := len(d.segments); n == 0 || len(d.segments[n-1]) == segmentSize {
			d.segments = append(d.segments, nil)
		}
		last := &d.segments[len(d.segments)-1]
		n := min(len(p), segmentSize-len(*last))
		*last = append(*last, p[:n]...)
		p = p[n:]
	}
}

// Commit makes the object visible, in place of an older one.
func (w *pending) Commit(ctx context.Context) error {
	if err := w.b.lock(ctx); err != nil {
		return err
	}
	defer w.b.mu.Unlock()
	if w.data == nil {
		return fault.ErrClosed
	}
	w.b.drop(w.name)
	w.b.objects[w.name] = w.data
	w.data = nil
	return nil
}

// Abort gives the object up.
func (w *pending) Abort() error {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	if w.data != nil && !w.b.closed {
		w.b.size -= w.data.size
	}
	w.data = nil
	return nil
}

// reader reads an object that cannot change.
type reader struct {
	ctx context.Context // of Open: io.Reader has no place for one
	d   *data
	off int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.d == nil {
		return 0, fault.ErrClosed
	}
	if r.off == r.d.size {
		return 0, io.EOF
	}
	n := copy(p, r.d.segments[r.off/segmentSize][r.off%segmentSize:])
	r.off += int64(n)
	return n, nil
}

func (r *reader) Close() error {
	r.d = nil
	return nil
}
