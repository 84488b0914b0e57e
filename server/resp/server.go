package resp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/fault"
)

// Server serves Redis clients. Its methods may be called by several
// goroutines.
type Server struct {
	b        Backend
	o        Options
	commands map[string]*entry
	cursors  *cursors

	ctx    context.Context // ends when Close gives up what is under way
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]bool
	clients   map[*client]bool
	lastID    int64
}

// New makes a server over b. Nothing is served until Serve is called.
func New(b Backend, o *Options) *Server {
	s := &Server{
		b: b, o: o.withDefaults(), commands: table(), cursors: newCursors(),
		listeners: map[net.Listener]bool{}, clients: map[*client]bool{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections of ln, which it owns, until Close; then it returns
// nil. It returns fault.ErrClosed after Close, and an error of ln otherwise.
// Several listeners may be served at a time.
func (s *Server) Serve(ln net.Listener) error {
	if !s.listen(ln) {
		_ = ln.Close() // the server is closed, which is what the caller learns
		return fmt.Errorf("serve: %w", fault.ErrClosed)
	}
	defer s.wg.Done()
	for {
		nc, err := ln.Accept()
		if err != nil && passes(err) {
			<-time.After(acceptPause)
			continue
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.listeners, ln)
			if s.closing {
				return nil
			}
			return errors.Join(fmt.Errorf("serve %v: %w", ln.Addr(), err), ln.Close())
		}
		s.admit(nc)
	}
}

// acceptPause is how long no connection is accepted after there was no room for
// one.
const acceptPause = 20 * time.Millisecond

// passes reports whether an error of Accept is about one connection, or about
// resources that come back when others leave.
func passes(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.listeners[ln] = true
		s.wg.Add(1)
	}
	return !s.closing
}

// admit serves a connection on a goroutine of its own, or refuses it.
func (s *Server) admit(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		_ = nc.Close()
	case len(s.clients) >= s.o.MaxClients:
		s.wg.Go(func() { refuse(nc, s.o.WriteTimeout) })
	default:
		s.lastID++
		c := newClient(s, nc, s.lastID)
		s.clients[c] = true
		s.wg.Go(func() {
			c.serve()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.clients, c)
		})
	}
}

func refuse(nc net.Conn, patience time.Duration) {
	_ = nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = nc.Write(redcon.AppendError(nil, "ERR max number of clients reached"))
	_ = nc.Close()
}

// await prepares a connection for waiting for its client, for as long as one
// may be idle. After Close there is no waiting.
func (s *Server) await(nc net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return io.EOF
	}
	if s.o.IdleTimeout == 0 {
		return nil
	}
	return nc.SetReadDeadline(time.Now().Add(s.o.IdleTimeout))
}

// Close stops accepting, lets requests under way be answered, at most for
// Options.RequestTimeout, and closes all connections. It returns when all
// goroutines of the server have ended. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	var failed []error
	for ln := range s.listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			failed = append(failed, fmt.Errorf("close %v: %w", ln.Addr(), err))
		}
	}
	for c := range s.clients {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes who waits for a request; an error means that it is closed
	}
	s.mu.Unlock()
	late := time.AfterFunc(s.o.RequestTimeout, s.abandon)
	s.wg.Wait()
	late.Stop()
	s.cancel()
	return errors.Join(failed...)
}

// abandon gives up requests under way, and clients that do not take answers.
func (s *Server) abandon() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		_ = c.nc.Close() // nobody is told
	}
}

// connected is the number of clients.
func (s *Server) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}
