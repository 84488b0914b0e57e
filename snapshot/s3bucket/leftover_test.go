package s3bucket_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/snapshot"
)

// leave begins an upload past the package, as a process does that was killed.
func (f *fake) leave(key string, age time.Duration, parts ...time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	u := &multipart{key: key, begun: f.now.Add(-age), parts: map[int]filePart{}}
	for i, age := range parts {
		u.parts[i+1] = filePart{content: []byte("x"), tag: tagOf([]byte("x")), written: f.now.Add(-age)}
	}
	f.uploads["left-"+key+time.Duration(f.serial).String()] = u
}

// Open aborts what nobody adds to any more, below its own prefix.
func TestLeftovers(t *testing.T) {
	const day = 24 * time.Hour
	f := newFake(t)
	for range 20 { // more than a page
		f.leave("a/old", 2*day)
	}
	f.leave("a/old-with-parts", 9*day, 5*day, 2*day)
	f.leave("a/young", day-time.Minute)
	f.leave("a/lives", 9*day, slices.Concat(slices.Repeat([]time.Duration{8 * day}, 17), []time.Duration{time.Hour})...)
	f.leave("a/deeper/old", 9*day)
	f.leave("ab/old", 9*day)
	f.leave("b/old", 9*day)
	f.leave("old", 9*day)
	f.open(f.options())
	if want := []string{"a/deeper/old", "a/lives", "a/young", "ab/old", "b/old", "old"}; !slices.Equal(f.left(), want) {
		t.Errorf("uploads left: %q, want %q", f.left(), want)
	}
}

// A node that stays open looks again when it writes, and spares its own.
func TestLeftoversLater(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.LeftoverAge = time.Hour
	b := f.open(o)
	begin := func(name string) snapshot.Pending {
		p, err := b.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(noise(9000)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := begin("slow")
	f.leave("a/left", 0)
	f.advance(59 * time.Minute)
	f.asked()
	begin("x")
	if slices.Contains(f.asked(), "GET ?uploads") {
		t.Error("Create looked for leftovers again within an hour")
	}
	f.advance(2 * time.Minute)
	begin("y")
	if want := []string{"a/slow", "a/x", "a/y"}; !slices.Equal(f.left(), want) {
		t.Errorf("uploads left: %q, want %q", f.left(), want)
	}
	if err := p.Commit(t.Context()); err != nil {
		t.Errorf("Commit of an upload that is older than an hour = %v", err)
	}
	if err := b.Close(); err != nil || len(f.left()) > 0 {
		t.Errorf("Close = %v and left %q, want nothing", err, f.left())
	}
}

// A server that lists no uploads can be used all the same.
func TestLeftoversForbidden(t *testing.T) {
	f := newFake(t)
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what != "GET ?uploads" {
			return false
		}
		refuse(w, 403, "AccessDenied")
		return true
	}
	var log bytes.Buffer
	o := f.options()
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b := f.open(o)
	if err := upload(t.Context(), b, "x", noise(9000)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "leftovers could not be removed") {
		t.Errorf("log is %q, want it to tell", log.String())
	}
}

// Where an upload cannot be aborted, Abort says so, and the next search does it.
func TestAbortFails(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	p, err := b.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(noise(9000)); err != nil {
		t.Fatal(err)
	}
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what == "DELETE a/x?uploadId" {
			refuse(w, 403, "AccessDenied")
		}
		return what == "DELETE a/x?uploadId"
	}
	if err := p.Abort(); err == nil {
		t.Error("Abort = nil, want the server's refusal")
	}
	if err := p.Abort(); err != nil {
		t.Errorf("second Abort = %v, want nil", err)
	}
	f.before = nil
	f.advance(25 * time.Hour)
	f.open(f.options())
	if len(f.left()) > 0 {
		t.Errorf("uploads left: %q, want none", f.left())
	}
}
