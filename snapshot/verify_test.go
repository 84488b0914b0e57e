package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// stray changes a byte of each container that is written, at a place where a
// chunk is.
type stray struct {
	kept
	armed bool
}

func (b *stray) Create(ctx context.Context, name string) (snapshot.Pending, error) {
	p, err := b.kept.Create(ctx, name)
	return &strayPending{Pending: p, b: b}, err
}

type strayPending struct {
	snapshot.Pending
	b *stray
	n int
}

func (p *strayPending) Write(b []byte) (int, error) {
	const at = 2000
	if p.b.armed && p.n <= at && at < p.n+len(b) {
		b = bytes.Clone(b)
		b[at-p.n] ^= 1
	}
	p.n += len(b)
	return p.Pending.Write(b)
}

// With CreateOptions.Verify a snapshot whose chunks are not what was written is
// not there after Commit, and retention has removed nothing.
func TestCommitReadsBack(t *testing.T) {
	b := &stray{kept: newKept()}
	s := open(t, b, &snapshot.Options{Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}, Codec: snapshot.CodecNone})
	content := text(1, 5000)
	commit(t, s, 10, content, &snapshot.CreateOptions{Verify: true})
	b.armed = true
	w, err := s.Create(t.Context(), info(20), &snapshot.CreateOptions{Verify: true})
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Commit = %v, want what was read back", err)
	}
	if got := ids(t, s); !slices.Equal(got, []uint64{10}) {
		t.Errorf("%v are listed, want 10 alone", got)
	}
	if got := b.names(t); len(got) != 1 {
		t.Errorf("the bucket holds %v, want one container", got)
	}
	b.armed = false
	commit(t, s, 20, content, &snapshot.CreateOptions{Verify: true})
	if got := ids(t, s); !slices.Equal(got, []uint64{20}) {
		t.Errorf("%v are listed, want 20 alone", got)
	}
}
