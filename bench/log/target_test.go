package main

import (
	"math"
	"testing"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// Two rounds of three logs and the device; "x" is a time, "n" a rate.
func someResult() *result {
	r := &result{
		columns: []column{{name: "x"}, {name: "n", higher: true}, {name: "least", floor: true}},
		kinds: []peer.Kind{
			{Name: subjectName, Verifies: true}, {Name: "fast"}, {Name: "checked", Verifies: true}, {Name: "raw", Limit: true, Verifies: true},
		},
		Samples: map[string][]sample{
			subjectName: {{"x": 4, "n": 40, "least": 3}, {"x": 6, "n": 20, "least": 5}},
			"fast":      {{"x": 2, "n": 80}, {"x": 2, "n": 80}},
			"checked":   {{"x": 8, "n": 10}, {"x": 8, "n": 10}},
			"raw":       {{"x": 1, "n": 100}, {"x": 3, "n": 200}},
		},
	}
	return r
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name    string
		target  target
		against string
		figure  float64
		met     bool
	}{
		{"a figure", target{column: "x", limit: 5}, "", 5, true},
		{"a figure above its limit", target{column: "x", limit: 4.9}, "", 5, false},
		{"the least counts", target{column: "least", limit: 3}, "", 3, true},
		{"round by round", target{column: "x", against: rawDevice, limit: 3}, "raw", 3, true},
		{"at least", target{column: "n", against: rawDevice, atLeast: true, limit: 0.26}, "raw", 0.25, false},
		{"the best is the fastest log", target{column: "x", against: bestPeer, limit: 3}, "fast", 2.5, true},
		{"the best has the highest rate", target{column: "n", against: bestPeer, atLeast: true, limit: 1}, "fast", 0.375, false},
		{"the best that verifies", target{column: "n", against: bestVerifying, atLeast: true, limit: 3}, "checked", 3, true},
		{"times faster", target{column: "x", against: "checked", inverse: true, atLeast: true, limit: 1.6}, "checked", (2 + 8.0/6) / 2, true},
		{"its own other column", target{column: "n", against: subjectName, other: "x", atLeast: true, limit: 6}, "its x", (10 + 20.0/6) / 2, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := test.target.judge(someResult())
			if !v.Measured || v.Against != test.against || math.Abs(v.Figure-test.figure) > 1e-9 || v.Met != test.met {
				t.Errorf("judge = %+v, want %v against %q, met %v", v, test.figure, test.against, test.met)
			}
		})
	}
}

func TestUnsteadyRoundsAreNamed(t *testing.T) {
	steady := verdict{Measured: true, Met: true, Low: 1, High: 3}
	wild := verdict{Measured: true, Low: 1, High: 3.1}
	if steady.word() != "met" || wild.word() != "missed, unsteady" {
		t.Errorf("words = %q, %q; want met and missed, unsteady", steady.word(), wild.word())
	}
}

func TestWhatIsMissingIsNotMet(t *testing.T) {
	r := someResult()
	delete(r.Samples, "checked")
	v := target{column: "x", against: "checked", limit: 100}.judge(r)
	if v.Measured || v.Met || v.word() != "not measured" {
		t.Errorf("judge = %+v, want not measured", v)
	}
	delete(r.Samples, subjectName)
	if v := (target{column: "x", limit: 100}).judge(r); v.Measured || v.Met {
		t.Errorf("judge = %+v, want not measured", v)
	}
}
