package s3bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/trimarandb/trimaran/fault"
)

const (
	contentType   = "application/octet-stream"
	markKey       = "Trimaran-Upload"
	firstBuffer   = 64 << 10
	abortPatience = 15 * time.Second
)

// pending is an object that is being written. Close of the bucket drops it only
// when no call of it is under way, so it needs no lock but for upload, which a
// search of leftovers reads.
type pending struct {
	ctx    context.Context // of Create: io.Writer has no place for one
	b      *Bucket
	name   string
	mark   string // tells this upload from others to the same name
	upload string // id of the multipart upload; "" while all is in buf
	parts  []minio.CompletePart
	buf    []byte
	spare  []byte // of a part that was sent
	err    error  // what calls return; nil while it can be written

	flight context.Context // of the parts on their way
	ground func()          // ends it
	flying int             // parts on their way
	landed chan landing
}

// Write keeps at most a part and sends it, beside others, when more comes. After
// an error, which may be that of a part before, the object is given up, and
// every later call but Abort returns that error.
func (p *pending) Write(d []byte) (n int, err error) {
	if !p.b.calls.Enter() {
		return 0, fault.ErrClosed
	}
	defer p.b.calls.Leave()
	if p.err != nil {
		return 0, p.err
	}
	for len(d) > 0 {
		if int64(len(p.buf)) == p.b.o.PartSize {
			if err := p.send(p.ctx); err != nil {
				return n, p.giveUp(err)
			}
		}
		m := p.take(d)
		n += m
		d = d[m:]
	}
	return n, nil
}

// take fills the buffer, which grows up to a part, or is one where there was a
// part before it.
func (p *pending) take(d []byte) int {
	m := int(min(int64(len(d)), p.b.o.PartSize-int64(len(p.buf))))
	if need := len(p.buf) + m; need > cap(p.buf) {
		grown := min(int64(max(need, 2*cap(p.buf), firstBuffer)), p.b.o.PartSize)
		if len(p.parts) > 0 {
			grown = p.b.o.PartSize
		}
		buf := make([]byte, len(p.buf), grown)
		copy(buf, p.buf)
		p.buf = buf
	}
	p.buf = append(p.buf, d[:m]...)
	return m
}

// send begins to send the buffer as the next part, once no more than
// Options.Parallel are on their way with it.
func (p *pending) send(ctx context.Context) error {
	if p.upload == "" {
		if err := p.beginUpload(ctx); err != nil {
			return err
		}
	}
	number := len(p.parts) + 1
	if number > maxParts {
		return fmt.Errorf("write %s: more than %d parts of %d bytes: %w", p.name, maxParts, p.b.o.PartSize, fault.ErrFull)
	}
	if err := p.await(ctx, p.b.o.Parallel-1); err != nil {
		return err
	}
	p.parts = append(p.parts, minio.CompletePart{PartNumber: number})
	p.flying++
	go func(ctx context.Context, upload string, buf []byte) {
		tag, err := p.b.sendPart(ctx, p.name, upload, number, buf)
		p.landed <- landing{number: number, tag: tag, buf: buf, err: err}
	}(p.flight, p.upload, p.buf)
	p.buf, p.spare = p.spare, nil
	return nil
}

// landing is how the sending of a part ended.
type landing struct {
	number int
	tag    string
	buf    []byte
	err    error
}

// await waits until no more than so many parts are on their way. The first one
// that failed is its error.
func (p *pending) await(ctx context.Context, most int) error {
	for p.flying > most {
		select {
		case l := <-p.landed:
			p.flying--
			if l.err != nil {
				return l.err
			}
			p.parts[l.number-1].ETag = l.tag
			p.spare = l.buf[:0]
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (b *Bucket) sendPart(ctx context.Context, name, upload string, number int, buf []byte) (tag string, err error) {
	sum := sha256.Sum256(buf)
	err = b.try(ctx, fmt.Sprintf("write part %d of %s", number, name), func() error {
		part, err := b.client.PutObjectPart(ctx, b.name, b.key(name), upload, number, bytes.NewReader(buf), int64(len(buf)),
			minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true})
		tag = part.ETag
		return err
	})
	return tag, err
}

func (p *pending) beginUpload(ctx context.Context) error {
	var id string
	err := p.b.try(ctx, "begin "+p.name, func() (err error) {
		id, err = p.b.client.NewMultipartUpload(ctx, p.b.name, p.b.key(p.name),
			minio.PutObjectOptions{ContentType: contentType, UserMetadata: map[string]string{markKey: p.mark}})
		return err
	})
	if err != nil {
		return err
	}
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	p.upload = id
	return nil
}

// Commit makes the object visible with its last request. If the answer to that
// is lost, the object says itself whether it is this one. After an error the
// upload is given up; only where the server cannot be reached any more it is
// open whether the object will be there.
func (p *pending) Commit(ctx context.Context) error {
	if err := p.b.enter(ctx); err != nil {
		return err
	}
	defer p.b.calls.Leave()
	if p.err != nil {
		return p.err
	}
	var err error
	if p.upload == "" {
		err = p.store(ctx)
	} else {
		if len(p.buf) > 0 {
			err = p.send(ctx)
		}
		if err == nil {
			err = p.await(ctx, 0)
		}
		if err == nil {
			err = p.complete(ctx)
		}
	}
	if err != nil {
		err = p.giveUp(err)
		p.err = fault.ErrClosed
		return err
	}
	p.upload = ""
	p.end(fault.ErrClosed)
	return nil
}

// store stores an object of one part: sending it twice makes no difference.
func (p *pending) store(ctx context.Context) error {
	sum := sha256.Sum256(p.buf)
	return p.b.try(ctx, "write "+p.name, func() error {
		_, err := p.b.client.PutObject(ctx, p.b.name, p.b.key(p.name), bytes.NewReader(p.buf), int64(len(p.buf)), "", hex.EncodeToString(sum[:]),
			minio.PutObjectOptions{ContentType: contentType, DisableContentSha256: true})
		return err
	})
}

// complete puts the parts together. A server that did so and could not say it
// answers the next attempt that there is no such upload.
func (p *pending) complete(ctx context.Context) error {
	return p.b.try(ctx, "commit "+p.name, func() error {
		_, err := p.b.client.CompleteMultipartUpload(ctx, p.b.name, p.b.key(p.name), p.upload, p.parts, minio.PutObjectOptions{})
		if err == nil || ctx.Err() != nil {
			return err
		}
		there, cerr := p.isThere(ctx)
		switch {
		case there:
			return nil
		case cerr != nil && errors.Is(explain(err), errNoUpload):
			return cerr // the object could not be asked: that may go away
		}
		return err
	})
}

// isThere reports whether the object under this name came from this upload.
func (p *pending) isThere(ctx context.Context) (bool, error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(0, 0); err != nil {
		return false, err
	}
	body, _, header, err := p.b.client.GetObject(ctx, p.b.name, p.b.key(p.name), o)
	if err != nil {
		if errors.Is(explain(err), fault.ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	return header.Get("X-Amz-Meta-"+markKey) == p.mark, body.Close()
}

// Abort aborts the upload. Where that fails, a later search of leftovers does
// it.
func (p *pending) Abort() error {
	if !p.b.calls.Enter() {
		return nil // Close did it
	}
	defer p.b.calls.Leave()
	err := p.drop(context.WithoutCancel(p.ctx))
	if p.err == nil {
		p.end(fault.ErrClosed)
	}
	return err
}

// giveUp ends the object with an error. What remains of it on the server is
// harmless, so only the log hears of a failure to remove it.
func (p *pending) giveUp(err error) error {
	if derr := p.drop(context.WithoutCancel(p.ctx)); derr != nil {
		p.b.o.Logger.Warn("s3 bucket: an upload is left behind", "error", derr)
	}
	p.end(err)
	return err
}

// drop aborts the upload, once. A part that is still sent could outlive that, so
// it waits for those first.
func (p *pending) drop(ctx context.Context) error {
	p.ground()
	for ; p.flying > 0; p.flying-- {
		<-p.landed
	}
	if p.upload == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, abortPatience)
	defer cancel()
	upload := p.upload
	p.b.mu.Lock()
	p.upload = ""
	p.b.mu.Unlock()
	return p.b.abort(ctx, p.name, upload)
}

// end frees what the object holds.
func (p *pending) end(err error) {
	p.ground()
	p.err, p.buf, p.spare, p.parts = err, nil, nil, nil
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	delete(p.b.open, p)
}
