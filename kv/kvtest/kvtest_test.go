package kvtest_test

import (
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/kv/kvtest"
)

func TestLastingEngine(t *testing.T) {
	kvtest.Run(t, func(testing.TB) kvtest.Place { return lasting(plain) })
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
