package raftlog_test

import (
	"math"
	"testing"

	"github.com/trimarandb/trimaran/raftlog"
)

func TestHistogram(t *testing.T) {
	last := len(raftlog.Histogram{}) - 1
	for _, c := range []struct {
		value uint64
		at    int
	}{{0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {1 << 10, 10}, {1<<10 + 1, 11}, {1 << (last - 1), last - 1}, {1 << last, last}, {math.MaxUint64, last}} {
		var h raftlog.Histogram
		h.Add(c.value)
		if h[c.at] != 1 || h.Count() != 1 {
			t.Errorf("Add(%d) = %v, want it at %d", c.value, h, c.at)
		}
	}
}
