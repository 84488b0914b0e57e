package mutants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeModule has a test for each fate that a mutant can meet.
var fakeModule = map[string]string{
	"go.mod": "module example.com/fake\n\ngo 1.26\n",
	"fake.go": `package fake

func Double(n int) int { return n + n }

func Half(n int) int { return n / 2 }

func Wait(c chan bool) bool { return <-c }

func Start(fn func()) { go fn() }
`,
	"fake_test.go": `package fake

import (
	"flag"
	"testing"
	"time"
)

var search = flag.Duration("search", 0, "")

func TestDouble(t *testing.T) {
	t.Log("about to double")
	t.Run("three", func(t *testing.T) {
		if got := Double(3); got != 6 {
			t.Errorf("Double(3) = %d, want 6", got)
		}
	})
}

func TestSearch(t *testing.T) {
	t.Log("seed 1")
	start := time.Now()
	for n := 0; n < 5 || time.Since(start) < *search; n++ {
		if got := Double(n); got != n + n {
			t.Fatalf("open after the crash: Double(%d) = %d\n  replay with -crash.replay double/%d", n, got, n)
		}
	}
}

func TestLate(t *testing.T) {
	for start := time.Now(); time.Since(start) < *search; {
		if time.Since(start) > 300*time.Millisecond {
			t.Fatal("wrong after a while")
		}
	}
}

func TestHalfOfFour(t *testing.T) {
	if Half(4) != 2 {
		t.Fatal("Half(4) is not 2")
	}
}

func TestWait(t *testing.T) {
	c := make(chan bool, 1)
	c <- true
	Wait(c)
}

func TestStart(t *testing.T) {
	done := make(chan bool)
	Start(func() { close(done) })
	<-done
}

func TestWrong(t *testing.T) { t.Fatal("wrong from the start") }
`,
}

func fakeRunner(t *testing.T) *runner {
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	for name, text := range fakeModule {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return newRunner(t, dir, 6*time.Second)
}

func TestRunner(t *testing.T) {
	r := fakeRunner(t)
	for _, c := range []struct {
		name, old, new, test, time string
		by, said, err              string // parts of what the verdict has
	}{
		{name: "caught", old: "n + n", new: "n * n", test: "TestDouble", by: "TestDouble/three", said: "Double(3) = 9, want 6"},
		{name: "caught by a longer search", old: "return n + n", new: "return max(n, 0) + min(n, 8)", test: "TestSearch", time: "-search",
			by: "TestSearch", said: "open after the crash: Double(9) = 17"},
		{name: "caught by a panic", old: "go fn()", new: `go func() { panic("lost " + "its way") }()`, test: "TestStart", by: "a panic", said: "panic: lost its way"},
		{name: "survivor", old: "n / 2", new: "n - 2", test: "TestHalfOfFour", err: "survived"},
		{name: "no build", old: "n / 2", new: "m / 2", test: "TestHalfOfFour", err: "undefined: m"},
		{name: "no end", old: "return <-c", new: "<-c; return <-c", test: "TestWait", err: "no failure within 6s"},
		{name: "no test", old: "n / 2", new: "n - 2", test: "TestHalfOfFive", err: "no such test"},
		{name: "no sound test", old: "n / 2", new: "n - 2", test: "TestWrong", err: "TestWrong: wrong from the start"},
		{name: "no sound search", old: "n / 2", new: "n - 2", test: "TestLate", time: "-search", err: "fails without it too"},
		{name: "moved", old: "n / 3", new: "n / 4", test: "TestHalfOfFour", err: "fake.go has the text to be replaced 0 times"},
		{name: "twice", old: "n int", new: "n int64", test: "TestHalfOfFour", err: "fake.go has the text to be replaced 2 times"},
		{name: "nothing", old: "n / 2", new: "n / 2", test: "TestHalfOfFour", err: "changes nothing"},
		{name: "no Go", old: "n / 2", new: "n /", test: "TestHalfOfFour", err: "does not parse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := r.try(t, &mutant{name: c.name, layer: "fake", file: "fake.go", old: c.old, new: c.new, test: target{pkg: ".", run: c.test, time: c.time}})
			if c.err == "" && v.err != nil || c.err != "" && (v.err == nil || !strings.Contains(v.err.Error(), c.err)) {
				t.Fatalf("verdict %v, want one with %q", v.err, c.err)
			}
			if c.err == "" && (v.by != c.by || !strings.Contains(v.said, c.said)) {
				t.Errorf("caught by %q: %q, want %q: %q", v.by, v.said, c.by, c.said)
			}
		})
	}
}
