package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The memory workload runs the program itself: in a test that is the test
// binary.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	s, err := parse(os.Args[1:])
	if err == nil {
		err = child(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Every workload runs on every store that has what it needs, checks what it
// reads, and every target whose stores are built in is judged.
func TestQuick(t *testing.T) {
	all := regexp.MustCompile("")
	b := newBench(settings{plan: quick, stores: all}, nil)
	b.root = t.TempDir()
	r := newReport(b)
	for _, w := range workloads() {
		res, err := b.run(w)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		r.add(w, res)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	for _, v := range r.Verdicts {
		rocks := strings.Contains(v.Target, "rocksdb")
		if !v.Measured && !rocks {
			t.Errorf("%s: %s: not measured", v.Workload, v.Target)
		}
	}
	for _, format := range []string{"text", "md", "json"} {
		var out bytes.Buffer
		if err := r.write(&out, format); err != nil {
			t.Fatal(err)
		}
		for _, res := range r.Results {
			if !strings.Contains(out.String(), res.Title) {
				t.Errorf("-o %s does not show %q", format, res.Title)
			}
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Error("-o json is no JSON")
		}
	}
}

func TestJudge(t *testing.T) {
	r := &result{Samples: map[string][]sample{
		subject:  {{"x": 4}, {"x": 6}, {"x": 5}},
		"pebble": {{"x": 2}, {"x": 6}, {"x": 4}},
	}}
	for _, test := range []struct {
		name   string
		target target
		figure float64
		met    bool
	}{
		{"a figure", target{column: "x", limit: 5}, 5, true},
		{"a figure at most", target{column: "x", limit: 4.9, atMost: true}, 5, false},
		{"round by round", target{column: "x", against: "pebble", limit: 1.2}, 1.25, true},
		{"of another", target{of: "pebble", column: "x", limit: 4.1}, 4, false},
	} {
		if v := test.target.judge(r); !v.Measured || v.Figure != test.figure || v.Met != test.met {
			t.Errorf("%s: judge = %+v, want %v, met %v", test.name, v, test.figure, test.met)
		}
	}
	if v := (target{column: "x", against: "badger"}).judge(r); v.Measured || v.Met || v.word() != "not measured" {
		t.Errorf("judge against who did not run = %+v", v)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-o", "xml"}, {"-rounds", "-1"}, {"-keys", "7"}, {"-workloads", "("}, {"-stores", "("}, {"more"}, {"-quick", "-full"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) = nil, want an error", args)
		}
	}
	s, err := parse([]string{"-full", "-rounds", "4", "-keys", "10000"})
	if err != nil || s.plan.Name != "full" || s.plan.Rounds != 4 || s.plan.Heavy != 4 || s.plan.Keys != 10_000 {
		t.Errorf("parse = %+v, %v", s, err)
	}
}
