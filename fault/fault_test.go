package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/trimarandb/trimaran/fault"
)

func TestCorruptionMatches(t *testing.T) {
	c := &fault.Corruption{Path: "x.seg", Offset: 4096, Index: 7, Class: fault.Committed, Reason: "checksum mismatch", Err: io.ErrUnexpectedEOF}
	err := fmt.Errorf("read entry 7: %w", c)
	for _, target := range []error{fault.ErrCorrupt, io.ErrUnexpectedEOF} {
		if !errors.Is(err, target) {
			t.Errorf("errors.Is(%v, %v) = false, want true", err, target)
		}
	}
	var got *fault.Corruption
	if !errors.As(err, &got) || got != c {
		t.Errorf("errors.As found %v, want %v", got, c)
	}
	want := "read entry 7: x.seg at 4096: committed damage, index 7: checksum mismatch: unexpected EOF"
	if err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestCorruptionSaysOnlyWhatIsKnown(t *testing.T) {
	for _, tc := range []struct {
		c    fault.Corruption
		want string
	}{
		{fault.Corruption{Class: fault.Torn}, "torn damage"},
		{fault.Corruption{Path: "IDENTITY", Offset: -1, Class: fault.Missing, Reason: "no such file"}, "IDENTITY: missing damage: no such file"},
		{fault.Corruption{Class: 9, Index: 3}, "class(9) damage, index 3"},
	} {
		if got := tc.c.Error(); got != tc.want {
			t.Errorf("Error() = %q, want %q", got, tc.want)
		}
	}
}
