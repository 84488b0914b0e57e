package mutants

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReplay finds a mutant's failure and plays it again, which has to give the
// same to the byte: the whole campaign from its seed, the crash from the ID that
// the failure told, and the crash from the history that was saved.
func TestReplay(t *testing.T) {
	if !*all && *some == 0 && *only == "" {
		t.Skip(howTo)
	}
	for _, c := range []struct {
		name string
		// reads says that the mutant changes only how a log is read. The same image
		// then comes about without it, and nothing is wrong with that.
		reads bool
	}{
		{"log/acknowledge before the sync", false},
		{"log/forget the base term", false},
		{"log/trust a length without its payload's checksum", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ms := table()
			i := slices.IndexFunc(ms, func(m mutant) bool { return m.String() == c.name })
			if i < 0 {
				t.Fatal("there is no such mutant")
			}
			replay(t, &ms[i], c.reads)
		})
	}
}

func replay(t *testing.T, m *mutant, reads bool) {
	r := newRunner(t, root(t), limit)
	bin, err := r.build(t, m.test, m)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// One worker: with several it is chance which of two failures is the first.
	search := append([]string{"-crash.workers", "1", "-crash.save", dir}, m.test.search(limit*5/6)...)
	first := fails(t, bin, search...)
	history := saved(t, dir, first)
	t.Logf("%s\n%d bytes of history", first.text, len(history))

	again := fails(t, bin, search...)
	if again.text != first.text || saved(t, dir, again) != history {
		t.Errorf("the same seed gives\n%s", again.text)
	}
	ways := map[string][]string{
		"the ID":      {"-crash.replay", first.id},
		"the history": {"-crash.save", dir, "-crash.replay", first.file},
	}
	for way, args := range ways {
		if got := fails(t, bin, args...); got.text != first.text {
			t.Errorf("replayed by %s:\n%s", way, got.text)
		}
	}
	if !reads {
		return
	}
	if bin, err = r.unchanged(t, m.test); err != nil {
		t.Fatal(err)
	}
	for way, args := range ways {
		o := bin.run(t, limit, append(args, "-test.v")...)
		if o.err != nil || !strings.Contains(o.out, "the image is the same, and nothing is wrong with it") {
			t.Errorf("replayed by %s without the mutant: %v\n%s", way, o.err, o.out)
		}
	}
}

// fails runs a test that must fail with the message of a campaign.
func fails(t *testing.T, bin binary, args ...string) failure {
	t.Helper()
	o := bin.run(t, limit, args...)
	f := o.failure()
	if o.err == nil || f.id == "" {
		t.Fatalf("with %q the test ended with %v and told no ID:\n%s", args, o.err, o.out)
	}
	return f
}

func saved(t *testing.T, dir string, f failure) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, f.file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
