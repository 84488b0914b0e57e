package s3bucket_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// relay passes connections on to the server, of which each carries one request,
// and kills the server at one point of one of them.
type relay struct {
	l      net.Listener
	server string
	kill   func()

	mu       sync.Mutex
	requests int
	at       point
	happened bool
	wg       sync.WaitGroup
}

// point is a place in the traffic: after that many bytes of a request, or, with
// reply, when the first byte of its answer is on its way.
type point struct {
	request int // 1 is the first
	bytes   int
	reply   bool
}

func startRelay(t *testing.T, g *gateway, at point) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{l: l, server: g.address, kill: g.kill, at: at}
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		_ = l.Close()
		r.wg.Wait()
	})
	return r
}

func (r *relay) endpoint() string { return "http://" + r.l.Addr().String() }

// dead reports whether the server was killed.
func (r *relay) dead() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.happened
}

func (r *relay) accept() {
	for {
		c, err := r.l.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", r.server)
		if err != nil {
			_ = c.Close()
			continue
		}
		r.mu.Lock()
		r.requests++
		n := r.requests
		r.mu.Unlock()
		r.wg.Go(func() { r.pass(s, c, n, false) })
		r.wg.Go(func() { r.pass(c, s, n, true) })
	}
}

// pass copies one direction. At the point it kills the server in place of
// passing on.
func (r *relay) pass(to, from net.Conn, request int, reply bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4<<10)
	for passed := 0; ; {
		n, err := from.Read(buf)
		if n > 0 {
			hit := request == r.at.request && reply == r.at.reply && passed+n > r.at.bytes
			if hit && r.once() {
				r.kill()
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			passed += n
		}
		if errors.Is(err, io.EOF) && !reply {
			// The request is whole; the answer is still to come.
			if c, ok := to.(*net.TCPConn); ok && c.CloseWrite() == nil {
				continue
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) once() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.happened
	r.happened = true
	return first
}
