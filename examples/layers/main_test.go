package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second run finds the log of the first
		var out strings.Builder
		if err := run(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		const want = `log:      1000 entries and the vote are durable
snapshot: contains the log up to index 900 of term 1, 300 rows, zstd
log:      compacted, begins at 901
data:     key-042 = value 942, from snapshot and log
digest:   both stores hold the same
`
		if out.String() != want {
			t.Errorf("output = %s, want %s", out.String(), want)
		}
	}
}
