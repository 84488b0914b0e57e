package resp_test

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/server/resp"
)

func TestPipelinedWritesShareAnEntry(t *testing.T) {
	f := newFake(t)
	_, addr := serve(t, f, nil)
	p := dial(t, "tcp", addr.String())
	var raw, want strings.Builder
	for i := range 500 {
		raw.WriteString(pack(t, "INCR n"))
		fmt.Fprintf(&want, ":%d ", i+1)
	}
	for range 100 {
		raw.WriteString(pack(t, "GET n"))
		want.WriteString(`"500" `)
	}
	for _, line := range []string{"SET n x", "INCR n", "GETSET n 1", "nosuch", "INCR n", "PING", "GETDEL n", "GET n"} {
		raw.WriteString(pack(t, line))
	}
	want.WriteString(`+OK -ERR value is not an integer or out of range "x" -ERR unknown command 'nosuch', with args beginning with:  :2 +PONG "2" $-1`)
	p.send(raw.String())
	var got []string
	for range 608 {
		got = append(got, p.receive())
	}
	if all := strings.Join(got, " "); all != want.String() {
		t.Errorf("got %s\nwant %s", all, want.String())
	}
	proposals, barriers := f.counts()
	if proposals > 50 || barriers > 20 {
		t.Errorf("%d proposals and %d barriers for 605 requests that came together", proposals, barriers)
	}
}

func TestConcurrentClients(t *testing.T) {
	_, addr := serve(t, newFake(t), nil)
	var wg sync.WaitGroup
	for range 8 {
		p := dial(t, "tcp", addr.String())
		wg.Go(func() {
			for range 100 {
				p.do("INCR n")
				p.do("GET n")
			}
		})
	}
	wg.Wait()
	dial(t, "tcp", addr.String()).want("GET n", `"800"`)
}

// Deadlines pass with the clock of the backend, also while nobody writes.
func TestExpiry(t *testing.T) {
	f := newFake(t)
	_, addr := serve(t, f, nil)
	p, other := dial(t, "tcp", addr.String()), dial(t, "tcp", addr.String())
	pass := func(d time.Duration) { f.set(func(f *fake) { f.clock = f.clock.Add(d) }) }
	p.want("SET k v PX 1500", "+OK")
	p.want("PTTL k", ":1500")
	p.want("TTL k", ":2")
	pass(1499 * time.Millisecond)
	p.want("PTTL k", ":1")
	p.want("TTL k", ":0")
	other.want("WATCH k", "+OK")
	pass(time.Millisecond)
	p.want("GET k", "$-1")
	p.want("TTL k", ":-2")
	other.want("MULTI", "+OK")
	other.want("SET k w", "+QUEUED")
	other.want("EXEC", "*-1")
	other.want("SET k v EX 9300000000", "-ERR invalid expire time in 'set' command")
	other.want("EXPIREAT k 9300000000", "-ERR invalid expire time in 'expireat' command")
}

func TestBackendErrors(t *testing.T) {
	f := newFake(t)
	_, addr := serve(t, f, nil)
	p := dial(t, "tcp", addr.String())
	p.want("SET k v", "+OK")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{&resp.NotLeaderError{Leader: "10.0.0.1:6380"}, "-NOTLEADER this node does not serve requests, the leader is 10.0.0.1:6380"},
		{fmt.Errorf("propose: %w", &resp.NotLeaderError{}), "-CLUSTERDOWN no leader is known, try again later"},
		{errors.New("disk\r\ngone"), "-ERR disk  gone"},
	} {
		f.set(func(f *fake) { f.fails = tc.err })
		for _, line := range []string{"SET k w", "GET k", "SCAN 0", "WATCH k"} {
			p.want(line, tc.want)
		}
		p.want("MULTI", "+OK")
		p.want("GET k", "+QUEUED")
		p.want("EXEC", tc.want)
	}
	f.set(func(f *fake) { f.fails = nil })
	p.want("GET k", `"v"`)
}

func TestTooManyClients(t *testing.T) {
	_, addr := serve(t, newFake(t), &resp.Options{MaxClients: 1})
	p := dial(t, "tcp", addr.String())
	p.want("PING", "+PONG")
	more := dial(t, "tcp", addr.String())
	if got := more.receive() + " " + more.receive(); got != "-ERR max number of clients reached EOF" {
		t.Errorf("the second client got %s", got)
	}
	p.want("PING", "+PONG")
}

func TestIdleClientsAreClosed(t *testing.T) {
	_, addr := serve(t, newFake(t), &resp.Options{IdleTimeout: time.Millisecond})
	if got := dial(t, "tcp", addr.String()).receive(); got != "EOF" {
		t.Errorf("an idle client got %s, want EOF", got)
	}
}

// Close answers what is under way and closes the rest.
func TestClose(t *testing.T) {
	f := newFake(t)
	f.hold, f.entered = make(chan struct{}), make(chan struct{})
	s, addr := serve(t, f, nil)
	busy, idle := dial(t, "tcp", addr.String()), dial(t, "tcp", addr.String())
	idle.want("PING", "+PONG")
	busy.send(pack(t, "SET k v"))
	<-f.entered
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	if got := idle.receive(); got != "EOF" {
		t.Errorf("an idle client got %s, want EOF", got)
	}
	close(f.hold)
	if got := busy.receive() + " " + busy.receive(); got != "+OK EOF" {
		t.Errorf("a busy client got %s, want +OK EOF", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Serve after Close = %v, want closed", err)
	}
}

func TestSession(t *testing.T) {
	_, addr := serve(t, newFake(t), &resp.Options{Version: "v1"})
	p := dial(t, "tcp", addr.String())
	p.want("CLIENT ID", ":1")
	p.want("CLIENT SETINFO LIB-NAME x", "+OK")
	p.want("CLIENT SETINFO FOO x", "-ERR Unrecognized option 'FOO'")
	p.want("HELLO 3", "-NOPROTO unsupported protocol version")
	p.want("HELLO 2 AUTH a b", "-ERR AUTH is not supported, connect without a password")
	p.want("HELLO 2 SETNAME me", `["server" "trimaran" "version" "7.0.15" "proto" :2 "id" :1 "mode" "standalone" "role" "master" "modules" []]`)
	p.want("CLIENT GETNAME", `"me"`)
	p.want("INFO replication", `"# Replication\r\nrole:master\r\n"`)
	p.want("INFO nosuch", `""`)
	p.want("CONFIG GET MAXC* save", `["maxclients" "10000" "save" ""]`)
	p.want("COMMAND COUNT", ":45")
	p.want("COMMAND DOCS", "[]")
	p.want("COMMAND INFO get nosuch", `[["get" :2 [+readonly +fast] :1 :1 :1 [] [] [] []] *-1]`)
	if got := p.do("COMMAND"); !strings.Contains(got, `["mset" :-3 [+write +denyoom] :1 :-1 :2`) {
		t.Errorf("COMMAND = %s", got)
	}
	if got := p.do("INFO"); !strings.Contains(got, `trimaran_version:v1\r\n`) || !strings.Contains(got, `connected_clients:1\r\n`) {
		t.Errorf("INFO = %s", got)
	}
	p.send("PING\r\n\r\nset k \"a b\\x00\"\r\nget 'k'\n")
	for _, want := range []string{"+PONG", "+OK", `"a b\x00"`} {
		if got := p.receive(); got != want {
			t.Errorf("inline request got %s, want %s", got, want)
		}
	}
	p.send(pack(t, "QUIT") + pack(t, "SET k lost"))
	if got := p.receive() + " " + p.receive(); got != "+OK EOF" {
		t.Errorf("QUIT = %s, want +OK EOF", got)
	}
	dial(t, "tcp", addr.String()).want("GET k", `"a b\x00"`)
}

// The tools of Redis work, where there are any.
func TestRedisTools(t *testing.T) {
	_, addr := serve(t, newFake(t), nil)
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ want, line string }{
		{"PONG", "redis-cli -p PORT ping"},
		{"key:", "redis-cli -p PORT --scan"},
		{"requests per second", "redis-benchmark -p PORT -t set,get,incr,mset -n 2000 -c 10 -P 8 -q"},
		{"key:", "redis-cli -p PORT --scan --pattern key:*"},
	} {
		words := strings.Fields(strings.ReplaceAll(tc.line, "PORT", port))
		if _, err := exec.LookPath(words[0]); err != nil {
			t.Skipf("no %s here", words[0])
		}
		if words[0] == "redis-cli" && tc.want == "key:" {
			dial(t, "tcp", addr.String()).want("SET key:x 1", "+OK")
		}
		out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) || strings.Contains(string(out), "ERR") {
			t.Errorf("%s = %v, %s", tc.line, err, out)
		}
	}
}

// flaky is a listener whose first Accept finds no file descriptor.
type flaky struct {
	net.Listener
	once sync.Once
}

func (f *flaky) Accept() (nc net.Conn, err error) {
	f.once.Do(func() { err = &net.OpError{Op: "accept", Err: syscall.EMFILE} })
	if err != nil {
		return nil, err
	}
	return f.Listener.Accept()
}

func TestServeOutlivesAFullTableOfFiles(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, done := resp.New(newFake(t), nil), make(chan error, 1)
	go func() { done <- s.Serve(&flaky{Listener: ln}) }()
	dial(t, "tcp", ln.Addr().String()).want("PING", "+PONG")
	if err := errors.Join(s.Close(), <-done); err != nil {
		t.Error(err)
	}
}

// Long replies of one transaction are sent as they come.
func TestLongTransaction(t *testing.T) {
	f := newFake(t)
	_, addr := serve(t, f, nil)
	p := dial(t, "tcp", addr.String())
	raw := pack(t, "MULTI") + strings.Repeat(pack(t, "COMMAND"), 50) + strings.Repeat(pack(t, "INCR n"), 1000) + pack(t, "EXEC")
	p.send(raw)
	for range 1051 {
		p.receive() // OK, QUEUED
	}
	got := p.receive()
	if proposals, _ := f.counts(); !strings.HasSuffix(got, ":999 :1000]") || proposals != 1 {
		t.Errorf("EXEC = %d bytes ending in %s, with %d proposals", len(got), got[max(0, len(got)-20):], proposals)
	}
}

// Close does not wait longer for a client that takes no answers.
func TestCloseGivesUpOnStuckClients(t *testing.T) {
	f := newFake(t)
	s, addr := serve(t, f, &resp.Options{RequestTimeout: 100 * time.Millisecond, WriteTimeout: time.Hour})
	p := dial(t, "tcp", addr.String())
	p.want("SET k "+strings.Repeat("v", 1<<20), "+OK")
	raw := strings.Repeat(pack(t, "GET k"), 300)
	p.send(raw)
	if _, err := p.br.ReadByte(); err != nil { // it has begun
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}
