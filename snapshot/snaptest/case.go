package snaptest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
)

// Open opens the bucket that is tested. The first call in a case finds it
// empty; a later one, after the bucket was closed, finds what was committed,
// unless the bucket says that it is volatile (see [snapshot.Volatile]).
type Open func() (snapshot.Bucket, error)

// Case is one rule and the check for it. Run returns nil if the rule holds and
// otherwise says what was seen and what was wanted. It closes what it opens.
type Case struct {
	Name string
	Rule string
	Run  func(ctx context.Context, open Open) error
}

// Cases returns all cases: those for buckets, then those for stores.
func Cases() []Case { return slices.Concat(BucketCases(), StoreCases()) }

// Run runs all cases as subtests. place is called once for each and returns a
// way to open a bucket of its own.
func Run(t *testing.T, place func(testing.TB) Open) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), place(t)); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
}

// RunRandom runs Random as subtests, each with a seed of its own that is
// printed. A seed that is not 0 is replayed alone.
func RunRandom(t *testing.T, place func(testing.TB) Open, seed uint64, runs, steps int) {
	seeds := []uint64{seed}
	if seed == 0 {
		seeds = seeds[:0]
		for range runs {
			seeds = append(seeds, rand.Uint64())
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("replay with -seed=%d", seed)
			if err := Random(place(t), seed, steps); err != nil {
				t.Error(err)
			}
		})
	}
}

// onBucket makes a case of a function on an open bucket.
func onBucket(fn func(ctx context.Context, b snapshot.Bucket) error) func(context.Context, Open) error {
	return func(ctx context.Context, open Open) error {
		b, err := open()
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		err = fn(ctx, b)
		if cerr := b.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("Close = %w", cerr))
		}
		return err
	}
}

func volatile(b snapshot.Bucket) bool {
	v, ok := snapshot.As[snapshot.Volatile](b)
	return ok && v.Volatile()
}

// want returns an error unless err matches target; nil wants nil.
func want(what string, err, target error) error {
	if target == nil && err != nil {
		return fmt.Errorf("%s = %w, want no error", what, err)
	}
	if !errors.Is(err, target) {
		return fmt.Errorf("%s = %v, want %v", what, err, target)
	}
	return nil
}
