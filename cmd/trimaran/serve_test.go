package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/internal/freeport"
)

var (
	kills = flag.Int("kills", 3, "how often TestServeKill9 kills a node under load")
	seed  = flag.Uint64("seed", 1, "seed of the moments at which TestServeKill9 kills")
)

// patience is longer than any machine stalls: what takes it has hung.
const patience = 3 * time.Minute

// program builds the program once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "trimaran-test-")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "trimaran")
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", exe, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if exe, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(exe))
	}
	os.Exit(code)
}

// process is a running trimaran serve.
type process struct {
	t     *testing.T
	args  []string
	resp  string
	http  string
	cmd   *exec.Cmd
	out   *bytes.Buffer // standard error, once it has ended
	said  *bytes.Buffer // standard output up to the addresses
	ready <-chan bool
}

// newProcess names a node with its own addresses; start runs it.
func newProcess(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, resp: freeport.Reserve(t), http: freeport.Reserve(t)}
	p.args = append([]string{"serve", "--data", dir, "--resp", p.resp, "--raft", freeport.Reserve(t), "--http", p.http}, args...)
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.spawn()
	p.wait()
}

// spawn starts the program; wait returns when it serves.
func (p *process) spawn() {
	p.t.Helper()
	exe, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	p.out, p.said = &bytes.Buffer{}, &bytes.Buffer{}
	p.cmd = exec.Command(exe, p.args...)
	p.cmd.Stderr = p.out
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.kill)
	ready := make(chan bool, 1)
	p.ready = ready
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(p.said, lines.Text())
			if strings.Contains(lines.Text(), p.resp) {
				ready <- true
				_, _ = io.Copy(io.Discard, stdout)
				return
			}
		}
		ready <- false
	}()
}

func (p *process) wait() {
	p.t.Helper()
	select {
	case ok := <-p.ready:
		if !ok {
			_ = p.cmd.Wait()
			p.t.Fatalf("serve ended: %s", p.out)
		}
	case <-time.After(patience):
		p.t.Fatal("serve does not say where to connect")
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.cmd != nil && p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // killed
	}
}

// stop asks the process to end and wants a clean end.
func (p *process) stop(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("serve after %v: %v\n%s", sig, err, p.out)
	}
}

// client is one connection that speaks the little of RESP that tests need.
type client struct {
	c net.Conn
	r *bufio.Reader
}

func (p *process) dial() (*client, error) {
	c, err := net.DialTimeout("tcp", p.resp, patience)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReader(c)}, nil
}

func (p *process) try(args ...string) (string, error) {
	p.t.Helper()
	c, err := p.dial()
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.c.Close()
	return c.do(args...)
}

func (p *process) do(args ...string) string {
	p.t.Helper()
	reply, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// do sends a command and returns the reply as text; (nil) is none.
func (c *client) do(args ...string) (string, error) {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	if err := c.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := c.c.Write(b); err != nil {
		return "", err
	}
	return c.reply()
}

func (c *client) reply() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch line[0] {
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "(nil)", err
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(c.r, b)
		return string(b[:n]), err
	case '-':
		return "", errors.New(line[1:])
	}
	return line[1:], nil
}

// TestServeKill9 kills a node under load, again and again: every write that was
// acknowledged is there after the restart, with its deadline.
func TestServeKill9(t *testing.T) { newProcess(t, t.TempDir()).survives() }

// survives kills the node as often as -kills says.
func (p *process) survives() {
	t := p.t
	rng := rand.New(rand.NewPCG(*seed, 0))
	acked := map[string]time.Duration{} // key to the time to live it was given
	for round := range *kills {
		p.start()
		stopLoad := p.load()
		p.writeUntilKilled(round, 20+rng.IntN(200), acked)
		stopLoad()
		p.start()
		p.check(acked)
		p.kill()
		if t.Failed() {
			t.Fatalf("after kill %d, seed %d", round+1, *seed)
		}
	}
	t.Logf("%d kills, %d acknowledged writes, none lost; seed %d", *kills, len(acked), *seed)
}

// load runs redis-benchmark where there is one.
func (p *process) load() (stop func()) {
	exe, err := exec.LookPath("redis-benchmark")
	if err != nil {
		p.t.Log("no redis-benchmark on this machine: the test's own client is the only load")
		return func() {}
	}
	host, port, err := net.SplitHostPort(p.resp)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	cmd := exec.CommandContext(ctx, exe, "-h", host, "-p", port, "-t", "set,get,incr", "-n", "100000", "-c", "50", "-q")
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		cancel()
		_ = cmd.Wait() // its server was killed
	}
}

// writeUntilKilled writes keys with several clients, notes what is
// acknowledged, and kills the node after some of them.
func (p *process) writeUntilKilled(round, after int, acked map[string]time.Duration) {
	p.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := 0
	for w := range 4 {
		wg.Go(func() {
			c, err := p.dial()
			if err != nil {
				return
			}
			defer c.c.Close()
			for i := 0; ; i++ {
				key := fmt.Sprintf("acked:%d:%d:%d", round, w, i)
				args := []string{"SET", key, "value of " + key}
				ttl := time.Duration(0)
				if i%3 == 0 {
					ttl = time.Hour
					args = append(args, "PX", strconv.FormatInt(ttl.Milliseconds(), 10))
				}
				if reply, err := c.do(args...); err != nil || reply != "OK" {
					return
				}
				mu.Lock()
				acked[key] = ttl
				if count++; count == after {
					_ = p.cmd.Process.Kill()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	_ = p.cmd.Wait() // killed
}

func (p *process) check(acked map[string]time.Duration) {
	p.t.Helper()
	c, err := p.dial()
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.c.Close()
	for key, ttl := range acked {
		if got, err := c.do("GET", key); err != nil || got != "value of "+key {
			p.t.Errorf("GET %s = %q, %v: acknowledged and lost", key, got, err)
		}
		got, err := c.do("PTTL", key)
		left, _ := strconv.ParseInt(got, 10, 64)
		if err != nil || ttl == 0 && left != -1 || ttl != 0 && (left <= 0 || left > ttl.Milliseconds()) {
			p.t.Errorf("PTTL %s = %s, %v, was given %v", key, got, err, ttl)
		}
	}
}

func TestServeStopsCleanly(t *testing.T) {
	p := newProcess(t, t.TempDir())
	for i, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p.start()
		if got := p.do("INCR", "starts"); got != strconv.Itoa(i+1) {
			t.Errorf("INCR starts = %s, want %d", got, i+1)
		}
		p.stop(sig)
	}
}

func TestServeHTTP(t *testing.T) {
	p := newProcess(t, t.TempDir())
	p.start()
	p.do("SET", "k", "v")
	for path, want := range map[string]string{"/healthz": "", "/readyz": "", "/metrics": "trimaran_"} {
		if body := p.get("GET", path); !strings.Contains(body, want) {
			t.Errorf("GET %s = %q, want %q in it", path, body, want)
		}
	}
	var status map[string]any
	if err := json.Unmarshal([]byte(p.get("GET", "/v1/status")), &status); err != nil || len(status) == 0 {
		t.Errorf("GET /v1/status: %v, %v", status, err)
	}
	p.get("POST", "/v1/snapshot")
}

func (p *process) get(method, path string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.http+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		p.t.Errorf("%s %s = %s, %v: %s", method, path, resp.Status, err, body)
	}
	return string(body)
}

// refused runs serve, which must end by itself with that code and words.
func refused(t *testing.T, code int, words string, args ...string) {
	t.Helper()
	exe, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, exe, args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(string(out), words) || strings.Contains(string(out), "panic") {
		t.Errorf("trimaran %s: %v, want exit code %d and %q\n%s", strings.Join(args, " "), err, code, words, out)
	}
}

func TestServeRefuses(t *testing.T) {
	p := newProcess(t, t.TempDir())
	p.start()
	other := newProcess(t, p.args[2])
	refused(t, exitLocked, "locked", other.args...)
	busy := newProcess(t, t.TempDir())
	busy.args[4] = p.resp
	refused(t, exitLocked, p.resp, busy.args...)
	refused(t, exitUsage, "--insecure", "serve", "--data", t.TempDir(), "--resp", "0.0.0.0:0")
	refused(t, exitUsage, "port", "serve", "--data", t.TempDir(), "--resp", "127.0.0.1:x")
	refused(t, exitNotFound, "no-such-file.yaml", "serve", "--config", "no-such-file.yaml")
}

// The configuration that keeps everything in memory says so at start, works,
// and is empty after a restart.
func TestServeInMemory(t *testing.T) {
	p := newProcess(t, t.TempDir(), "--config", "../../examples/memory-optimized.yaml")
	for range 2 {
		p.start()
		if got := p.do("INCR", "starts"); got != "1" {
			t.Errorf("INCR starts = %s, want 1: nothing survives", got)
		}
		p.kill()
		if !strings.Contains(p.said.String(), "NOTHING survives") || !strings.Contains(p.out.String(), "health changed") {
			t.Errorf("serve said %q, and %q: want that it is in memory, and degraded by that", p.said, p.out)
		}
	}
}

// A log in memory that is smaller than the usual distance of snapshots does not
// fill up: snapshots come sooner.
func TestServeInLittleMemory(t *testing.T) {
	p := newProcess(t, t.TempDir(), "--config", write(t, `
raft_storage:
  log_storage: {backend_type: memory_log, config: {max_entries: 400, circular_buffer: true}}
  snapshot_storage: {backend_type: memory_snapshot, config: {max_snapshots: 2}}
  app_storage: {backend_type: memory}
`))
	p.start()
	c, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.c.Close()
	for i := range 2000 {
		if reply, err := c.do("SET", "k", strconv.Itoa(i)); err != nil || reply != "OK" {
			t.Fatalf("SET %d = %q, %v", i, reply, err)
		}
	}
}

// Memory that is full of data refuses what needs more of it, and nothing else:
// the node goes on, and so do writes when something was removed.
func TestServeInFullMemory(t *testing.T) {
	p := newProcess(t, t.TempDir(), "--config", write(t, `
raft_storage:
  log_storage: {backend_type: memory_log, config: {max_entries: 2000, circular_buffer: true}}
  snapshot_storage: {backend_type: memory_snapshot, config: {max_snapshots: 2}}
  app_storage: {backend_type: memory, config: {max_size_mb: 1}}
`))
	p.start()
	value := strings.Repeat("v", 20<<10)
	full := -1
	for i := range 100 {
		_, err := p.try("SET", strconv.Itoa(i), value)
		if err != nil && strings.HasPrefix(err.Error(), "OOM") {
			full = i
			break
		}
		if err != nil {
			t.Fatalf("SET %d: %v", i, err)
		}
	}
	if full < 30 || p.do("GET", "0") != value || p.do("DBSIZE") != strconv.Itoa(full) {
		t.Fatalf("full after %d of about 45", full)
	}
	if got := p.do("DEL", "0", "1", "2", "3", "4"); got != "5" {
		t.Errorf("DEL = %q", got)
	}
	if got := p.do("SET", "again", value); got != "OK" {
		t.Errorf("SET = %q when there is room", got)
	}
}

// A node that keeps snapshots needs little of its log: the directory stays
// small, and a restart finds everything.
func TestServeCompactsItsLog(t *testing.T) {
	dir := t.TempDir()
	p := newProcess(t, dir, "--config", write(t, "node:\n  snapshot_entries: 200\n"))
	p.start()
	c, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.c.Close()
	for i := range 5000 {
		if reply, err := c.do("SET", fmt.Sprintf("key-%d", i%100), strconv.Itoa(i)); err != nil || reply != "OK" {
			t.Fatalf("SET %d = %q, %v", i, reply, err)
		}
	}
	p.get("POST", "/v1/snapshot")
	var status struct {
		First uint64 `json:"log_first_index"`
		Last  uint64 `json:"log_last_index"`
	}
	if err := json.Unmarshal([]byte(p.get("GET", "/v1/status")), &status); err != nil || status.First < 3000 || status.Last < 5000 {
		t.Errorf("log of 5,000 entries with a snapshot every 200: %+v, %v", status, err)
	}
	p.kill()
	p.start()
	for i := range 100 {
		if got := p.do("GET", fmt.Sprintf("key-%d", i)); got != strconv.Itoa(4900+i) {
			t.Fatalf("key-%d = %s after the restart", i, got)
		}
	}
}

func TestServeOnADirectoryItMayNotWrite(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; package seglog tests the refusal with another user's rights")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailure, "permission denied", newProcess(t, filepath.Join(dir, "data")).args...)
}

// Bytes that are no protocol end their connection and nothing else.
func TestServeMalformed(t *testing.T) {
	p := newProcess(t, t.TempDir())
	p.start()
	for _, bytes := range []string{"*1\r\n$99999999999999999999\r\n", "*-5\r\n", "*2000000000\r\n$1\r\n", "\x00\xff\x00\r\n", "*1\r\n$3\r\nGETX\r\n", "$5\r\n"} {
		c, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c.c, bytes); err != nil {
			t.Fatal(err)
		}
		if err := c.c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := c.c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c.r); err != nil {
			t.Errorf("after %q: %v", bytes, err)
		}
		_ = c.c.Close()
		if got := p.do("PING"); got != "PONG" {
			t.Errorf("PING after %q = %s", bytes, got)
		}
	}
}

// cluster writes the files of three nodes that know one another.
func cluster(t *testing.T, storage string) []*process {
	t.Helper()
	var ps []*process
	peers := "  peers:\n"
	for i := range 3 {
		p := newProcess(t, t.TempDir())
		ps = append(ps, p)
		peers += fmt.Sprintf("    - {id: n%d, raft_address: %q}\n", i+1, p.args[6])
	}
	for i, p := range ps {
		p.args = append(p.args, "--config", write(t, fmt.Sprintf("node:\n  id: n%d\n%s%s", i+1, peers, storage)))
	}
	return ps
}

// Three nodes that are told of one another make a cluster: what one
// acknowledged the others have, and they serve on without one.
func TestServeThreeNodes(t *testing.T) {
	ps := cluster(t, "")
	for _, p := range ps {
		p.spawn()
	}
	for _, p := range ps { // two of them are needed before one is ready
		p.wait()
	}
	got, leader := ask(t, ps, "SET", "k", "v")
	if got != "OK" {
		t.Fatalf("SET = %s", got)
	}
	leader.kill()
	var rest []*process
	for _, p := range ps {
		if p != leader {
			rest = append(rest, p)
		}
	}
	if got, _ := ask(t, rest, "GET", "k"); got != "v" {
		t.Errorf("GET after the leader was killed = %s, want v", got)
	}
}

// ask asks until one of the nodes answers, which leads.
func ask(t *testing.T, ps []*process, args ...string) (reply string, leader *process) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for _, p := range ps {
			c, err := p.dial()
			if err != nil {
				continue
			}
			reply, err = c.do(args...)
			_ = c.c.Close()
			if err == nil {
				return reply, p
			}
		}
	}
	t.Fatal("no node leads")
	return "", nil
}

// Nodes that forget their votes may not vote beside others.
func TestServeRefusesVolatileVoters(t *testing.T) {
	memory, err := os.ReadFile("../../examples/memory-optimized.yaml")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, exitUsage, "memory", cluster(t, string(memory))[0].args...)
}
