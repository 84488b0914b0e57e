package s3bucket

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/trimarandb/trimaran/snapshot"
)

// pageSize is how many uploads or parts are listed at once.
const pageSize = 1000

// sweepIfDue aborts uploads that were left behind, unless it did so not long
// ago. Failures are logged: nothing depends on it but space.
func (b *Bucket) sweepIfDue(ctx context.Context) {
	if !b.sweeping.TryLock() {
		return
	}
	defer b.sweeping.Unlock()
	now := b.o.Now()
	b.mu.Lock()
	due := b.swept.IsZero() || now.Sub(b.swept) >= b.o.LeftoverAge
	b.mu.Unlock()
	if !due {
		return
	}
	if err := b.sweep(ctx, now.Add(-b.o.LeftoverAge)); err != nil {
		b.o.Logger.Warn("s3 bucket: leftovers could not be removed", "error", err)
	}
	b.mu.Lock()
	b.swept = now
	b.mu.Unlock()
}

// sweep aborts uploads below the prefix that nobody added to after before.
func (b *Bucket) sweep(ctx context.Context, before time.Time) error {
	var key, id string
	for {
		var found minio.ListMultipartUploadsResult
		err := b.try(ctx, "list uploads", func() (err error) {
			found, err = b.client.ListMultipartUploads(ctx, b.name, b.prefix, key, id, "", pageSize)
			return err
		})
		if err != nil {
			return err
		}
		for _, u := range found.Uploads {
			if err := b.sweepOne(ctx, u, before); err != nil {
				return err
			}
		}
		if !found.IsTruncated || found.NextKeyMarker == key && found.NextUploadIDMarker == id {
			return nil
		}
		key, id = found.NextKeyMarker, found.NextUploadIDMarker
	}
}

func (b *Bucket) sweepOne(ctx context.Context, u minio.ObjectMultipartInfo, before time.Time) error {
	name, ok := strings.CutPrefix(u.Key, b.prefix)
	if !ok || snapshot.CheckName(name) != nil || u.Initiated.After(before) || b.isOpen(u.UploadID) {
		return nil
	}
	alive, err := b.addedTo(ctx, name, u.UploadID, before)
	if err != nil || alive {
		return err
	}
	if err := b.abort(ctx, name, u.UploadID); err != nil {
		return err
	}
	b.o.Logger.Info("s3 bucket: removed an upload that was left behind", "bucket", b.name, "key", u.Key, "begun", u.Initiated)
	return nil
}

func (b *Bucket) isOpen(upload string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.open {
		if p.upload == upload {
			return true
		}
	}
	return false
}

// addedTo reports whether a part of an upload was written after that time. One
// that ended meanwhile is none of ours any more.
func (b *Bucket) addedTo(ctx context.Context, name, upload string, after time.Time) (bool, error) {
	marker := 0
	for {
		var found minio.ListObjectPartsResult
		err := b.try(ctx, "list parts of "+name, func() (err error) {
			found, err = b.client.ListObjectParts(ctx, b.name, b.key(name), upload, marker, pageSize)
			return err
		})
		if errors.Is(err, errNoUpload) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		for _, part := range found.ObjectParts {
			if part.LastModified.After(after) {
				return true, nil
			}
		}
		if !found.IsTruncated || found.NextPartNumberMarker <= marker {
			return false, nil
		}
		marker = found.NextPartNumberMarker
	}
}

// abort gives an upload up. One that is not there any more is no error.
func (b *Bucket) abort(ctx context.Context, name, upload string) error {
	err := b.try(ctx, "abort "+name, func() error {
		return b.client.AbortMultipartUpload(ctx, b.name, b.key(name), upload)
	})
	if errors.Is(err, errNoUpload) {
		return nil
	}
	return err
}
