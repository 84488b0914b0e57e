//go:build rocksdb && cgo

package rockskv

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// An overlay does what a map does, both ways round, and copies stay what they
// are.
func TestOverlayIsLikeAMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	key := func() string { return fmt.Sprintf("%03d", rnd.IntN(300)) }
	o, want := overlay{seed: maphash.MakeSeed()}, map[string]bool{}
	var old overlay
	var oldWant map[string]bool
	for i := range 3000 {
		switch k := key(); rnd.IntN(40) {
		case 0:
			lo, hi := min(k, key()), k
			if lo < hi {
				o.deleteRange([]byte(lo), []byte(hi))
				maps.DeleteFunc(want, func(k string, _ bool) bool { return lo <= k && k < hi })
			}
		case 1:
			sameNodes(t, &old, oldWant)
			old, oldWant = o, maps.Clone(want)
		default:
			gone := rnd.IntN(3) == 0
			o.put([]byte(k), nil, gone)
			want[k] = gone
		}
		if i%100 == 0 {
			sameNodes(t, &o, want)
		}
	}
}

func sameNodes(t *testing.T, o *overlay, want map[string]bool) {
	t.Helper()
	sorted := slices.Sorted(maps.Keys(want))
	for _, r := range [][2]string{{"", ""}, {"100", "200"}, {"1005", "2005"}, {"5", ""}, {"", "1"}} {
		inside := slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return k < r[0] || r[1] != "" && k >= r[1] })
		for _, reverse := range []bool{false, true} {
			var got []string
			for w := o.from([]byte(r[0]), []byte(r[1]), reverse); w.node() != nil; w.next() {
				k := string(w.node().key)
				if k < r[0] || r[1] != "" && k >= r[1] {
					break
				}
				if w.node().gone != want[k] || o.get([]byte(k)) != w.node() {
					t.Errorf("%s: gone %v, want %v", k, w.node().gone, want[k])
				}
				got = append(got, k)
			}
			if reverse {
				slices.Reverse(got)
			}
			if !slices.Equal(got, inside) {
				t.Fatalf("walk of %q, reverse %v = %s, want %s", r, reverse, strings.Join(got, " "), strings.Join(inside, " "))
			}
		}
	}
}
