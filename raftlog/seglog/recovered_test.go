package seglog_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

// What was torn off is told, with the index from which on it may be missed, and
// kept aside; a log that ends with whole frames, or was closed, is not torn.
func TestRecovered(t *testing.T) {
	im, n := threeSegments(t)
	crashed := im.with("CLEAN", nil)
	whole := im[lastSegment]
	torn := bytes.Clone(whole)
	torn[framesEnd(torn)-1] ^= 1
	for name, tc := range map[string]struct {
		im          image
		clean, torn bool
	}{
		"closed":            {im, true, false},
		"killed":            {crashed, false, false},
		"killed in a write": {crashed.with(lastSegment, torn), false, true},
	} {
		fsys := tc.im.fs(t)
		s, err := seglog.Open("log", &seglog.Options{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		r := s.Recovered()
		if r.Clean != tc.clean || r.Torn != tc.torn || tc.torn != (r.Path == "log/"+lastSegment) {
			t.Errorf("%s: Recovered() = %+v, want clean %t, torn %t", name, r, tc.clean, tc.torn)
		}
		index, uncertain := s.UncertainFrom(raftlog.Group{Shard: group1})
		if uncertain != tc.torn || uncertain && index != n {
			t.Errorf("%s: UncertainFrom() = %d, %t, want that of the last entry, %t", name, index, uncertain, tc.torn)
		}
		kept := 0
		for file, b := range take(t, fsys) {
			if strings.HasSuffix(file, ".torn") {
				kept++
				if !bytes.HasPrefix(torn[r.Offset:], b) {
					t.Errorf("%s: %s is not what was cut off", name, file)
				}
			}
		}
		if kept > 1 || (kept == 1) != tc.torn {
			t.Errorf("%s: %d files set aside", name, kept)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
