package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// peer is another store, on a bucket of its own, that has one snapshot.
func peer(ctx context.Context, index uint64, content []byte) (*env, snapshot.Meta, error) {
	src, err := newEnv(newPlain().reopen, nil)
	if err != nil {
		return nil, snapshot.Meta{}, err
	}
	m, err := commit(ctx, src.Store, info(index), content, nil)
	return src, m, err
}

func installs(ctx context.Context, e *env) error {
	content := e.payload(30_000)
	src, m, err := peer(ctx, 10, content)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	stream, err := src.Stream(ctx, m.ID)
	if err != nil {
		return err
	}
	whole, err := io.ReadAll(stream)
	if err = errors.Join(err, stream.Close()); err != nil {
		return err
	}
	for off := 0; off < len(whole); off += 1 + len(whole)/97 {
		b := bytes.Clone(whole)
		b[off] ^= 0x04
		_, changed := e.Install(ctx, bytes.NewReader(b), nil)
		_, cut := e.Install(ctx, bytes.NewReader(whole[:off]), nil)
		if err := errors.Join(corrupt("changed", changed), corrupt("cut", cut)); err != nil {
			return fmt.Errorf("Install at %d: %w", off, err)
		}
	}
	_, extended := e.Install(ctx, bytes.NewReader(append(bytes.Clone(whole), 0)), nil)
	broken := errors.New("connection reset")
	_, reset := e.Install(ctx, io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), failing{broken}), nil)
	if err := errors.Join(corrupt("Install with a byte more", extended), want("Install from a broken pipe", reset, broken), has(ctx, e.Store)); err != nil {
		return err
	}
	sizes, err := list(ctx, e.bucket)
	if err != nil || len(sizes) > 0 {
		return fmt.Errorf("the bucket holds %v, %v after refused installs, want nothing", sizes, err)
	}
	var last int64
	got, err := e.Install(ctx, bytes.NewReader(whole), &snapshot.InstallOptions{Size: int64(len(whole)), Progress: func(done, _ int64) { last = done }})
	if err != nil || last != int64(len(whole)) {
		return fmt.Errorf("Install = %w with progress %d of %d", err, last, len(whole))
	}
	m.ID = got.ID
	return errors.Join(same(got, m), has(ctx, e.Store, m), readsAs(ctx, e.Store, m.ID, content))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func installTwice(ctx context.Context, e *env) error {
	content := e.payload(9000)
	src, m, err := peer(ctx, 10, content)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	seen := map[snapshot.ID]bool{}
	for range 3 {
		stream, err := src.Stream(ctx, m.ID)
		if err != nil {
			return err
		}
		got, err := e.Install(ctx, stream, nil)
		if err = errors.Join(err, stream.Close()); err != nil {
			return err
		}
		if seen[got.ID] {
			return fmt.Errorf("id %v was given twice", got.ID)
		}
		seen[got.ID] = true
		if err := readsAs(ctx, e.Store, got.ID, content); err != nil {
			return err
		}
	}
	list, err := all(ctx, e.Store)
	if err != nil || len(list) != 3 {
		return fmt.Errorf("All = %v, %v, want three", ids(list), err)
	}
	return nil
}

func fetch(ctx context.Context, r *snapshot.Receiver, src *env, id snapshot.ID, n int) error {
	c, err := src.Chunk(ctx, id, n)
	if err != nil {
		return err
	}
	return errors.Join(r.Put(n, c), c.Close())
}

func receives(ctx context.Context, e *env) error {
	content := e.payload(60_000)
	src, m, err := peer(ctx, 10, content)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	man, err := src.Manifest(ctx, m.ID)
	if err != nil {
		return err
	}
	r, err := e.Receive(ctx, man)
	if err != nil {
		return err
	}
	need := r.Need()
	if len(need) != len(man.Chunks) || len(need) < 4 {
		return fmt.Errorf("Need = %d chunks of %d, want all and some more than 3", len(need), len(man.Chunks))
	}
	if err := putsWrong(ctx, r, src, m.ID, need); err != nil {
		return err
	}
	for _, n := range need[:len(need)/2] {
		if err := fetch(ctx, r, src, m.ID, n); err != nil {
			return err
		}
	}
	if err := errors.Join(has(ctx, e.Store), r.Close(), r.Close(), want("Put after Close", r.Put(need[0], nil), fault.ErrClosed)); err != nil {
		return err
	}
	if r, err = e.Receive(ctx, man); err != nil {
		return err
	}
	if rest := r.Need(); !slices.Equal(rest, need[len(need)/2:]) {
		return fmt.Errorf("Need after a new start = %v, want %v", rest, need[len(need)/2:])
	}
	for _, n := range slices.Backward(r.Need()) {
		if err := fetch(ctx, r, src, m.ID, n); err != nil {
			return err
		}
	}
	got, err := r.Commit()
	if err != nil {
		return err
	}
	_, again := r.Commit()
	m.ID = got.ID
	return errors.Join(want("second Commit", again, fault.ErrClosed), same(got, m), has(ctx, e.Store, m), readsAs(ctx, e.Store, m.ID, content))
}

// putsWrong offers what is not chunk need[0].
func putsWrong(ctx context.Context, r *snapshot.Receiver, src *env, id snapshot.ID, need []int) error {
	c, err := src.Chunk(ctx, id, need[0])
	if err != nil {
		return err
	}
	right, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	changed := bytes.Clone(right)
	changed[len(changed)-1] ^= 1
	other, err := src.Chunk(ctx, id, need[1])
	if err != nil {
		return err
	}
	_, early := r.Commit()
	if err := errors.Join(
		corrupt("Put of a changed chunk", r.Put(need[0], bytes.NewReader(changed))),
		corrupt("Put of half a chunk", r.Put(need[0], bytes.NewReader(right[:len(right)/2]))),
		corrupt("Put of a chunk and more", r.Put(need[0], bytes.NewReader(append(right, 0)))),
		corrupt("Put of another chunk", r.Put(need[0], other)),
		want("Put of no chunk of it", r.Put(len(need)+1000, bytes.NewReader(right)), fault.ErrInvalid),
		want("Commit with chunks missing", early, fault.ErrInvalid)); err != nil {
		return err
	}
	if now := r.Need(); !slices.Equal(now, need) {
		return fmt.Errorf("Need = %v after wrong Puts, want %v", now, need)
	}
	return nil
}

func receiveReuses(ctx context.Context, e *env) error {
	content := e.payload(100_000)
	if _, err := commit(ctx, e.Store, info(5), content, &snapshot.CreateOptions{Codec: snapshot.CodecGzip}); err != nil {
		return err
	}
	content = slices.Insert(content, 50_000, e.payload(100)...)
	src, m, err := peer(ctx, 10, content)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	man, err := src.Manifest(ctx, m.ID)
	if err != nil {
		return err
	}
	r, err := e.Receive(ctx, man)
	if err != nil {
		return err
	}
	need := r.Need()
	if len(need) == 0 || len(need) > len(man.Chunks)/2 {
		return fmt.Errorf("Need = %d of %d chunks after an insertion, want a few", len(need), len(man.Chunks))
	}
	for _, n := range need {
		if err := fetch(ctx, r, src, m.ID, n); err != nil {
			return err
		}
	}
	got, err := r.Commit()
	if err != nil {
		return err
	}
	if got.Digest != m.Digest || got.Size != m.Size {
		return fmt.Errorf("Commit = %+v, want the digest and size of %+v", got, m)
	}
	return readsAs(ctx, e.Store, got.ID, content)
}

func receiveConflict(ctx context.Context, e *env) error {
	src, m, err := peer(ctx, 10, e.payload(20_000))
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	man, err := src.Manifest(ctx, m.ID)
	if err != nil {
		return err
	}
	first, err := e.Receive(ctx, man)
	if err != nil {
		return err
	}
	if err := fetch(ctx, first, src, m.ID, 0); err != nil {
		return err
	}
	_, second := e.Receive(ctx, man)
	if err := errors.Join(want("second Receive", second, fault.ErrConflict), want("Abort", first.Abort(), nil)); err != nil {
		return err
	}
	third, err := e.Receive(ctx, man)
	if err != nil {
		return err
	}
	if n := len(third.Need()); n != len(man.Chunks) {
		err = fmt.Errorf("Need = %d of %d chunks after Abort, want all", n, len(man.Chunks))
	}
	man.Chunks = man.Chunks[1:]
	_, forged := e.Receive(ctx, man)
	_, none := e.Receive(ctx, snapshot.Manifest{})
	return errors.Join(err, want("Receive of a changed manifest", forged, fault.ErrInvalid),
		want("Receive of no manifest", none, fault.ErrInvalid), third.Abort())
}
