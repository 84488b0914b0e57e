package crashtest

import (
	"runtime"
	"testing"
)

// A million images are remembered in less than 100 MB.
func TestMemoryOfImages(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := newCampaign(t.Context(), nil)
	for i := range uint64(1_000_000) {
		c.fresh(1, mix(i), Expect{States: []int{1}})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 100<<20 {
		t.Errorf("%d MB", got>>20)
	} else {
		t.Logf("%d MB", got>>20)
	}
	if c.report.Distinct != 1_000_000 {
		t.Errorf("%d images", c.report.Distinct)
	}
}
