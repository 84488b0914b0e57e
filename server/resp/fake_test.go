package resp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/server/command"
	"github.com/trimarandb/trimaran/server/resp"
)

// fake is a backend of one node without a log.
type fake struct {
	store *kv.Store

	mu        sync.Mutex
	clock     time.Time
	proposals int
	barriers  int
	fails     error
	hold      chan struct{} // if set, Propose waits for it
	entered   chan struct{} // if set, Propose tells that it waits
}

func newFake(t testing.TB) *fake {
	t.Helper()
	db, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &fake{store: s, clock: time.Unix(1_800_000_000, 0)}
}

func (f *fake) Propose(ctx context.Context, cmd []byte) (r command.Result, err error) {
	f.mu.Lock()
	f.proposals++
	fails, hold := f.fails, f.hold
	f.mu.Unlock()
	if fails != nil {
		return r, fails
	}
	if hold != nil {
		f.entered <- struct{}{}
		<-hold
	}
	err = f.store.Update(ctx, func(tx *kv.WriteTx) (err error) {
		r, err = command.Apply(tx, cmd)
		return err
	})
	return r, err
}

func (f *fake) Linearizable(ctx context.Context) error {
	f.mu.Lock()
	f.barriers++
	fails, now := f.fails, f.clock
	f.mu.Unlock()
	if fails != nil {
		return fails
	}
	next, err := f.store.NextDeadline(ctx)
	if err != nil || next.IsZero() || next.After(now) {
		return err
	}
	tick, err := command.Tick(now)
	if err != nil {
		return err
	}
	_, err = f.Propose(ctx, tick)
	return err
}

func (f *fake) KV() kv.Reader { return f.store }

func (f *fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

func (f *fake) Info() []resp.InfoSection {
	return []resp.InfoSection{{Name: "Replication", Fields: []resp.InfoField{{Name: "role", Value: "master"}}}}
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) counts() (proposals, barriers int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.proposals, f.barriers
}

// serve runs a server over f until the test ends.
func serve(t testing.TB, f *fake, o *resp.Options) (*resp.Server, net.Addr) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, done := resp.New(f, o), make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := <-done; err != nil && !errors.Is(err, fault.ErrClosed) { // it may be called after Close
			t.Errorf("Serve = %v", err)
		}
	})
	return s, ln.Addr()
}

// peer is a Redis client.
type peer struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

func dial(t testing.TB, network, addr string) *peer {
	t.Helper()
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &peer{t, nc, bufio.NewReader(nc)}
}

func (p *peer) send(raw string) {
	p.t.Helper()
	if _, err := io.WriteString(p.nc, raw); err != nil {
		p.t.Fatal(err)
	}
}

// pack encodes a line of a script.
func pack(t testing.TB, line string) string {
	t.Helper()
	args, err := resp.SplitLine([]byte(line))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	b := redcon.AppendArray(nil, len(args))
	for _, arg := range args {
		b = redcon.AppendBulk(b, arg)
	}
	return string(b)
}

// do sends a line and returns its reply.
func (p *peer) do(line string) string {
	p.t.Helper()
	p.send(pack(p.t, line))
	return p.receive()
}

// want checks the reply to a line.
func (p *peer) want(line, want string) {
	p.t.Helper()
	if got := p.do(line); got != want {
		p.t.Errorf("%s = %s, want %s", line, got, want)
	}
}

// receive reads a reply: simple ones as they come, bulk strings quoted, arrays
// in brackets, "EOF" at the end.
func (p *peer) receive() string {
	p.t.Helper()
	line, err := p.br.ReadString('\n')
	if err != nil {
		return "EOF"
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line[0] != '$' && line[0] != '*' || line[1] == '-' {
		return line
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil {
		p.t.Fatalf("reply %q", line)
	}
	if line[0] == '*' {
		list := make([]string, n)
		for i := range list {
			list[i] = p.receive()
		}
		return "[" + strings.Join(list, " ") + "]"
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(p.br, b); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("%q", b[:n])
}
