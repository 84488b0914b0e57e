package httptransfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// body reads one answer to its end, whatever happens on the way: when a
// connection breaks it asks for the rest.
type body struct {
	c      *Client
	ctx    context.Context
	path   string
	header http.Header // of the first answer
	off    int64       // bytes that were read
	err    error       // the end: io.EOF or why there is no going on

	resp   *http.Response
	cancel context.CancelFunc
	stall  *time.Timer // cancels the request when nothing arrives

	tries int       // failures in a row
	since time.Time // of the first of these
}

func (c *Client) open(ctx context.Context, path string) *body {
	return &body{c: c, ctx: ctx, path: path}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for b.err == nil {
		if b.resp == nil {
			b.failed(b.request())
			continue
		}
		n, err := b.resp.Body.Read(p)
		b.off += int64(n)
		if n > 0 {
			b.tries = 0
			b.stall.Reset(b.c.o.Stall)
			return n, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			b.err = io.EOF
		case err != nil:
			b.end()
			b.failed(err)
		}
	}
	return 0, b.err
}

// request asks for what lies behind off.
func (b *body) request() error {
	ctx, cancel := context.WithCancel(b.ctx)
	b.cancel, b.stall = cancel, time.AfterFunc(b.c.o.Stall, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.c.base+b.path, nil)
	if err != nil {
		b.end()
		return err
	}
	want := http.StatusOK
	if b.off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.off))
		req.Header.Set("If-Range", b.header.Get("ETag"))
		want = http.StatusPartialContent
	}
	if b.resp, err = b.c.o.HTTP.Do(req); err != nil {
		b.end()
		return err
	}
	if b.resp.StatusCode == want {
		if b.header == nil {
			b.header = b.resp.Header
		}
		return nil
	}
	err = answer(b.c.base+b.path, b.resp)
	b.end()
	return err
}

// answer makes an error of an answer that is none.
func answer(what string, resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // for people
	says := fmt.Sprintf("GET %s: %s: %s", what, resp.Status, strings.TrimSpace(string(text)))
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound:
		return fmt.Errorf("%s: %w", says, fault.ErrNotFound)
	case code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		return fmt.Errorf("%s: %w", says, fault.ErrInvalid)
	}
	return errors.New(says)
}

// failed decides whether there is another try, and waits for it.
func (b *body) failed(err error) {
	switch {
	case err == nil:
		return
	case b.ctx.Err() != nil:
		b.err = context.Cause(b.ctx)
		return
	case errors.Is(err, fault.ErrNotFound), errors.Is(err, fault.ErrInvalid):
		b.err = err // asking again would not help
		return
	}
	if b.tries++; b.tries == 1 {
		b.since = b.c.o.Now()
	}
	if waited := b.c.o.Now().Sub(b.since); waited >= b.c.o.Patience {
		b.err = fmt.Errorf("%d tries in %v: %w", b.tries, waited.Round(time.Millisecond), err)
		return
	}
	if b.c.o.Wait(b.ctx, backoff(b.tries)) != nil {
		b.err = context.Cause(b.ctx)
	}
}

// backoff doubles from 100 ms to 10 s.
func backoff(try int) time.Duration {
	return min(100*time.Millisecond<<min(try-1, 10), 10*time.Second)
}

// end closes the request that is open.
func (b *body) end() {
	b.stall.Stop()
	if b.resp != nil {
		_ = b.resp.Body.Close() // nothing more is read from it
		b.resp = nil
	}
	b.cancel()
}

// Close implements io.Closer. It may be called at any time.
func (b *body) Close() error {
	if b.cancel != nil {
		b.end()
	}
	if b.err == nil {
		b.err = fault.ErrClosed
	}
	return nil
}
