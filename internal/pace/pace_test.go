package pace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestHoldsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1000)
		start := time.Now()
		for range 50 {
			if err := p.Wait(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("5,000 bytes at 1,000 a second took %v, want 5s", got)
		}
	})
}

func TestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := New(1).Wait(ctx, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want deadline exceeded", err)
		}
		if err := New(0).Wait(ctx, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait without a rate = %v, want deadline exceeded", err)
		}
	})
}
