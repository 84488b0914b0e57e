package crashtest_test

import (
	"testing"

	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// BenchmarkCampaign says what one crash costs that is looked at, the toy's own
// work included.
func BenchmarkCampaign(b *testing.B) {
	checks := 0
	for seed := uint64(1); b.Loop(); seed++ {
		r, err := crashtest.Run(b.Context(), &crashtest.Options{Seed: seed, Workers: 1, Stride: 1}, toyWorkload(bugs{}))
		if err != nil {
			b.Fatal(err)
		}
		checks += r.Checks
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(checks), "ns/crash")
}
