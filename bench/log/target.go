package main

import (
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

// Whom a target compares the subject with.
const (
	nobody           = ""         // the figure itself
	rawDevice        = "raw"      //
	bestPeer         = "best"     // the best log that is not the subject
	bestVerifying    = "verifies" // the best of those that check what they read
	etcdWAL, pebbleD = "etcd", "pebble"
)

// target is one promise of the table: the subject's column, divided by
// another's where one is named, is at most or at least limit. Divided means in
// the direction that the text of the target has: subject / other.
type target struct {
	text    string
	column  string
	against string // a competitor's name, or one of the above
	other   string // the other's column; column if empty
	inverse bool   // other / subject instead: how many times faster a time is
	atLeast bool
	limit   float64
	unit    string // of the figure
	also    string // a column whose ratio is told as well
}

// verdict is a target and what was measured.
type verdict struct {
	Workload string  `json:"workload"`
	Target   string  `json:"target"`
	Against  string  `json:"against,omitempty"`
	Measured bool    `json:"measured"`
	Figure   float64 `json:"figure"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Met      bool    `json:"met"`
	Unit     string  `json:"unit,omitempty"`
	Also     string  `json:"also,omitempty"`
}

// unsteady rounds differ so much that the verdict may be another's doing.
const unsteady = 3

func (v verdict) word() string {
	word := "missed"
	switch {
	case !v.Measured:
		return "not measured"
	case v.Met:
		word = "met"
	}
	if v.High > unsteady*v.Low {
		word += ", unsteady"
	}
	return word
}

func (v verdict) figure() string {
	if !v.Measured {
		return "-"
	}
	s := fmt.Sprintf("%s%s (%s-%s)", sheet.Count(v.Figure), v.Unit, sheet.Count(v.Low), sheet.Count(v.High))
	if v.Against != "" {
		s += " of " + v.Against
	}
	if v.Also != "" {
		s += ", " + v.Also
	}
	return s
}

// judge compares round by round, and takes the median: what slows the machine
// down for a while slows both.
func (t target) judge(r *result) verdict {
	v := verdict{Workload: r.Title, Target: t.text, Unit: t.unit}
	subject := r.values(subjectName, t.column)
	if len(subject) == 0 {
		return v
	}
	figures := subject
	if t.against != nobody {
		other := t.other
		if other == "" {
			other = t.column
		}
		name := t.opponent(r, other)
		figures = ratios(subject, r.values(name, other), t.inverse)
		if len(figures) == 0 {
			return v
		}
		v.Against = name
		if name == subjectName {
			v.Against = "its " + other
		}
	}
	if t.also != "" {
		also := ratios(r.values(subjectName, t.also), r.values(v.Against, t.also), t.inverse)
		v.Also = fmt.Sprintf("%s %s%s", t.also, sheet.Count(sheet.Median(also)), t.unit)
	}
	v.Measured = true
	v.Figure, v.Low, v.High = sheet.Median(figures), slices.Min(figures), slices.Max(figures)
	if c := r.column(t.column); c.floor && t.against == nobody {
		v.Figure = v.Low
	}
	v.Met = v.Figure <= t.limit
	if t.atLeast {
		v.Met = v.Figure >= t.limit
	}
	return v
}

// opponent is the competitor that the target names or describes.
func (t target) opponent(r *result, col string) string {
	if t.against != bestPeer && t.against != bestVerifying {
		return t.against
	}
	best, figure := "", 0.0
	for _, k := range r.kinds {
		values := r.values(k.Name, col)
		if len(values) == 0 || k.Name == subjectName || k.Limit || t.against == bestVerifying && !k.Verifies {
			continue
		}
		m := sheet.Median(values)
		if best == "" || (m > figure) == r.column(col).higher {
			best, figure = k.Name, m
		}
	}
	return best
}

func ratios(a, b []float64, inverse bool) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if inverse {
			x, y = y, x
		}
		if y != 0 {
			out = append(out, x/y)
		}
	}
	return out
}

var subjectName = peer.Trimaran().Name
