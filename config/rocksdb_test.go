//go:build !rocksdb

package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
)

// A file that names an engine which this build lacks is valid. Opening it is
// refused before anything is made, with what to do about it.
func TestRocksDBIsNotInThisBuild(t *testing.T) {
	c, err := config.Load("../examples/high-performance.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, open := c.Open(t.Context(), dir)
	for call, err := range map[string]error{"Check": c.Check(), "Open": open} {
		if !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("%s = %v, want ErrUnsupported", call, err)
			continue
		}
		for _, word := range []string{"../examples/high-performance.yaml:21:19: raft_storage.app_storage.backend_type", "-tags rocksdb", "librocksdb-dev", "pebble"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s = %v, want it to name %s", call, err, word)
			}
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the directory holds %v, %v, want nothing made", entries, err)
	}
}
