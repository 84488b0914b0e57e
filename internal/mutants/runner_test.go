package mutants

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runner tries mutants of the module in root, one at a time.
type runner struct {
	root  string
	limit time.Duration // a test that has not failed by then does not notice
	tmp   string
	plain map[string]binary        // without a mutant, by package
	sound map[target]time.Duration // for how long a test searched in vain without one
}

func newRunner(t testing.TB, root string, limit time.Duration) *runner {
	return &runner{root: root, limit: limit, tmp: t.TempDir(), plain: map[string]binary{}, sound: map[target]time.Duration{}}
}

// verdict is what became of a mutant. It was caught if err is nil.
type verdict struct {
	took time.Duration // of the failing test, without the build
	by   string
	said string // first line of the failure
	err  error
}

var errSurvived = errors.New("survived: the test passes with it")

// try runs m's test without m and with it.
func (r *runner) try(t testing.TB, m *mutant) verdict {
	if err := r.passes(t, m.test, r.limit/60); err != nil {
		return verdict{err: err}
	}
	bin, err := r.build(t, m.test, m)
	if err != nil {
		return verdict{err: err}
	}
	v := r.judge(bin.run(t, r.limit, m.test.search(r.limit*5/6)...))
	if err := os.Remove(bin.path); err != nil && v.err == nil { // dozens of megabytes each
		v.err = err
	}
	if v.err == nil {
		v.err = r.passes(t, m.test, min(2*v.took, r.limit*5/6)) // else it may have met something else
	}
	return v
}

// passes fails if the test does when it searches for so long without a mutant:
// only where it passes, a failure has to do with one.
func (r *runner) passes(t testing.TB, test target, search time.Duration) error {
	if known, ok := r.sound[test]; ok && (known >= search || test.time == "") {
		return nil
	}
	bin, err := r.unchanged(t, test)
	if err != nil {
		return err
	}
	if o := bin.run(t, r.limit, test.search(search)...); o.err != nil {
		f := o.failure()
		return fmt.Errorf("the test fails without it too, within %v: %s: %s", search, f.test, f.said)
	}
	r.sound[test] = search
	return nil
}

// binary is a compiled test.
type binary struct{ path, dir, tests string }

// unchanged compiles a test as it is, once for all tests of its package.
func (r *runner) unchanged(t testing.TB, test target) (binary, error) {
	bin, ok := r.plain[test.pkg]
	if !ok {
		var err error
		if bin, err = r.build(t, test, nil); err != nil {
			return bin, err
		}
		r.plain[test.pkg] = bin
	}
	bin.tests = test.run
	return bin, nil
}

// build compiles a test, with m in it unless that is nil.
func (r *runner) build(t testing.TB, test target, m *mutant) (binary, error) {
	tmp, err := os.MkdirTemp(r.tmp, "")
	if err != nil {
		return binary{}, err
	}
	bin := binary{path: filepath.Join(tmp, "mutant.test"), dir: filepath.Join(r.root, filepath.FromSlash(test.pkg)), tests: test.run}
	args := []string{"test", "-c", "-o", bin.path}
	if m != nil {
		overlay, err := m.overlay(r.root, tmp)
		if err != nil {
			return bin, err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = bin.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return bin, fmt.Errorf("does not build: %w: %s", err, bytes.TrimSpace(out))
	}
	return bin, nil
}

// outcome is what a test said before it ended with err.
type outcome struct {
	out  string
	took time.Duration
	err  error
}

func (b binary) run(t testing.TB, limit time.Duration, args ...string) outcome {
	const grace = 10 * time.Second // for the stacks that a test prints when its time is up
	ctx, cancel := context.WithTimeout(t.Context(), limit+grace)
	defer cancel()
	args = append([]string{"-test.run", "^" + b.tests + "$", "-test.timeout", limit.String(), "-test.failfast"}, args...)
	cmd := exec.CommandContext(ctx, b.path, args...)
	cmd.Dir = b.dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	return outcome{out: string(out), took: time.Since(start), err: err}
}

func (r *runner) judge(o outcome) verdict {
	f := o.failure()
	v := verdict{took: o.took, by: cmp.Or(f.test, "a panic"), said: f.said}
	switch {
	case strings.Contains(o.out, "testing: warning: no tests to run"):
		v.err = errors.New("no such test")
	case o.err == nil:
		v.err = errSurvived
	case strings.Contains(o.out, "panic: test timed out") || o.took > r.limit:
		v.err = fmt.Errorf("no failure within %v", r.limit)
	case f.said == "":
		v.err = fmt.Errorf("the test ended with %w and no word of a failure", o.err)
	}
	return v
}
