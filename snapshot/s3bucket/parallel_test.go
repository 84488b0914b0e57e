package s3bucket_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/trimarandb/trimaran/snapshot"
)

// The first part and the fifth wait for each other, so others overtake the
// first; of all, no more than Parallel are under way at the same time.
func TestPartsOvertakeEachOther(t *testing.T) {
	f := newFake(t)
	var flying, most atomic.Int64
	first, fifth := make(chan struct{}), make(chan struct{})
	f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		number := r.URL.Query().Get("partNumber")
		if number == "" {
			return false
		}
		now := flying.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		switch number {
		case "1":
			close(first)
			<-fifth
		case "5":
			close(fifth)
			<-first
		}
		flying.Add(-1) // before the answer, and so before another takes its place
		return false
	}
	o := f.options()
	o.Parallel = 3
	b := f.open(o)
	content := noise(35_000) // nine parts
	if err := upload(t.Context(), b, "long", content); err != nil {
		t.Fatal(err)
	}
	if got, err := download(t.Context(), b, "long", 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v, want what was written", len(got), err)
	}
	if most.Load() < 2 || most.Load() > 3 {
		t.Errorf("%d parts at the same time, want 2 or 3", most.Load())
	}
}

// The second part is refused for good while the first is under way, for ever if
// nobody calls it off: the object is given up, and nothing of it is left.
func TestPartFailsBesideAnother(t *testing.T) {
	for name, end := range map[string]func(snapshot.Pending) error{
		"commit": func(p snapshot.Pending) error { return p.Commit(t.Context()) },
		"write": func(p snapshot.Pending) (err error) {
			for range 100 {
				if _, err = p.Write(noise(1000)); err != nil {
					break
				}
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			first := make(chan struct{})
			f.before = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				switch r.URL.Query().Get("partNumber") {
				case "1":
					_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client went
					close(first)
					<-r.Context().Done()
					return true
				case "2":
					<-first
					refuse(w, http.StatusForbidden, "AccessDenied")
					return true
				}
				return false
			}
			o := f.options()
			o.Attempts = 1
			b := f.open(o)
			p, err := b.Create(t.Context(), "long")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write(noise(8500)); err != nil {
				t.Fatal(err)
			}
			if err := end(p); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("error %v, want that of the second part", err)
			}
			if err := p.Abort(); err != nil {
				t.Error(err)
			}
			if left := f.left(); len(left) != 0 {
				t.Errorf("uploads %v are left behind", left)
			}
		})
	}
}
