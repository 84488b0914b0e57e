package resp_test

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the transcripts with what redis-server answers")

// A transcript is lines sent, each after "> ", and the reply to each on the
// line after it. The replies are those of a real redis-server.
func transcripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "transcripts", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	return files
}

// play sends the requests of a transcript and returns it with the replies got.
func play(t *testing.T, p *peer, file string) (got, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if request, ok := strings.CutPrefix(line, "> "); ok {
			b.WriteString(line + p.do(strings.TrimSuffix(request, "\n")) + "\n")
		}
	}
	return b.String(), string(text)
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		t.Errorf("%d lines, want %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("%s\n got %s\nwant %s", g[max(0, i-1)], g[i], w[i])
		}
	}
}

func TestTranscripts(t *testing.T) {
	for _, file := range transcripts(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, addr := serve(t, newFake(t), nil)
			got, want := play(t, dial(t, "tcp", addr.String()), file)
			compare(t, got, want)
		})
	}
}

// The transcripts are what Redis says: checked wherever there is one.
func TestRedisSaysTheSame(t *testing.T) {
	socket := startRedis(t)
	for _, file := range transcripts(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dial(t, "unix", socket).want("FLUSHALL", "+OK")
			got, want := play(t, dial(t, "unix", socket), file)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, got, want)
		})
	}
}

// startRedis runs a redis-server until the test ends and returns its socket.
func startRedis(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server here: the transcripts were checked against one when they were written")
	}
	dir, err := os.MkdirTemp("", "resp") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has killed it
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "eady to accept connections") || strings.Contains(lines.Text(), "connections at") {
			return socket
		}
	}
	t.Fatalf("redis-server did not start: %v", lines.Err())
	return ""
}
