package snapshot_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
)

// A removal that the bucket refused leaves the snapshot where it was: listed,
// readable, and removed by the next attempt.
func TestRemoveThatFailsHidesNothing(t *testing.T) {
	broken := errors.New("broken")
	f := &flaky{kept: newKept(), err: broken}
	s := open(t, f, nil)
	content := text(1, 100)
	old := commit(t, s, 10, content, nil)
	commit(t, s, 20, content, nil)
	f.refuse = "remove"
	if err := s.Remove(t.Context(), old.ID, nil); !errors.Is(err, broken) {
		t.Fatalf("Remove = %v, want the bucket's error", err)
	}
	if got := ids(t, s); !slices.Equal(got, []uint64{20, 10}) {
		t.Errorf("after a removal that failed %v are listed, want 20 and 10", got)
	}
	wantRead(t, s, old.ID, content)
	if gone, err := s.Prune(t.Context(), snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1}); len(gone) > 0 || !errors.Is(err, broken) {
		t.Errorf("Prune = %v, %v, want nothing and the bucket's error", gone, err)
	}
	wantRead(t, s, old.ID, content)
	f.refuse = ""
	if err := s.Remove(t.Context(), old.ID, nil); err != nil {
		t.Errorf("second Remove = %v", err)
	}
}
