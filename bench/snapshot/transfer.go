package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/snapshot"
)

// changes are what a follower has to catch up with: one part in a hundred of
// the key range, at places that differ.
var changes = []struct {
	name string
	change
}{
	{"values replaced in 1 % of the keys", change{lo: 0.40, hi: 0.41}},
	{"values replaced in 1 % of the keys, half as many new keys", change{lo: 0.70, hi: 0.71, insert: 0.5}},
	{"the same at the very front", change{lo: 0, hi: 0.01, insert: 0.5}},
}

// transfer moves a changed state to a store that has the state before it.
func (b *bench) transfer() (_ *result, err error) {
	r := newResult(fmt.Sprintf("transfer of %d MiB to a node that has the snapshot before it", b.plan.Size>>20), colShare, colMoved, colStored, colChunks)
	ctx := context.Background()
	leader, err := openStore(b.dir("transfer", "leader"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leader.Close()) }()
	for i, c := range changes {
		b.progress.Step("transfer: " + c.name)
		follower, err := openStore(b.dir("transfer", fmt.Sprintf("follower %d", i)))
		if err != nil {
			return nil, err
		}
		s, err := b.move(ctx, leader, follower, uint64(2*i+1), c.change)
		if err = errors.Join(err, follower.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		r.add(c.name, s)
	}
	return r, nil
}

// move gives the follower the state as it was, by a transfer too, and then as
// it is, and counts what the second transfer moved.
func (b *bench) move(ctx context.Context, leader, follower *snapshot.Store, index uint64, c change) (s sample, err error) {
	for i, c := range []change{{}, c} {
		m, err := create(ctx, leader, snapshot.CodecZstd, index+uint64(i), func(w io.Writer) error {
			return writeState(w, b.plan.Size, b.seed, c)
		})
		if err != nil {
			return nil, err
		}
		if s, err = send(ctx, leader, follower, m); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func send(ctx context.Context, from, to *snapshot.Store, m snapshot.Meta) (sample, error) {
	man, err := from.Manifest(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	text, err := man.MarshalBinary()
	if err != nil {
		return nil, err
	}
	r, err := to.Receive(ctx, man)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	moved, need := int64(len(text)), r.Need()
	for _, n := range need {
		chunk, err := from.Chunk(ctx, m.ID, n)
		if err != nil {
			return nil, err
		}
		counted := &counter{r: chunk}
		if err := errors.Join(r.Put(n, counted), chunk.Close()); err != nil {
			return nil, err
		}
		moved += counted.n
	}
	got, err := r.Commit()
	if err == nil && got.Digest != m.Digest {
		err = fmt.Errorf("received %s, want %s", got.Digest, m.Digest)
	}
	return sample{
		colMoved.name: float64(moved), colStored.name: float64(m.StoredSize), colChunks.name: float64(len(need)),
		colShare.name: 100 * float64(moved) / float64(m.StoredSize),
	}, err
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
