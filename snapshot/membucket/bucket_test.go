package membucket_test

import (
	"errors"
	"flag"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
)

var seed = flag.Uint64("seed", 0, "replay the random run with this seed")

func place(testing.TB) snaptest.Open {
	return func() (snapshot.Bucket, error) { return membucket.New(nil), nil }
}

func TestContract(t *testing.T) { snaptest.Run(t, place) }

func TestFull(t *testing.T) {
	b := membucket.New(&membucket.Options{MaxSize: 100})
	fill := func(name string, n int) error {
		p, err := b.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(make([]byte, n)); err != nil {
			return errors.Join(err, p.Abort())
		}
		return p.Commit(t.Context())
	}
	for _, step := range []struct {
		name string
		size int
		want error
	}{
		{"a", 60, nil},
		{"b", 41, fault.ErrFull},
		{"b", 40, nil},
		{"c", 1, fault.ErrFull},
	} {
		if err := fill(step.name, step.size); !errors.Is(err, step.want) {
			t.Errorf("%d bytes into %s = %v, want %v", step.size, step.name, err, step.want)
		}
	}
	if err := b.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := fill("c", 60); err != nil {
		t.Errorf("60 bytes after 60 were removed = %v, want room", err)
	}
	if o, err := b.Stat(t.Context(), "b"); err != nil || o.Size != 40 {
		t.Errorf("Stat(b) = %v, %v, want 40 bytes", o, err)
	}
	if _, err := b.Stat(t.Context(), "a"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Stat(a) = %v, want ErrNotFound", err)
	}
}

func TestRandom(t *testing.T) { snaptest.RunRandom(t, place, *seed, 5, 300) }
