package s3bucket_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/race"
)

// A wrong tag for a part is found out by the server when it puts the parts
// together: nothing appears, nothing is left.
func TestWrongTagOfPart(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	f.after = func(answer *httptest.ResponseRecorder, what string) {
		if what == "PUT a/x?partNumber&uploadId" {
			answer.Header().Set("ETag", `"0123"`)
		}
	}
	if err := upload(t.Context(), b, "x", noise(9000)); err == nil || !strings.Contains(err.Error(), "InvalidPart") {
		t.Errorf("Commit = %v, want the server's refusal", err)
	}
	if names, _ := listed(t, b); len(names) > 0 || len(f.left()) > 0 {
		t.Errorf("objects %v and uploads %v, want nothing", names, f.left())
	}
}

// The answer to a commit is lost, with all that come after it for a while.
func TestCommitAnswerLost(t *testing.T) {
	for _, cuts := range []int{1, 3} {
		f := newFake(t)
		b := f.open(f.options())
		f.put("a/x", []byte("older"))
		left := -1 // requests to fail, once the commit was done
		f.before = func(http.ResponseWriter, *http.Request, string) bool {
			if left > 0 {
				left--
				panic(http.ErrAbortHandler)
			}
			return false
		}
		f.after = func(_ *httptest.ResponseRecorder, what string) {
			if what == "POST a/x?uploadId" && left < 0 {
				left = cuts
				panic(http.ErrAbortHandler)
			}
		}
		content := noise(9000)
		if err := upload(t.Context(), b, "x", content); err != nil {
			t.Errorf("Commit = %v after its answer was lost, want nil", err)
		}
		if got, err := download(t.Context(), b, "x", 0); err != nil || !bytes.Equal(got, content) {
			t.Errorf("x holds %d bytes, %v, want the new ones", len(got), err)
		}
	}
}

// The answer to a commit is lost, and then the object cannot be asked for a
// while, though the server says that there is no such upload.
func TestCommitAnswerLostAndObjectSilent(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	lost, silent := false, 0
	f.after = func(_ *httptest.ResponseRecorder, what string) {
		if what == "POST a/x?uploadId" && !lost {
			lost = true
			panic(http.ErrAbortHandler)
		}
	}
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what != "GET a/x" || silent == 3 {
			return false
		}
		silent++
		refuse(w, 503, "SlowDown")
		return true
	}
	if err := upload(t.Context(), b, "x", noise(9000)); err != nil || silent != 3 {
		t.Errorf("Commit = %v after its answer was lost, want nil", err)
	}
}

// A commit that the server gave up is not mistaken for one that worked, though
// an older object of that name is there.
func TestUploadLost(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	f.put("a/x", []byte("older"))
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what == "POST a/x?uploadId" {
			refuse(w, 404, "NoSuchUpload")
			return true
		}
		return false
	}
	if err := upload(t.Context(), b, "x", noise(9000)); err == nil || errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Commit = %v of an upload that is gone, want an error", err)
	}
	if got, err := download(t.Context(), b, "x", 0); err != nil || string(got) != "older" {
		t.Errorf("x holds %q, %v, want what it held", got, err)
	}
}

// Some servers fail with a 200, when they have begun to answer.
func TestCommitFailsInsideAnswer(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	failed := false
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what != "POST a/x?uploadId" || failed {
			return false
		}
		failed = true
		refuse(w, 200, "InternalError")
		return true
	}
	if err := upload(t.Context(), b, "x", noise(9000)); err != nil || !failed {
		t.Errorf("Commit = %v, want another attempt", err)
	}
}

func TestTooManyParts(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine sends ten thousand requests")
	}
	f := newFake(t)
	o := f.options()
	o.PartSize = 1
	b := f.open(o)
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what != "PUT a/x?partNumber&uploadId" {
			return false
		}
		w.Header().Set("ETag", `"tag"`)
		return true
	}
	p, err := b.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	n, err := p.Write(make([]byte, 11_000))
	if !errors.Is(err, fault.ErrFull) || n != 10_001 { // the last is in memory
		t.Errorf("Write = %d, %v, want ErrFull after 10000 parts", n, err)
	}
	if keys := f.left(); slices.Contains(keys, "a/x") {
		t.Errorf("uploads %v are left, want none", keys)
	}
	if _, err := p.Write([]byte{1}); !errors.Is(err, fault.ErrFull) {
		t.Errorf("the next Write = %v, want ErrFull", err)
	}
}
