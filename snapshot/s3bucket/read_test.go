package s3bucket_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

// cutBodies makes the server end each answer with content after n bytes, as
// long as that is less than all.
func cutBodies(f *fake, n int) {
	f.before = func(w http.ResponseWriter, r *http.Request, what string) bool {
		if what != "GET a/x" {
			return false
		}
		answer := httptest.NewRecorder()
		f.mu.Lock()
		f.answer(answer, r, "a/x", nil)
		f.mu.Unlock()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		body := answer.Body.Bytes()
		_, _ = w.Write(body[:min(n, len(body))])
		if n < len(body) {
			panic(http.ErrAbortHandler)
		}
		return true
	}
}

// A connection that breaks again and again is taken up where it stopped.
func TestReadOverCuts(t *testing.T) {
	f := newFake(t)
	content := noise(1 << 20)
	f.put("a/x", content)
	b := f.open(f.options())
	cutBodies(f, 50_000)
	got, err := download(t.Context(), b, "x", 12_345)
	if err != nil || !bytes.Equal(got, content[12_345:]) {
		t.Errorf("read %d bytes, %v, want the %d of the object", len(got), err, len(content)-12_345)
	}
}

// An object that ends early all the time is an error, never a shorter object.
func TestReadOfTruncatedBodies(t *testing.T) {
	f := newFake(t)
	f.put("a/x", noise(10_000))
	b := f.open(f.options())
	cutBodies(f, 0)
	got, err := download(t.Context(), b, "x", 0)
	if !errors.Is(err, s3bucket.ErrUnreachable) || len(got) > 0 {
		t.Errorf("read %d bytes, %v, want ErrUnreachable", len(got), err)
	}
}

// A reader moves about as much as is read, and asks seldom when all is.
func TestRanges(t *testing.T) {
	f := newFake(t)
	content := noise(8 << 20)
	f.put("a/x", content)
	b := f.open(f.options())
	var sent int
	f.after = func(answer *httptest.ResponseRecorder, what string) {
		n, _ := strconv.Atoi(answer.Header().Get("Content-Length"))
		sent += n
	}
	for _, c := range []struct{ off, read, requests int }{
		{0, 100, 1}, {4 << 20, 300 << 10, 2}, {0, 8 << 20, 5}, {8<<20 - 10, 10, 1},
	} {
		f.asked()
		sent = 0
		r, err := b.Open(t.Context(), "x", int64(c.off))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, c.read)
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, content[c.off:c.off+c.read]) {
			t.Errorf("%d bytes from %d: %v or other bytes", c.read, c.off, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := len(f.asked()); n != c.requests {
			t.Errorf("%d bytes from %d took %d requests, want %d", c.read, c.off, n, c.requests)
		}
		if most := max(128<<10, 3*c.read); sent > most {
			t.Errorf("%d bytes from %d moved %d, want at most %d", c.read, c.off, sent, most)
		}
		if _, err := r.Read(got); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("Read after Close = %v, want ErrClosed", err)
		}
	}
}

// What is read comes from one object, whatever happens to the name meanwhile.
func TestReplacedWhileRead(t *testing.T) {
	young := noise(1 << 20)
	for i := range young {
		young[i] ^= 1
	}
	for _, c := range []struct {
		name   string
		change func(f *fake)
		want   error
	}{
		{"replaced", func(f *fake) { f.put("a/x", young) }, fault.ErrConflict},
		{"replaced by a shorter one", func(f *fake) { f.put("a/x", young[:10]) }, fault.ErrConflict},
		{"removed", func(f *fake) {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.objects, "a/x")
		}, fault.ErrNotFound},
		{"replaced, and the server knows no conditions", func(f *fake) {
			f.put("a/x", young)
			f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
				r.Header.Del("If-Match")
				return false
			}
		}, fault.ErrConflict},
		{"replaced by a shorter one, and the server knows no conditions", func(f *fake) {
			f.put("a/x", young[:10])
			f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
				r.Header.Del("If-Match")
				return false
			}
		}, fault.ErrConflict},
		{"nothing, but the tag is lost", func(f *fake) {
			f.after = func(answer *httptest.ResponseRecorder, _ string) { answer.Header().Set("ETag", `""`) }
		}, fault.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			content := noise(1 << 20)
			f.put("a/x", content)
			b := f.open(f.options())
			r, err := b.Open(t.Context(), "x", 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c.change(f)
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.want) || !bytes.Equal(got, content[:len(got)]) {
				t.Errorf("read %d bytes, %v, want old bytes and %v", len(got), err, c.want)
			}
		})
	}
}

// Without tags, one object cannot be told from the next.
func TestServerWithoutTags(t *testing.T) {
	f := newFake(t)
	f.put("a/x", noise(1<<20))
	f.after = func(answer *httptest.ResponseRecorder, _ string) { answer.Header().Del("ETag") }
	b := f.open(f.options())
	if _, err := download(t.Context(), b, "x", 1<<20-1000); err != nil {
		t.Errorf("reading what one request gives = %v", err)
	}
	if _, err := download(t.Context(), b, "x", 0); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("reading what needs two requests = %v, want ErrUnsupported", err)
	}
}

// A server that pays no attention to ranges is used where that is possible.
func TestServerWithoutRanges(t *testing.T) {
	f := newFake(t)
	content := noise(300_000)
	f.put("a/x", content)
	f.before = func(w http.ResponseWriter, _ *http.Request, what string) bool {
		if what != "GET a/x" {
			return false
		}
		w.Header().Set("Last-Modified", f.clock().Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content)
		return true
	}
	b := f.open(f.options())
	if got, err := download(t.Context(), b, "x", 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v, want all", len(got), err)
	}
	if _, err := b.Open(t.Context(), "x", 1); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Open from an offset = %v, want ErrUnsupported", err)
	}
}

// Objects are listed in order, over many pages, and what lies deeper or beside
// is not.
func TestListInOrder(t *testing.T) {
	f := newFake(t)
	var want []string
	for i := range 30 {
		name := "object-" + strconv.Itoa(i)
		f.put("a/"+name, []byte(name))
		want = append(want, name)
	}
	slices.Sort(want)
	for _, key := range []string{"a/deeper/x", "a/.hidden", "a/", "ab/x", "b/x", "x"} {
		f.put(key, []byte("x"))
	}
	for _, f.unsorted = range []bool{false, true} {
		if names, _ := listed(t, f.open(f.options())); !slices.Equal(names, want) {
			t.Errorf("List = %q, want %q", names, want)
		}
	}
	o := f.options()
	o.Prefix = ""
	if names, _ := listed(t, f.open(o)); !slices.Equal(names, []string{"x"}) {
		t.Errorf("List without a prefix = %q, want x", names)
	}
}
