package raftlog

import (
	"math"
	"slices"
)

// Arena takes over the memory that dst brings along: it returns dst with
// length 0 and room for n entries, and at least size bytes for their payloads.
// For drivers: cut each payload from the arena with its capacity limited to
// its length, so that a caller's append does not run into its neighbour.
//
// The bytes travel in the Data of the slot at the end of dst's capacity, where
// no caller looks, marked with an index that no entry has: memory that the
// caller put there himself is left alone.
func Arena(dst []Entry, n, size int) ([]Entry, []byte) {
	dst = dst[:cap(dst)]
	var arena []byte
	if k := len(dst) - 1; k >= 0 && dst[k].Index == arenaMark {
		arena = dst[k].Data[:cap(dst[k].Data)]
	}
	if len(dst) < n+1 {
		dst = slices.Grow(dst[:0], n+1)
		dst = dst[:cap(dst)]
	}
	if arena == nil || len(arena) < size { // never nil: an empty payload is cut from it too
		arena = make([]byte, size)
	}
	dst[len(dst)-1] = Entry{Index: arenaMark, Data: arena}
	return dst[:0], arena
}

// arenaMark is beyond MaxIndex.
const arenaMark = math.MaxUint64
