package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// Every workload runs on every competitor and every target is judged; nothing
// is measured.
func TestEverything(t *testing.T) {
	r, err := compare(settings{dir: t.TempDir(), plan: tiny, workloads: regexp.MustCompile("")})
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		for _, k := range res.Kinds {
			for _, c := range res.Columns {
				if v := res.values(k, c); len(v) != 1 || v[0] < 0 {
					t.Errorf("%s, %s, %s = %v", res.Name, k, c, v)
				}
			}
		}
		if len(res.Verdicts) == 0 {
			t.Errorf("%s: nothing was judged", res.Name)
		}
	}
	if n := r.Results[0].Kinds; len(n) != len(kinds) {
		t.Errorf("competitors %v, want %d", n, len(kinds))
	}
	for _, format := range []string{"text", "md", "json"} {
		var out bytes.Buffer
		if err := r.write(&out, format); err != nil || !strings.Contains(out.String(), r.Results[0].Title) {
			t.Errorf("-o %s: %v\n%s", format, err, &out)
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Error("-o json is no JSON")
		}
	}
}

func TestVerdicts(t *testing.T) {
	var r result
	r.atLeast("a", 2, []float64{1, 3, 2})
	r.atLeast("b", 2, []float64{1, 1, 9})
	r.atMost("c", 2, []float64{1, 9, 2, 1})
	r.atMost("d", 2, []float64{1, 3, 3, 3})
	for i, met := range []bool{true, false, true, false} {
		if v := r.Verdicts[i]; v.Met != met {
			t.Errorf("%s: %+v, want met = %v", v.Target, v, met)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-o", "xml"}, {"-rounds", "-1"}, {"-workloads", "("}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) = nil, want an error", args)
		}
	}
	s, err := parse([]string{"-quick", "-rounds", "4"})
	if err != nil || s.plan.Name != "quick" || s.plan.Rounds != 4 {
		t.Errorf("parse = %+v, %v", s, err)
	}
}
