package snaptest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

var seedFlag = flag.Uint64("seed", 0, "replay the random run with this seed")

// onPlain opens the same bucket again and again, so that cases which need
// something durable run too.
func onPlain(testing.TB) Open { return newPlain().reopen }

func TestPlain(t *testing.T) { Run(t, onPlain) }

func TestRandom(t *testing.T) { RunRandom(t, onPlain, *seedFlag, 6, 300) }

// TestRandomReplays runs one seed twice: what is in the bucket afterwards has
// to be the same, byte for byte.
func TestRandomReplays(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = 42
	}
	var left [2]map[string][]byte
	for i := range left {
		b := newPlain()
		if err := Random(b.reopen, seed, 300); err != nil {
			t.Fatal(err)
		}
		left[i] = b.objects
	}
	if len(left[0]) < 3 || !maps.EqualFunc(left[0], left[1], bytes.Equal) {
		t.Errorf("two runs of seed %d left %d and %d objects, want the same bytes", seed, len(left[0]), len(left[1]))
	}
}

// broken is a bucket with one fault; what is nil works.
type broken struct {
	snapshot.Bucket
	create func(ctx context.Context, b snapshot.Bucket, name string) (snapshot.Pending, error)
	open   func(ctx context.Context, b snapshot.Bucket, name string, off int64) (io.ReadCloser, error)
	list   func(ctx context.Context, b snapshot.Bucket) iter.Seq2[snapshot.Object, error]
	remove func(ctx context.Context, b snapshot.Bucket, name string) error
	close  func(b snapshot.Bucket) error
}

func (b *broken) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	if b.create != nil {
		return b.create(ctx, b.Bucket, name)
	}
	return b.Bucket.Create(ctx, name)
}

func (b *broken) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if b.open != nil {
		return b.open(ctx, b.Bucket, name, off)
	}
	return b.Bucket.Open(ctx, name, off)
}

func (b *broken) List(ctx context.Context) iter.Seq2[snapshot.Object, error] {
	if b.list != nil {
		return b.list(ctx, b.Bucket)
	}
	return b.Bucket.List(ctx)
}

func (b *broken) Remove(ctx context.Context, name string) error {
	if b.remove != nil {
		return b.remove(ctx, b.Bucket, name)
	}
	return b.Bucket.Remove(ctx, name)
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close(b.Bucket)
	}
	return b.Bucket.Close()
}

// pendingWith changes one method of a pending object.
type pendingWith struct {
	snapshot.Pending
	write  func(p snapshot.Pending, d []byte) (int, error)
	commit func(ctx context.Context, p snapshot.Pending) error
	abort  func(p snapshot.Pending) error
}

func (p *pendingWith) Write(d []byte) (int, error) {
	if p.write != nil {
		return p.write(p.Pending, d)
	}
	return p.Pending.Write(d)
}

func (p *pendingWith) Commit(ctx context.Context) error {
	if p.commit != nil {
		return p.commit(ctx, p.Pending)
	}
	return p.Pending.Commit(ctx)
}

func (p *pendingWith) Abort() error {
	if p.abort != nil {
		return p.abort(p.Pending)
	}
	return p.Pending.Abort()
}

func creates(change func(name string, p *pendingWith)) func(context.Context, snapshot.Bucket, string) (snapshot.Pending, error) {
	return func(ctx context.Context, b snapshot.Bucket, name string) (snapshot.Pending, error) {
		p, err := b.Create(ctx, name)
		if err != nil {
			return nil, err
		}
		w := &pendingWith{Pending: p}
		change(name, w)
		return w, nil
	}
}

type readsWith struct {
	io.ReadCloser
	read func(p []byte) (int, error)
}

func (r readsWith) Read(p []byte) (int, error) { return r.read(p) }

// faults are buckets that break one rule each, with a case that has to see it.
func faults() map[string]struct {
	sees   string
	bucket func() *broken
} {
	type row = struct {
		sees   string
		bucket func() *broken
	}
	ctx := context.Background()
	return map[string]row{
		"lists what is pending": {"Bucket/Pending", func() *broken {
			b := &broken{}
			b.create = creates(func(name string, p *pendingWith) {
				p.write = func(p snapshot.Pending, d []byte) (int, error) {
					return len(d), errors.Join(put(ctx, b.Bucket, name, d), func() error { _, err := p.Write(d); return err }())
				}
			})
			return b
		}},
		"commit keeps the older object": {"Bucket/Replace", func() *broken {
			b := &broken{}
			b.create = creates(func(name string, p *pendingWith) {
				p.commit = func(ctx context.Context, p snapshot.Pending) error {
					if r, err := b.Bucket.Open(ctx, name, 0); err == nil {
						return errors.Join(r.Close(), p.Abort())
					}
					return p.Commit(ctx)
				}
			})
			return b
		}},
		"ignores the offset": {"Bucket/ReadBack", func() *broken {
			return &broken{open: func(ctx context.Context, b snapshot.Bucket, name string, off int64) (io.ReadCloser, error) {
				return b.Open(ctx, name, min(off, 0))
			}}
		}},
		"loses the last byte": {"Bucket/ReadBack", func() *broken {
			return &broken{open: func(ctx context.Context, b snapshot.Bucket, name string, off int64) (io.ReadCloser, error) {
				all, err := get(ctx, b, name, off)
				return io.NopCloser(bytes.NewReader(all[:max(0, len(all)-1)])), unwrap(err)
			}}
		}},
		"flips a bit far inside": {"Bucket/Large", func() *broken {
			return &broken{open: func(ctx context.Context, b snapshot.Bucket, name string, off int64) (io.ReadCloser, error) {
				all, err := get(ctx, b, name, off)
				if len(all) > 1<<20 {
					all = bytes.Clone(all)
					all[1<<20] ^= 1
				}
				return io.NopCloser(bytes.NewReader(all)), unwrap(err)
			}}
		}},
		"keeps the caller's buffer": {"Bucket/Large", func() *broken {
			var all [][]byte
			return &broken{create: creates(func(_ string, p *pendingWith) {
				p.write = func(_ snapshot.Pending, d []byte) (int, error) {
					all = append(all, d)
					return len(d), nil
				}
				p.commit = func(ctx context.Context, p snapshot.Pending) error {
					for _, d := range all {
						if _, err := p.Write(d); err != nil {
							return err
						}
					}
					all = nil
					return p.Commit(ctx)
				}
			})}
		}},
		"abort commits": {"Bucket/Abort", func() *broken {
			return &broken{create: creates(func(_ string, p *pendingWith) {
				p.abort = func(p snapshot.Pending) error { _ = p.Commit(ctx); return nil }
			})}
		}},
		"commits twice": {"Bucket/Commit", func() *broken {
			return &broken{create: creates(func(_ string, p *pendingWith) {
				p.commit = func(ctx context.Context, p snapshot.Pending) error {
					if err := p.Commit(ctx); !errors.Is(err, fault.ErrClosed) {
						return err
					}
					return nil
				}
			})}
		}},
		"commit forgets to commit": {"Bucket/Empty", func() *broken {
			return &broken{create: creates(func(_ string, p *pendingWith) {
				p.commit = func(context.Context, snapshot.Pending) error { return nil }
			})}
		}},
		"removes nothing": {"Bucket/Remove", func() *broken {
			return &broken{remove: func(ctx context.Context, b snapshot.Bucket, name string) error {
				return ctx.Err()
			}}
		}},
		"removes everything": {"Bucket/Remove", func() *broken {
			return &broken{remove: func(ctx context.Context, b snapshot.Bucket, _ string) error {
				sizes, err := list(ctx, b)
				for name := range sizes {
					err = errors.Join(err, b.Remove(ctx, name))
				}
				return err
			}}
		}},
		"minds removing nothing": {"Bucket/Remove", func() *broken {
			return &broken{remove: func(ctx context.Context, b snapshot.Bucket, name string) error {
				r, err := b.Open(ctx, name, 0)
				if err != nil {
					return err
				}
				return errors.Join(r.Close(), b.Remove(ctx, name))
			}}
		}},
		"lists wrong sizes": {"Bucket/List", func() *broken {
			return &broken{list: listed(func(o snapshot.Object) []snapshot.Object {
				o.Size++
				return []snapshot.Object{o}
			})}
		}},
		"lists twice": {"Bucket/List", func() *broken {
			return &broken{list: listed(func(o snapshot.Object) []snapshot.Object { return []snapshot.Object{o, o} })}
		}},
		"lists a part": {"Bucket/List", func() *broken {
			n := 0
			return &broken{list: listed(func(o snapshot.Object) []snapshot.Object {
				if n++; n%50 == 0 {
					return nil
				}
				return []snapshot.Object{o}
			})}
		}},
		"folds case": {"Bucket/Names", func() *broken {
			return &broken{list: listed(func(o snapshot.Object) []snapshot.Object {
				o.Name = strings.ToLower(o.Name)
				return []snapshot.Object{o}
			})}
		}},
		"a reader goes on in the new object": {"Bucket/OpenReader", func() *broken {
			return &broken{open: func(ctx context.Context, b snapshot.Bucket, name string, off int64) (io.ReadCloser, error) {
				r, err := b.Open(ctx, name, off)
				if err != nil {
					return nil, err
				}
				return readsWith{r, func(p []byte) (int, error) {
					now, err := get(ctx, b, name, off)
					if err != nil || len(now) == 0 {
						return 0, io.EOF
					}
					n := copy(p, now)
					off += int64(n)
					return n, nil
				}}, nil
			}}
		}},
		"ignores the context": {"Bucket/Cancel", func() *broken {
			return &broken{remove: func(ctx context.Context, b snapshot.Bucket, name string) error {
				return b.Remove(context.WithoutCancel(ctx), name)
			}}
		}},
		"missing is another error": {"Bucket/Missing", func() *broken {
			return &broken{open: func(ctx context.Context, b snapshot.Bucket, name string, off int64) (io.ReadCloser, error) {
				r, err := b.Open(ctx, name, off)
				if errors.Is(err, fault.ErrNotFound) {
					err = errors.New("404")
				}
				return r, err
			}}
		}},
		"does not close": {"Bucket/Closed", func() *broken {
			return &broken{close: func(snapshot.Bucket) error { return nil }}
		}},
		"forgets at Close": {"Bucket/Reopen", func() *broken {
			return &broken{close: func(b snapshot.Bucket) error {
				clear(b.(*plain).objects)
				return b.Close()
			}}
		}},
		"loses the identity": {"Store/Identity", func() *broken {
			return &broken{close: func(b snapshot.Bucket) error {
				delete(b.(*plain).objects, "IDENTITY")
				return b.Close()
			}}
		}},
	}
}

func unwrap(err error) error {
	if errors.Is(err, fault.ErrNotFound) {
		return fault.ErrNotFound
	}
	return err
}

func listed(change func(snapshot.Object) []snapshot.Object) func(context.Context, snapshot.Bucket) iter.Seq2[snapshot.Object, error] {
	return func(ctx context.Context, b snapshot.Bucket) iter.Seq2[snapshot.Object, error] {
		return func(yield func(snapshot.Object, error) bool) {
			for o, err := range b.List(ctx) {
				for _, o := range change(o) {
					if !yield(o, err) {
						return
					}
				}
				if err != nil {
					yield(o, err)
					return
				}
			}
		}
	}
}

// TestFaultsAreSeen runs the cases on buckets that break one rule each: a
// suite that cannot fail proves nothing.
func TestFaultsAreSeen(t *testing.T) {
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			for _, c := range Cases() {
				if c.Name != f.sees {
					continue
				}
				b, kept := f.bucket(), newPlain()
				b.Bucket = kept
				open := func() (snapshot.Bucket, error) {
					_, err := kept.reopen()
					return b, err
				}
				err := c.Run(t.Context(), open)
				if err == nil {
					t.Errorf("%s does not see it\nrule: %s", c.Name, c.Rule)
				}
				t.Log(err)
				return
			}
			t.Errorf("there is no case %s", f.sees)
		})
	}
}

// rotting is a bucket whose reads of containers go wrong in one place.
type rotting struct{ *plain }

func (b rotting) Open(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	const at = 2000
	all, err := get(ctx, b.plain, name, off)
	if err != nil {
		return nil, unwrap(err)
	}
	if i := at - off; i >= 0 && i < int64(len(all)) && strings.HasSuffix(name, ".snap") {
		all[i] ^= 1
	}
	return io.NopCloser(bytes.NewReader(all)), nil
}

// TestRandomSeesRot runs the random test on a bucket that flips a bit.
func TestRandomSeesRot(t *testing.T) {
	b := newPlain()
	open := func() (snapshot.Bucket, error) {
		_, err := b.reopen()
		return rotting{b}, err
	}
	err := Random(open, 1, 300)
	if !errors.Is(err, fault.ErrCorrupt) || !strings.Contains(err.Error(), "seed 1, step ") {
		t.Errorf("Random on a bucket that flips a bit = %v, want a corruption with seed and step", err)
	}
}

func TestEveryCaseStatesItsRule(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if c.Name == "" || c.Rule == "" || c.Run == nil || seen[c.Name] {
			t.Errorf("case %q: rule %q, twice %v", c.Name, c.Rule, seen[c.Name])
		}
		seen[c.Name] = true
	}
}
