//go:build !rocksdb || !cgo

package rockskv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv/rockskv"
)

func TestOpenSaysWhatToDo(t *testing.T) {
	_, err := rockskv.Open(t.TempDir(), nil)
	if !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Open = %v, want unsupported", err)
	}
	for _, word := range []string{"-tags rocksdb", "librocksdb-dev", "pebble", "CGO_ENABLED=1"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("Open = %v, want %q in it", err, word)
		}
	}
	if _, err := rockskv.Open(t.TempDir(), &rockskv.Options{CompactionStyle: "lazy"}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Open with bad options = %v, want invalid", err)
	}
}
