package s3bucket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that could not be made in time is not the caller's deadline.
func TestTimeoutIsNoDeadline(t *testing.T) {
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded} {
		err := explain(&url.Error{Op: "Get", URL: "http://host/", Err: &net.OpError{Op: "dial", Err: cause}})
		if !errors.Is(err, ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("explain = %v, want ErrUnreachable only", err)
		}
		if !mayGoAway(err) || !strings.Contains(err.Error(), cause.Error()) {
			t.Errorf("%v is not tried again, or does not name its cause", err)
		}
	}
}

// A connection lives as long as something moves, in either direction, and no
// longer.
func TestLively(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := &lively{Conn: near, timeout: time.Minute}
		defer far.Close()
		defer c.Close()
		answer := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(c, make([]byte, 6))
			answer <- err
		}()
		buf := make([]byte, 1)
		for range 10 { // a long body, written slowly, while the answer is awaited
			time.Sleep(50 * time.Second)
			go func() { _, _ = io.ReadFull(far, buf) }()
			if _, err := c.Write([]byte("b")); err != nil {
				t.Fatalf("Write = %v", err)
			}
		}
		for range 5 { // a long answer, slowly
			time.Sleep(50 * time.Second)
			if _, err := far.Write([]byte("a")); err != nil {
				t.Fatalf("far end: %v", err)
			}
		}
		select {
		case err := <-answer:
			t.Fatalf("reading ended with %v while bytes came", err)
		default:
		}
		begun := time.Now()
		if err := <-answer; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v after silence, want a timeout", err)
		}
		if d := time.Since(begun); d != time.Minute {
			t.Errorf("silence was noticed after %v, want a minute", d)
		}
	})
}
