package mutants

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	some = flag.Int("mutants", 0, "how many mutants to try, from all layers in turn")
	all  = flag.Bool("mutants.all", false, "try all mutants")
	only = flag.String("mutants.only", "", "try the mutants whose LAYER/NAME matches this")
	seed = flag.Uint64("mutants.seed", 0, "which of them -mutants takes; 0: as the commit says")
)

const howTo = "mutants are tried by flag: make mutants, or -mutants N, -mutants.all, -mutants.only REGEXP"

var layersWanted = []string{"log", "snapshot", "kv", "composite", "adapter"}

// limit is within which each mutant has to be caught.
const limit = time.Minute

func root(t testing.TB) string {
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func table() []mutant {
	return slices.Concat(logMutants, snapshotMutants, kvMutants, compositeMutants, adapterMutants)
}

// TestMutants fails for each mutant that no test catches. It prints a table,
// one line as soon as it is known.
func TestMutants(t *testing.T) {
	picked := pick(t)
	r := newRunner(t, root(t), limit)
	start := time.Now()
	line := func(m *mutant, took, by, said string) {
		fmt.Printf("%-9s  %-51s  %6s  %-39s  %s\n", m.layer, m.name, took, by, said)
	}
	line(&mutant{layer: "LAYER", name: "MUTANT"}, "AFTER", "CAUGHT BY", "WHICH SAID")
	caught, slowest := 0, time.Duration(0)
	for i := range picked {
		m := &picked[i]
		v := r.try(t, m)
		if v.err != nil {
			line(m, "-", "NOT CAUGHT", brief(v.err.Error()))
			t.Errorf("mutant %v: %v\n  it breaks: %s\n  should have been caught by %v", m, v.err, m.breaks, m.test)
			continue
		}
		caught++
		slowest = max(slowest, v.took)
		line(m, fmt.Sprintf("%.1f s", v.took.Seconds()), path.Join("trimaran", m.test.pkg)+" "+v.by, brief(v.said))
	}
	fmt.Printf("%d of %d mutants caught, the slowest within %.1f s; all took %.0f s\n", caught, len(picked), slowest.Seconds(), time.Since(start).Seconds())
}

// brief cuts s to what the line of a table has room for.
func brief(s string) string {
	const room = 120
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > room {
		return string(r[:room]) + "..."
	}
	return s
}

// TestTable fails when the code that a mutant replaces has moved.
func TestTable(t *testing.T) {
	dir := root(t)
	names, layers := map[string]bool{}, map[string]int{}
	for _, m := range table() {
		if names[m.String()] || m.breaks == "" {
			t.Errorf("mutant %v: its name is taken, or it does not say what it breaks", &m)
		}
		names[m.String()] = true
		layers[m.layer]++
		if _, err := m.mutate(dir); err != nil {
			t.Errorf("mutant %v: %v", &m, err)
		}
	}
	for _, layer := range layersWanted {
		if layers[layer] < 3 {
			t.Errorf("%d mutants of layer %s, want at least 3", layers[layer], layer)
		}
	}
}

// pick does what the flags say.
func pick(t testing.TB) []mutant {
	t.Helper()
	ms := table()
	switch {
	case *only != "":
		re, err := regexp.Compile(*only)
		if err != nil {
			t.Fatal(err)
		}
		ms = slices.DeleteFunc(ms, func(m mutant) bool { return !re.MatchString(m.String()) })
		if len(ms) == 0 {
			t.Fatalf("no mutant matches %q", *only)
		}
		return ms
	case *all:
		return ms
	case *some > 0:
		s := *seed
		if s == 0 {
			s = seedOfCommit(t)
		}
		t.Logf("-mutants %d -mutants.seed %d", *some, s)
		return rotate(ms, s, *some)
	}
	t.Skip(howTo)
	return nil
}

// seedOfCommit is another number for each commit, or for each day where there
// is no repository.
func seedOfCommit(t testing.TB) uint64 {
	cmd := exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD")
	cmd.Dir = root(t)
	if out, err := cmd.Output(); err == nil && len(out) >= 8 {
		if s, err := strconv.ParseUint(string(out[:8]), 16, 64); err == nil {
			return s
		}
	}
	return uint64(time.Now().Unix() / (24 * 60 * 60))
}

// rotate takes n mutants, other ones for another seed, from the layers in turn.
func rotate(ms []mutant, seed uint64, n int) []mutant {
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
	turn, turns := map[string]int{}, map[string]int{}
	for _, m := range ms {
		turns[m.String()] = turn[m.layer]
		turn[m.layer]++
	}
	slices.SortStableFunc(ms, func(a, b mutant) int { return turns[a.String()] - turns[b.String()] })
	ms = ms[:min(n, len(ms))]
	slices.SortFunc(ms, func(a, b mutant) int { return strings.Compare(a.String(), b.String()) })
	return ms
}

func TestRotate(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		layers := map[string]int{}
		for _, m := range rotate(table(), seed, 8) {
			seen[m.String()] = true
			layers[m.layer]++
		}
		for _, layer := range layersWanted {
			if n := layers[layer]; n < 1 || n > 2 {
				t.Errorf("seed %d takes %v", seed, layers)
			}
		}
	}
	if len(seen) != len(table()) {
		t.Errorf("200 seeds reach %d of %d mutants", len(seen), len(table()))
	}
}
