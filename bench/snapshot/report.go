package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

// report is all that a run found.
type report struct {
	Command  string    `json:"command"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Machine  string    `json:"machine"`
	Plan     plan      `json:"plan"`
	Seed     uint64    `json:"seed"`
	Peers    []peer    `json:"-"`
	Verdicts []verdict `json:"verdicts"`
	Results  []*result `json:"results"`
}

func (r *report) judge() {
	for _, t := range targets() {
		if i := slices.IndexFunc(r.Results, func(res *result) bool { return res.Name == t.workload }); i >= 0 {
			r.Verdicts = append(r.Verdicts, t.judge(r.Results[i]))
		}
	}
}

// notes are what has to be known to read the figures.
func (r *report) notes() []string {
	met := 0
	for _, v := range r.Verdicts {
		if v.Met {
			met++
		}
	}
	names := make([]string, len(r.Peers))
	for i, p := range r.Peers {
		names[i] = p.name + " (" + p.version + ")"
	}
	return []string{
		"Made by `" + r.Command + "` on " + r.Started.UTC().Format("2006-01-02") + fmt.Sprintf(", seed %d, in %.0f s.", r.Seed, r.Seconds),
		"Machine: " + r.Machine + ".",
		"Run: " + r.Plan.String() + ".",
		"Competitors: " + strings.Join(names, ", ") + ".",
		"Each measurement is a process of its own, one after the other in each round, in an order that rotates. " +
			"Figures are medians over the rounds, with the least and the largest; ratios are taken round by round.",
		fmt.Sprintf("%d of %d targets are met.", met, len(r.Verdicts)),
	}
}

func (r *report) verdictTable() sheet.Table {
	t := sheet.Table{{"workload", "target", "figure", "verdict"}}
	for _, v := range r.Verdicts {
		t = append(t, []string{v.Workload, v.Target, v.figure(), v.word()})
	}
	return t
}

func (r *result) table() sheet.Table {
	header := []string{""}
	for _, c := range r.columns {
		if c.unit != "" {
			c.name += ", " + c.unit
		}
		header = append(header, c.name)
	}
	t := sheet.Table{header}
	for _, who := range r.order {
		row := []string{who}
		for _, c := range r.columns {
			row = append(row, cell(r.values(who, c)))
		}
		t = append(t, row)
	}
	return t
}

func cell(values []float64) string {
	switch len(values) {
	case 0:
		return "-"
	case 1:
		return number(values[0])
	}
	return fmt.Sprintf("%s (%s-%s)", number(sheet.Median(values)), number(slices.Min(values)), number(slices.Max(values)))
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (r *report) write(w io.Writer, format string) error {
	all := sheet.Sheet{Title: "Snapshots, beside other stores and encoders", Notes: r.notes(), Targets: r.verdictTable(), Data: r}
	for _, res := range r.Results {
		all.Parts = append(all.Parts, sheet.Part{Title: res.Title, Table: res.table()})
	}
	return all.Write(w, format)
}
