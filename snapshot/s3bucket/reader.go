package s3bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/trimarandb/trimaran/fault"
)

// firstRange is how much a reader asks for at first. The next range is twice
// what was read before it.
const firstRange = 128 << 10

// reader reads an object, range by range.
type reader struct {
	ctx   context.Context // of Open: io.Reader has no place for one
	b     *Bucket
	name  string
	begun int64 // where reading began
	off   int64 // of the next byte
	end   int64 // of the range that was asked for
	size  int64 // of the object; -1 before the first answer
	tag   string
	body  io.ReadCloser // nil where nothing is asked for
	cuts  int           // connections that broke since the last byte
	err   error         // what ended the reader
}

// Read ends with io.EOF only at the end of the object.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	for {
		switch {
		case r.err != nil:
			return 0, r.err
		case r.off >= r.size:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		if r.body == nil {
			if r.err = r.ask(max(firstRange, 2*(r.off-r.begun))); r.err != nil {
				continue
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.off)])
		r.off += int64(n)
		if n > 0 {
			r.cuts = 0
		}
		if r.off == r.end {
			r.drop()
		} else if err != nil {
			r.err = r.cut(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// cut goes on after a connection that broke, unless it does so all the time.
func (r *reader) cut(err error) error {
	r.drop()
	if cerr := r.ctx.Err(); cerr != nil {
		return cerr
	}
	r.cuts++
	what := fmt.Sprintf("read %s at %d", r.name, r.off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	err = explain(err)
	if r.cuts >= r.b.o.Attempts || !mayGoAway(err) {
		return r.b.failed(what, fmt.Errorf("tried %d times: %w", r.cuts, err))
	}
	if err := r.b.pause(r.ctx, what, r.cuts, err); err != nil {
		return r.b.failed(what, err)
	}
	return nil
}

// ask asks for the next n bytes. The first answer says which object is read;
// those that follow must be of the same.
func (r *reader) ask(n int64) error {
	var o minio.GetObjectOptions
	if err := o.SetRange(r.off, r.off+n-1); err != nil {
		return invalid("offset %d", r.off)
	}
	if r.tag != "" {
		if err := o.SetMatchETag(r.tag); err != nil {
			return err
		}
	}
	var body io.ReadCloser
	var header http.Header
	what := fmt.Sprintf("read %s at %d", r.name, r.off)
	err := r.b.try(r.ctx, what, func() (err error) {
		body, _, header, err = r.b.client.GetObject(r.ctx, r.b.name, r.b.key(r.name), o)
		return err
	})
	switch {
	case errors.Is(err, errRange) && r.size < 0:
		r.size = r.off
		return nil
	case errors.Is(err, errRange):
		return r.b.failed(what, errReplaced)
	case err != nil:
		return err
	}
	r.body = body
	if err := r.accept(header); err != nil {
		r.drop()
		return r.b.failed(what, err)
	}
	return nil
}

var errReplaced = fmt.Errorf("object was replaced while it was read: %w", fault.ErrConflict)

// accept makes sure that an answer is what was asked for.
func (r *reader) accept(header http.Header) error {
	lo, end, size, err := parseRange(header)
	if err != nil {
		return err
	}
	tag := strings.Trim(header.Get("ETag"), `"`)
	switch {
	case lo != r.off || end <= lo || end > size:
		return fmt.Errorf("asked for bytes from %d, got %d to %d of %d: %w", r.off, lo, end, size, fault.ErrUnsupported)
	case r.size < 0:
		r.size, r.tag = size, tag
	case r.tag == "":
		return fmt.Errorf("objects have no ETag that would tell one from the next: %w", fault.ErrUnsupported)
	case tag != r.tag || size != r.size:
		return errReplaced
	}
	r.end = end
	return nil
}

// parseRange finds which bytes of how many an answer holds.
func parseRange(header http.Header) (lo, end, size int64, err error) {
	content := header.Get("Content-Range")
	if content == "" { // a server without ranges sends all
		size, err = strconv.ParseInt(header.Get("Content-Length"), 10, 64)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("answer tells no length: %w", fault.ErrUnsupported)
		}
		return 0, size, size, nil
	}
	var last int64
	if _, err := fmt.Sscanf(content, "bytes %d-%d/%d", &lo, &last, &size); err != nil {
		return 0, 0, 0, fmt.Errorf("content range %q is none: %w", content, fault.ErrUnsupported)
	}
	return lo, last + 1, size, nil
}

// drop ends what was asked for.
func (r *reader) drop() {
	if r.body != nil {
		_ = r.body.Close() // it was only read from
		r.body = nil
	}
}

// Close may be called twice.
func (r *reader) Close() error {
	if r.body != nil && r.ctx.Err() == nil && r.end-r.off <= firstRange {
		// It is on its way already, and the connection can be used again.
		_, _ = io.Copy(io.Discard, r.body)
	}
	r.drop()
	r.err = fault.ErrClosed
	return nil
}
