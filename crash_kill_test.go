package trimaran_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

var (
	killStride = flag.Int("kill.stride", race.Either(3, 40), "TestKillAtEveryCall kills after each so many changes of the disk; 1: after every one")
	straceRuns = flag.Int("kill.strace", 0, "how many system calls TestKillAtEverySystemCall kills at; -1: at every one; 0: none")
)

// wholeScript has each step at least once: entries that win and lose, applies,
// votes, snapshots with the compaction behind them, installs within the log, on
// a conflict and beyond it, ways back within and below the log, restarts.
func wholeScript(tb testing.TB) *crashScript {
	a := &crashAuthor{
		crashScript: &crashScript{p: crashProfile{name: "whole"}, states: []crashState{{marks: []uint64{0}}}},
		rng:         rand.New(rand.NewPCG(8, 0x7a1)),
		sent:        &sender{},
	}
	for _, step := range []func(){
		a.append, a.vote, a.append, a.apply, a.sync, a.snapshot, a.append, a.apply, a.snapshot, a.append, a.append, a.apply, a.snapshot,
		a.back, a.append, a.apply, a.snapshot, a.vote, a.append, a.install, a.reopen, a.append, a.apply, a.snapshot, a.prune,
		a.lose, a.vote, a.conflict, a.append, a.append, a.append, a.append, a.append, a.install, a.snapshot, a.back, a.append, a.apply, a.reopen, a.snapshot,
	} {
		step()
	}
	kinds := map[string]bool{}
	for _, s := range a.steps {
		kinds[s.name] = true
	}
	for _, kind := range []string{"append", "lose", "vote", "apply", "sync", "snapshot", "prune", "install", "back", "reopen"} {
		if !kinds[kind] {
			tb.Fatalf("the script has no step %q: %v", kind, kinds)
		}
	}
	return a.crashScript
}

// conflict installs a snapshot whose last entry is one that lost here.
func (a *crashAuthor) conflict() {
	a.p.conflict = true
	a.install()
	a.p.conflict = false
}

// play makes the steps of s on fsys, and calls told before and after each.
func (s *crashScript) play(fsys vfs.FS, told func(step crashStep, done bool)) error {
	salt := byte(0)
	n, err := openCrashNode(fsys, &s.p, salt)
	for _, step := range s.steps {
		if err != nil {
			return err
		}
		told(step, false)
		if step.reopen {
			salt++
			if err = n.Close(); err == nil {
				n, err = openCrashNode(fsys, &s.p, salt)
			}
		} else {
			err = step.do(n)
		}
		if err != nil {
			return fmt.Errorf("%s from state %d: %w", step.name, step.at, err)
		}
		told(step, true)
	}
	return n.Close()
}

// states of step, from before it to after it.
func (s *crashStep) states() (all []int) {
	for i := s.at; i <= s.to; i++ {
		all = append(all, i)
	}
	return all
}

// twice opens what is on a tree after a kill, and again after what that did:
// the invariants hold, the node is in one of these states, and stays in it.
func (s *crashScript) twice(fsys vfs.FS, states []int) error {
	found, err := s.Check(fsys, crashtest.Expect{States: states})
	if err != nil {
		return fmt.Errorf("first open: %w", err)
	}
	if _, err := s.Check(fsys, crashtest.Expect{States: []int{found}}); err != nil {
		return fmt.Errorf("second open: %w", err)
	}
	return nil
}

// The process is killed after each change of the disk, and the disk keeps all
// that was written by then.
func TestKillAtEveryCall(t *testing.T) {
	s := wholeScript(t)
	disk := simdisk.New(nil)
	type span struct{ from, to int } // changes of the disk while a step went on
	var spans []span
	err := s.play(disk.FS(), func(_ crashStep, done bool) {
		if !done {
			spans = append(spans, span{from: disk.Ops()})
		} else {
			spans[len(spans)-1].to = disk.Ops()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for i, step := range s.steps {
		first := spans[i].from
		for at := first + (*killStride-first%*killStride)%*killStride; at <= spans[i].to; at += *killStride {
			states := step.states()
			switch at {
			case first:
				states = states[:1]
			case spans[i].to:
				states = states[len(states)-1:]
			}
			kills++
			if err := s.twice(disk.Point(at).Kill(nil).FS(), states); err != nil {
				t.Fatalf("killed after change %d of %d, in %s (states %v): %v", at, disk.Ops(), step.name, states, err)
			}
		}
	}
	t.Logf("%d kills, of %d changes in %d steps", kills, disk.Ops(), len(s.steps))
}

const killEnv = "TRIMARAN_TEST_KILL"

// TestKilledChild is what TestKillAtEverySystemCall runs, and kills.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killEnv)
	if dir == "" {
		t.Skip("runs as a child of TestKillAtEverySystemCall")
	}
	fsys, err := vfs.Disk(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = wholeScript(t).play(fsys, func(step crashStep, done bool) {
		fmt.Printf("%t %d\n", done, step.to) // one write to the pipe
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("end")
}

// calls are the system calls that change files. A thread of a process counts
// its own.
const calls = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,ftruncate,fallocate"

// A process on a real file system is killed by the kernel at a system call,
// each time at another.
func TestKillAtEverySystemCall(t *testing.T) {
	if *straceRuns == 0 {
		t.Skip("by flag: -kill.strace N, or -1 for every system call")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is missing: apt-get install strace")
	}
	s := wholeScript(t)
	at, step := 1, 1
	if *straceRuns > 0 {
		step = max(1, 600 / *straceRuns)
	}
	for kills := 0; kills != *straceRuns; kills++ {
		dir := t.TempDir()
		ended, states := s.killed(t, strace, dir, at)
		if ended {
			t.Logf("%d kills, up to call %d of a thread", kills, at)
			return
		}
		fsys, err := vfs.Disk(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.twice(fsys, states), fsys.Close()); err != nil {
			t.Fatalf("killed at call %d (states %v): %v", at, states, err)
		}
		at += step
	}
}

// killed runs the script in a process of its own, which dies at the at-th call
// of a thread, and returns the states that it may have left.
func (s *crashScript) killed(t *testing.T, strace, dir string, at int) (ended bool, states []int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace="+calls,
		"-e", "inject="+calls+":signal=SIGKILL:when="+strconv.Itoa(at), exe, "-test.run", "^TestKilledChild$")
	cmd.Env = append(os.Environ(), killEnv+"="+dir, "GOMAXPROCS=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	states = []int{0}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		done, to, ok := strings.Cut(lines.Text(), " ")
		if lines.Text() == "end" {
			ended = true
		}
		n, err := strconv.Atoi(to)
		i := slices.IndexFunc(s.steps, func(step crashStep) bool { return step.to == n })
		switch {
		case !ok || err != nil || i < 0:
		case done == "true":
			states = []int{n}
		case done == "false":
			states = s.steps[i].states()
		}
	}
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err == nil != ended {
		t.Fatalf("the child ended with %v after call %d", err, at)
	}
	return ended, states
}
