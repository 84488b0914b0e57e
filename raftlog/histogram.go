package raftlog

import "math/bits"

// Histogram counts values by their size: element i those that are at most 2^i,
// and more than 2^(i-1) unless i is 0; the last one all that are larger.
type Histogram [24]uint64

// Add counts v.
func (h *Histogram) Add(v uint64) {
	h[min(bits.Len64(max(v, 1)-1), len(h)-1)]++
}

// Count is how many values were counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h {
		n += c
	}
	return n
}
