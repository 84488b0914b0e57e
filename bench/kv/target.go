package main

import (
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

const (
	subject = "trimaran"
	memory  = "trimaran/memory"
	onRocks = "trimaran/rocksdb"
)

// target is one promise of the table: a column of one of ours, divided by
// another's if one is named, is at least or at most limit.
type target struct {
	text    string
	of      string // subject if empty
	column  string
	against string // "" is the figure itself
	atMost  bool
	limit   float64
	unit    string
}

// verdict is a target and what was measured.
type verdict struct {
	Workload string  `json:"workload"`
	Target   string  `json:"target"`
	Measured bool    `json:"measured"`
	Figure   float64 `json:"figure"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Met      bool    `json:"met"`
	Unit     string  `json:"unit,omitempty"`
}

func (v verdict) word() string {
	switch {
	case !v.Measured:
		return "not measured"
	case v.Met:
		return "met"
	}
	return "missed"
}

func (v verdict) figure() string {
	if !v.Measured {
		return "-"
	}
	return fmt.Sprintf("%s%s (%s-%s)", sheet.Count(v.Figure), v.Unit, sheet.Count(v.Low), sheet.Count(v.High))
}

// judge compares round by round, and takes the median: what slows the machine
// down for a while slows both.
func (t target) judge(r *result) verdict {
	v := verdict{Workload: r.Title, Target: t.text, Unit: t.unit}
	of := t.of
	if of == "" {
		of = subject
	}
	figures := r.values(of, t.column)
	if t.against != "" {
		figures = ratios(figures, r.values(t.against, t.column))
	}
	if len(figures) == 0 {
		return v
	}
	v.Measured = true
	v.Figure, v.Low, v.High = sheet.Median(figures), slices.Min(figures), slices.Max(figures)
	v.Met = v.Figure >= t.limit
	if t.atMost {
		v.Met = v.Figure <= t.limit
	}
	return v
}

func ratios(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			out = append(out, a[i]/b[i])
		}
	}
	return out
}
