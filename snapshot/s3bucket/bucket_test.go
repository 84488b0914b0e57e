package s3bucket_test

import (
	"flag"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
)

var seed = flag.Uint64("seed", 0, "replay the random run with this seed")

func TestContract(t *testing.T) {
	g := startGateway(t)
	snaptest.Run(t, func(t testing.TB) snaptest.Open {
		o := options(nextPrefix())
		return func() (snapshot.Bucket, error) { return s3bucket.Open(t.Context(), g.endpoint(), bucketTag, o) }
	})
}

func TestRandom(t *testing.T) {
	g := startGateway(t)
	snaptest.RunRandom(t, func(t testing.TB) snaptest.Open {
		o := options(nextPrefix())
		return func() (snapshot.Bucket, error) { return s3bucket.Open(t.Context(), g.endpoint(), bucketTag, o) }
	}, *seed, 1, 100)
}
