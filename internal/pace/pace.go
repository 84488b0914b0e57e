// Package pace holds long reads to a number of bytes a second.
package pace

import (
	"context"
	"time"
)

// Pacer holds a reader to a number of bytes a second.
type Pacer struct {
	rate  int64
	start time.Time
	done  int64
}

// New starts a pacer; rate 0 is no bound.
func New(rate int64) *Pacer { return &Pacer{rate: rate, start: time.Now()} }

// Wait counts n more bytes and waits until they are due, or ctx is over.
func (p *Pacer) Wait(ctx context.Context, n int) error {
	p.done += int64(n)
	if p.rate <= 0 {
		return ctx.Err()
	}
	due := p.start.Add(time.Duration(float64(p.done) / float64(p.rate) * float64(time.Second)))
	wait := time.Until(due)
	if wait < 10*time.Millisecond {
		return ctx.Err() // shorter sleeps cost more than they save
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
