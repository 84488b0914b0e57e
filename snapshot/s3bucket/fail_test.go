package s3bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
)

func noPause(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// The fake does what the real server does, and takes parts so small that every
// case has many.
func TestContractInSmallParts(t *testing.T) {
	f := newFake(t)
	snaptest.Run(t, func(t testing.TB) snaptest.Open {
		o := f.options()
		o.Prefix, o.PartSize = nextPrefix(), 10_000
		return func() (snapshot.Bucket, error) { return s3bucket.Open(t.Context(), f.URL, bucketTag, o) }
	})
}

// failures are ways to fail that may go away.
var failures = map[string]func(w http.ResponseWriter, r *http.Request){
	"500":             func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "InternalError") },
	"503":             func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "SlowDown") },
	"429 of a proxy":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "too many", http.StatusTooManyRequests) },
	"400 timeout":     func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "RequestTimeout") },
	"connection":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"half the answer": halfAnswer,
}

func halfAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, "<Error><Code>Inter")
	panic(http.ErrAbortHandler)
}

// everything uses each request once.
func everything(ctx context.Context, b *s3bucket.Bucket) error {
	content := noise(10_000)
	err := errors.Join(upload(ctx, b, "long", content), upload(ctx, b, "short", []byte("short")))
	if err != nil {
		return err
	}
	got, err := download(ctx, b, "long", 5)
	if err != nil || !bytes.Equal(got, content[5:]) {
		return errors.Join(err, errors.New("read back something else"))
	}
	if o, err := b.Stat(ctx, "short"); err != nil || o.Size != 5 {
		return errors.Join(err, errors.New("short is not 5 bytes"))
	}
	for _, err := range b.List(ctx) {
		if err != nil {
			return err
		}
	}
	p, err := b.Create(ctx, "aborted")
	if err != nil {
		return err
	}
	if _, err := p.Write(content); err != nil {
		return err
	}
	return errors.Join(p.Abort(), b.Remove(ctx, "long"), b.Remove(ctx, "short"))
}

// Each request may fail twice, in each way, and everything works.
func TestEveryRequestIsTriedAgain(t *testing.T) {
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			failed := map[string]int{}
			f.before = func(w http.ResponseWriter, r *http.Request, what string) bool {
				f.mu.Lock()
				failed[what]++
				now := failed[what] <= 2
				f.mu.Unlock()
				if now {
					fail(w, r)
				}
				return now
			}
			b := f.open(f.options())
			if err := everything(t.Context(), b); err != nil {
				t.Error(err)
			}
			for _, what := range []string{
				"GET ?list-type", "GET ?uploads", "POST a/long?uploads", "PUT a/long?partNumber&uploadId", "POST a/long?uploadId",
				"GET a/long", "GET a/short", "PUT a/short", "DELETE a/long", "DELETE a/short", "DELETE a/aborted?uploadId",
			} {
				if failed[what] < 3 {
					t.Errorf("%s was sent %d times, want 3 or more", what, failed[what])
				}
			}
			if keys := f.left(); len(keys) > 0 {
				t.Errorf("uploads %v are left, want none", keys)
			}
		})
	}
}

// What does not go away is not tried again, and says what it means.
func TestTypedErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		code   string
		want   error
	}{
		{"permission", 403, "AccessDenied", fs.ErrPermission},
		{"key", 403, "InvalidAccessKeyId", fs.ErrPermission},
		{"bucket", 404, "NoSuchBucket", s3bucket.ErrNoBucket},
		{"quota", 403, "QuotaExceeded", fault.ErrFull},
		{"no space", 507, "XMinioStorageFull", fault.ErrFull},
		{"condition", 412, "PreconditionFailed", fault.ErrConflict},
		{"unknown to the server", 501, "NotImplemented", fault.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			b := f.open(f.options())
			f.asked()
			f.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				refuse(w, c.status, c.code)
				return true
			}
			_, open := b.Open(t.Context(), "x", 0)
			_, stat := b.Stat(t.Context(), "x")
			var list error
			for _, err := range b.List(t.Context()) {
				list = err
			}
			calls := map[string]error{
				"Open": open, "Stat": stat, "List": list, "Remove": b.Remove(t.Context(), "x"),
				"Commit": upload(t.Context(), b, "x", []byte("short")),
				"Write":  upload(t.Context(), b, "x", noise(9000)),
			}
			for call, err := range calls {
				if !errors.Is(err, c.want) || errors.Is(err, fault.ErrNotFound) {
					t.Errorf("%s = %v, want %v", call, err, c.want)
				}
				for _, part := range []string{f.URL, "bucket " + bucketTag, c.code} {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("%s = %v, want it to say %s", call, err, part)
					}
				}
			}
			if n := len(f.asked()); n != len(calls) {
				t.Errorf("%d requests for %d calls, want one each", n, len(calls))
			}
		})
	}
}

// A page of some other server is not the absence of an object: a store would
// take itself for empty.
func TestStrangePageIsNotAbsence(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	f.before = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		http.NotFound(w, r)
		return true
	}
	_, err := b.Open(t.Context(), "IDENTITY", 0)
	if err == nil || errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Open = %v, want an error that is not ErrNotFound", err)
	}
	if _, err := s3bucket.Open(t.Context(), f.URL, bucketTag, f.options()); !errors.Is(err, s3bucket.ErrUnreachable) {
		t.Errorf("opening the bucket = %v, want ErrUnreachable", err)
	}
}

func TestNoBucket(t *testing.T) {
	f := newFake(t)
	_, err := s3bucket.Open(t.Context(), f.URL, "another", f.options())
	if !errors.Is(err, s3bucket.ErrNoBucket) || !strings.Contains(err.Error(), "bucket another at "+f.URL) {
		t.Errorf("Open = %v, want ErrNoBucket with its name and place", err)
	}
}

// Pauses double up to a limit, half of each at random.
func TestPauses(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.Attempts = 9
	var pauses []time.Duration
	o.Sleep = func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}
	b := f.open(o)
	f.asked()
	f.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		refuse(w, 503, "SlowDown")
		return true
	}
	err := b.Remove(t.Context(), "x")
	if err == nil || !strings.Contains(err.Error(), "tried 9 times") || len(f.asked()) != 9 || len(pauses) != 8 {
		t.Fatalf("Remove = %v after %d pauses, want 9 attempts", err, len(pauses))
	}
	random := false
	for i, d := range pauses {
		full := min(10*time.Second, 200*time.Millisecond<<i)
		if d < full/2 || d > full {
			t.Errorf("pause %d is %v, want %v to %v", i+1, d, full/2, full)
		}
		random = random || d != full && d != full/2
	}
	if !random {
		t.Errorf("pauses %v have nothing random", pauses)
	}
}

// After a minute nothing is tried again, however many attempts are left.
func TestPatience(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.Attempts = 1000
	o.Sleep = func(_ context.Context, d time.Duration) error {
		f.advance(d)
		return nil
	}
	b := f.open(o)
	f.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		refuse(w, 503, "SlowDown")
		return true
	}
	begun := f.clock()
	if err := b.Remove(t.Context(), "x"); err == nil {
		t.Error("Remove = nil from a server that fails")
	}
	if took := f.clock().Sub(begun); took < time.Minute || took > time.Minute+10*time.Second {
		t.Errorf("gave up after %v, want a minute", took)
	}
}

// A context that is done ends the pause, and with it the call.
func TestCancelInPause(t *testing.T) {
	f := newFake(t)
	o := f.options()
	ctx, cancel := context.WithCancel(t.Context())
	o.Sleep = func(ctx context.Context, _ time.Duration) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	b := f.open(o)
	f.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		refuse(w, 503, "SlowDown")
		return true
	}
	f.asked()
	if err := b.Remove(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Remove = %v, want Canceled", err)
	}
	if n := len(f.asked()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// A context that is done ends a request under way.
func TestCancelInRequest(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	if err := b.Remove(ctx, "x"); !errors.Is(err, context.Canceled) || errors.Is(err, s3bucket.ErrUnreachable) {
		t.Errorf("Remove = %v, want Canceled", err)
	}
}

func TestUnreachable(t *testing.T) {
	f := newFake(t)
	b := f.open(f.options())
	f.Close()
	err := b.Remove(t.Context(), "x")
	if !errors.Is(err, s3bucket.ErrUnreachable) || !strings.Contains(err.Error(), "tried 8 times") || !strings.Contains(err.Error(), f.URL) {
		t.Errorf("Remove = %v, want ErrUnreachable after 8 attempts", err)
	}
	if _, err := s3bucket.Open(t.Context(), f.URL, bucketTag, f.options()); !errors.Is(err, s3bucket.ErrUnreachable) {
		t.Errorf("Open = %v, want ErrUnreachable", err)
	}
}

// A server that says nothing is given up, and the error is not mistaken for
// one of the context.
func TestSilentServer(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.Timeout, o.Attempts = 30*time.Millisecond, 2
	b := f.open(o)
	f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		<-r.Context().Done()
		return true
	}
	err := b.Remove(t.Context(), "x")
	if !errors.Is(err, s3bucket.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Remove = %v, want ErrUnreachable", err)
	}
}

// Nobody prints a credential: not the errors, not the log, not the options,
// whatever the server sends back.
func TestCredentialsAreNotTold(t *testing.T) {
	const token = "not-a-token-either"
	var log bytes.Buffer
	f := newFake(t)
	o := f.options()
	o.Attempts = 2
	o.Credentials.SessionToken = token
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b := f.open(o)
	var told []string
	answers := []func(w http.ResponseWriter, r *http.Request){
		func(w http.ResponseWriter, r *http.Request) { // a proxy that shows what it got
			w.WriteHeader(http.StatusBadGateway)
			_ = r.Header.Write(w)
			_, _ = io.WriteString(w, secretKey)
		},
		func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "SignatureDoesNotMatch") },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for _, answer := range answers {
		f.before = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			answer(w, r)
			return true
		}
		_, err := b.Open(t.Context(), "x", 0)
		for _, err := range []error{err, b.Remove(t.Context(), "x"), upload(t.Context(), b, "x", noise(9000))} {
			if err == nil {
				t.Fatal("no error from a server that fails")
			}
			told = append(told, err.Error())
		}
	}
	wrong := *o
	wrong.Credentials.AccessKeyID = ""
	_, err := s3bucket.Open(t.Context(), f.URL, bucketTag, &wrong)
	if !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Open with half of the credentials = %v, want ErrInvalid", err)
	}
	_, err2 := s3bucket.Open(t.Context(), "http://user:"+secretKey+"@host", bucketTag, o)
	if !errors.Is(err2, fault.ErrInvalid) {
		t.Errorf("Open with credentials in the endpoint = %v, want ErrInvalid", err2)
	}
	told = append(told, err.Error(), err2.Error(), log.String())
	if !strings.Contains(log.String(), "trying again") {
		t.Error("the log does not tell of another attempt")
	}
	for _, text := range told {
		for _, secret := range []string{secretKey, token, "Signature="} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is told in %q", secret, text)
			}
		}
	}
}
