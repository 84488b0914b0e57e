package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The measurements are processes of their own: this binary again.
func TestMain(m *testing.M) {
	if job := os.Getenv(jobVariable); job != "" {
		exit(work(job, os.Stdout))
	}
	os.Exit(m.Run())
}

// Everything runs on every competitor, and every target is judged.
func TestEverything(t *testing.T) {
	b := &bench{settings: settings{plan: tiny, seed: 7, only: regexp.MustCompile("")}, root: t.TempDir(), peers: peers()}
	r, err := b.all("a machine")
	if err != nil {
		t.Fatal(err)
	}
	tools := len(b.peers) > 7 // zstd is installed
	for _, v := range r.Verdicts {
		if !v.Measured && (tools || !strings.Contains(v.Target, "zstd -")) {
			t.Errorf("%s: %s: not measured", v.Workload, v.Target)
		}
	}
	if len(r.Verdicts) != len(targets()) {
		t.Errorf("%d verdicts, want %d", len(r.Verdicts), len(targets()))
	}
	for _, res := range r.Results {
		for _, who := range res.order {
			for _, c := range res.columns {
				for _, v := range res.values(who, c) {
					if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
						t.Errorf("%s, %s: %s = %v", res.Name, who, c.name, v)
					}
				}
			}
		}
	}
	for _, format := range []string{"text", "md", "json"} {
		var out bytes.Buffer
		if err := r.write(&out, format); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), r.Results[0].Title) || format == "json" && !json.Valid(out.Bytes()) {
			t.Errorf("-o %s = %s", format, out.String())
		}
	}
}

func TestJudge(t *testing.T) {
	r := &result{Samples: map[string][]sample{"a": {{"time": 2}, {"time": 4}, {"time": 1}}, "b": {{"time": 3}, {"time": 4}, {"time": 2}}}}
	for _, test := range []struct {
		target target
		figure float64
		met    bool
	}{
		{target{subject: "a", column: colSeconds, against: "b", atLeast: true, limit: 1.5}, 1.5, true},
		{target{subject: "a", column: colSeconds, against: "b", atLeast: true, limit: 1.6}, 1.5, false},
		{target{subject: "a", column: colSeconds, limit: 2}, 2, true},
		{target{subject: "a", column: colSeconds, limit: 1.9}, 2, false},
	} {
		if v := test.target.judge(r); !v.Measured || v.Figure != test.figure || v.Met != test.met {
			t.Errorf("judge = %+v, want %v, met %v", v, test.figure, test.met)
		}
	}
	if v := (target{subject: "c", column: colSeconds, limit: 9}).judge(r); v.Measured || v.Met || v.word() != "not measured" {
		t.Errorf("judge = %+v, want not measured", v)
	}
}

// Another state of the store has the same bytes but for the part that changed.
func TestChange(t *testing.T) {
	var was, is bytes.Buffer
	for b, c := range map[*bytes.Buffer]change{&was: {}, &is: {lo: 0.5, hi: 0.51, insert: 0.5}} {
		if err := writeState(b, 1<<20, 3, c); err != nil {
			t.Fatal(err)
		}
	}
	front, back := 0, 0
	for front < was.Len() && was.Bytes()[front] == is.Bytes()[front] {
		front++
	}
	for back < was.Len() && was.Bytes()[was.Len()-1-back] == is.Bytes()[is.Len()-1-back] {
		back++
	}
	if changed := was.Len() - front - back; front < 500_000 || changed < 5000 || changed > 12_000 || is.Len() <= was.Len() {
		t.Errorf("%d bytes are the same, %d changed, %d are the same; %d in all, %d before", front, changed, back, is.Len(), was.Len())
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-o", "xml"}, {"-rounds", "-1"}, {"-only", "("}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) = nil, want an error", args)
		}
	}
	if s, err := parse([]string{"-quick", "-rounds", "4", "-seed", "9"}); err != nil || s.plan.Size != quick.Size || s.plan.Rounds != 4 || s.seed != 9 {
		t.Errorf("parse = %+v, %v", s, err)
	}
}

func TestMemoryIsRefused(t *testing.T) {
	if _, err := examine("/dev/shm", 0); err == nil {
		t.Skip("no tmpfs at /dev/shm")
	} else if !strings.Contains(err.Error(), "-dir") {
		t.Errorf("examine = %v, want a refusal that names -dir", err)
	}
	if _, err := examine(".", math.MaxInt64); err == nil || !strings.Contains(fmt.Sprint(err), "free") {
		t.Errorf("examine = %v, want that there is no room", err)
	}
}
