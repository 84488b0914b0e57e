package seglog_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

var kills = flag.Int("kills", 100, "how often TestKill9 kills a writing process")

const childEnv = "SEGLOG_TEST_CHILD"

// TestMain turns the test binary into a child process where a test asks for it.
func TestMain(m *testing.M) {
	flag.Parse()
	role, dir, _ := strings.Cut(os.Getenv(childEnv), ":")
	switch role {
	case "":
		os.Exit(m.Run())
	case "write":
		fmt.Println("failed", childWrites(dir))
	case "hold":
		s, err := seglog.Open(dir, nil)
		fmt.Println("open", err)
		if err == nil {
			_, _ = io.Copy(io.Discard, os.Stdin) // until the parent lets go
			_ = s.Close()
		}
	}
	os.Exit(1)
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+role+":"+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

const writers = 8

func killGroup(w int) raftlog.Group { return raftlog.Group{Shard: uint64(w)} }

// childWrites appends from several goroutines and reports each write, after it
// was acknowledged, as one line: writer, last index, vote. It ends when killed.
func childWrites(dir string) error {
	s, err := seglog.Open(dir, &seglog.Options{SegmentSize: 20_000})
	if err != nil {
		return err
	}
	var out sync.Mutex
	failed := make(chan error, writers)
	for w := range writers {
		l, err := s.Log(killGroup(w))
		if err != nil {
			return err
		}
		go func() {
			for {
				last, err := appendSome(l)
				if err != nil {
					failed <- err
					return
				}
				out.Lock()
				fmt.Printf("acked %d %d\n", w, last) // one write to the pipe
				out.Unlock()
			}
		}()
	}
	return <-failed
}

// appendSome writes a few entries whose vote names the last of them, and now
// and then compacts.
func appendSome(l *raftlog.Log) (uint64, error) {
	b, err := l.Bounds()
	if err != nil {
		return 0, err
	}
	var batch raftlog.Batch
	last := b.Last + 1 + b.Last%4
	for i := b.Last + 1; i <= last; i++ {
		batch.Entries = append(batch.Entries, raftlog.Entry{Index: i, Term: 1, Data: payload(i)})
	}
	batch.Stable = []raftlog.StableKV{{Key: "vote", Value: []byte(strconv.FormatUint(last, 10))}}
	if b.Count() > 200 {
		batch.CompactTo = last - 100
	}
	return last, l.Write(batch)
}

// A process that writes from several goroutines is killed with SIGKILL at a
// random moment, again and again, in one directory: every entry and vote that
// was acknowledged is there.
func TestKill9(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 1))
	dir := t.TempDir()
	acked := make([]uint64, writers)
	total := 0
	for round := range *kills {
		cmd := child(t, "write", dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := readAcks(t, pipe, acked, 1+rng.IntN(60), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // killed
		total += n
		checkAcked(t, dir, acked)
		if t.Failed() {
			t.Fatalf("after kill %d", round+1)
		}
	}
	t.Logf("%d kills, %d acknowledged writes, none lost", *kills, total)
}

// readAcks reads acknowledgements, has the writer killed after some of them,
// and reads on to the end of what it had said.
func readAcks(t *testing.T, pipe io.Reader, acked []uint64, after int, kill func()) (n int) {
	t.Helper()
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		var w int
		var last uint64
		if _, err := fmt.Sscanf(lines.Text(), "acked %d %d", &w, &last); err != nil {
			t.Errorf("child: %s", lines.Text())
			continue
		}
		acked[w] = last
		if n++; n == after {
			kill()
		}
	}
	return n
}

func checkAcked(t *testing.T, dir string, acked []uint64) {
	t.Helper()
	s, err := seglog.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for w := range acked {
		l, err := s.Log(killGroup(w))
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Bounds()
		if err != nil || b.Last < acked[w] {
			t.Errorf("writer %d: last = %d, %v, acknowledged %d", w, b.Last, err, acked[w])
			continue
		}
		for e, err := range l.Entries(b.First(), b.Last+1) {
			if err != nil || string(e.Data) != string(payload(e.Index)) {
				t.Errorf("writer %d: entry %d = %q, %v", w, e.Index, e.Data, err)
			}
		}
		if vote, err := l.Stable("vote"); b.Last > 0 && (err != nil || string(vote) != strconv.FormatUint(b.Last, 10)) {
			t.Errorf("writer %d: vote = %q, %v, want that of the last batch, %d", w, vote, err, b.Last)
		}
	}
}

// A second process on the directory is refused with the pid of the first, and
// welcome once that has gone.
func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "hold", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open <nil>\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	_, err = seglog.Open(dir, nil)
	if !errors.Is(err, fault.ErrLocked) || !strings.Contains(fmt.Sprint(err), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("Open beside another process = %v, want ErrLocked with pid %d", err, cmd.Process.Pid)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // exits 1 by design
	s, err := seglog.Open(dir, nil)
	if err != nil {
		t.Fatalf("Open after the other process ended: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
