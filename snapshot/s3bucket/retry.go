package s3bucket

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

const (
	firstPause = 200 * time.Millisecond
	maxPause   = 10 * time.Second
	patience   = time.Minute // after that long nothing is tried again
)

// try sends a request until it succeeds, until its error is one that does not
// go away, or until attempts or patience are used up. The error says what was
// tried and where, and matches the context's if that is done.
func (b *Bucket) try(ctx context.Context, what string, request func() error) error {
	begun := b.o.Now()
	for attempt := 1; ; attempt++ {
		err := request()
		if err == nil {
			return nil
		}
		if cerr := ctx.Err(); cerr != nil {
			return b.failed(what, cerr)
		}
		err = explain(err)
		if !mayGoAway(err) {
			return b.failed(what, err)
		}
		if attempt >= b.o.Attempts || b.o.Now().Sub(begun) >= patience {
			return b.failed(what, fmt.Errorf("tried %d times: %w", attempt, err))
		}
		if err := b.pause(ctx, what, attempt, err); err != nil {
			return b.failed(what, err)
		}
	}
}

// pause waits before the next attempt. Half of the pause is random, so that
// nodes that were refused together do not come back together.
func (b *Bucket) pause(ctx context.Context, what string, attempt int, cause error) error {
	d := min(maxPause, firstPause<<min(attempt-1, 16))
	var random [8]byte
	if _, err := b.o.Rand.Read(random[:]); err == nil {
		d = d/2 + time.Duration(binary.LittleEndian.Uint64(random[:])%uint64(d/2)) //nolint:gosec // both are positive
	}
	b.o.Logger.Debug("s3 bucket: trying again", "what", what, "bucket", b.name, "endpoint", b.endpoint, "attempt", attempt, "pause", d, "error", cause)
	return b.o.Sleep(ctx, d)
}

// failed says where an error comes from.
func (b *Bucket) failed(what string, err error) error {
	return fmt.Errorf("%s: bucket %s at %s: %w", what, b.name, b.endpoint, err)
}
