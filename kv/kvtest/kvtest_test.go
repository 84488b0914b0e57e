package kvtest_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/kv/kvtest"
)

var (
	seed  = flag.Uint64("seed", 1, "first seed of the random test")
	seeds = flag.Int("seeds", 10, "how many seeds the random test runs")
	steps = flag.Int("steps", 800, "how many steps each seed makes")
)

func TestLastingEngine(t *testing.T) {
	kvtest.Run(t, func(testing.TB) kvtest.Place { return lasting(plain) })
}

func TestRandom(t *testing.T) {
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		t.Logf("seed %d", s)
		if err := kvtest.Random(t.Context(), lasting(plain), s, *steps); err != nil {
			t.Errorf("%v\nreplay: -run TestRandom -seed %d -seeds 1 -steps %d", err, s, *steps)
		}
	}
}

func TestCasesAreNamedAndStateTheirRule(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range kvtest.Cases() {
		if seen[c.Name] || !strings.Contains(c.Name, "/") || len(c.Rule) < 20 {
			t.Errorf("case %q with rule %q", c.Name, c.Rule)
		}
		seen[c.Name] = true
	}
}
