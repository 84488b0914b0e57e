package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

// sample is what one competitor gave in one round, by column.
type sample map[string]float64

// result is what one workload gave.
type result struct {
	Name     string              `json:"name"`
	Title    string              `json:"title"`
	Columns  []string            `json:"columns"`
	Kinds    []string            `json:"kinds"`
	Samples  map[string][]sample `json:"samples"`
	Verdicts []verdict           `json:"verdicts"`
}

// verdict is a target and what was measured.
type verdict struct {
	Target string  `json:"target"`
	Limit  float64 `json:"limit"`
	Figure float64 `json:"figure"` // the median of the rounds
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Met    bool    `json:"met"`
	Least  bool    `json:"at_least"` // the limit is a lower one
}

type report struct {
	Command string    `json:"command"`
	Plan    plan      `json:"plan"`
	Go      string    `json:"go"`
	CPUs    int       `json:"cpus"`
	Seconds float64   `json:"seconds"`
	Results []*result `json:"results"`
}

// values are one competitor's, round by round.
func (r *result) values(kind, col string) (v []float64) {
	for _, s := range r.Samples[kind] {
		v = append(v, s[col])
	}
	return v
}

// ratios are taken within a round, so that what disturbs both cancels out.
func ratios(a, b []float64) (v []float64) {
	for i := range a {
		v = append(v, a[i]/b[i])
	}
	return v
}

func (r *result) atLeast(target string, limit float64, rounds []float64) {
	r.judge(target, limit, rounds, true)
}
func (r *result) atMost(target string, limit float64, rounds []float64) {
	r.judge(target, limit, rounds, false)
}

func (r *result) judge(target string, limit float64, rounds []float64, least bool) {
	m := sheet.Median(rounds)
	r.Verdicts = append(r.Verdicts, verdict{target, limit, m, slices.Min(rounds), slices.Max(rounds), m == limit || m > limit == least, least})
}

func (r *result) table() sheet.Table {
	t := sheet.Table{append([]string{""}, r.Columns...)}
	for _, k := range r.Kinds {
		row := []string{k}
		for _, c := range r.Columns {
			row = append(row, spread(r.values(k, c)))
		}
		t = append(t, row)
	}
	return t
}

func (r *report) verdicts() sheet.Table {
	t := sheet.Table{{"workload", "target", "limit", "measured", ""}}
	for _, res := range r.Results {
		for _, v := range res.Verdicts {
			sign, met := "<=", "met"
			if v.Least {
				sign = ">="
			}
			if !v.Met {
				met = "MISSED"
			}
			t = append(t, []string{res.Name, v.Target, fmt.Sprintf("%s %g", sign, v.Limit), spread([]float64{v.Low, v.Figure, v.High}), met})
		}
	}
	return t
}

// spread is the median, and the least and largest where they differ.
func spread(v []float64) string {
	lo, hi := slices.Min(v), slices.Max(v)
	if lo == hi {
		return short(lo)
	}
	return fmt.Sprintf("%s (%s-%s)", short(sheet.Median(v)), short(lo), short(hi))
}

func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *report) notes() []string {
	all := []string{
		fmt.Sprintf("%s, %d CPUs, plan %s: %d rounds of %v, %.0f s in all", r.Go, r.CPUs, r.Plan.Name, r.Plan.Rounds, r.Plan.Cell, r.Seconds),
		"`" + r.Command + "`",
		"medians of the rounds, with the least and the largest; ratios are taken within a round",
	}
	for _, k := range kinds {
		all = append(all, k.name+": "+k.what)
	}
	return all
}

func (r *report) write(w io.Writer, format string) error {
	all := sheet.Sheet{Title: "A whole node, beside its peers and a ceiling", Notes: r.notes(), Targets: r.verdicts(), Data: r}
	for _, res := range r.Results {
		all.Parts = append(all.Parts, sheet.Part{Title: res.Title, Table: res.table()})
	}
	return all.Write(w, format)
}
