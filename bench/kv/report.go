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
	Command  string            `json:"command"`
	Started  time.Time         `json:"started"`
	Seconds  float64           `json:"seconds"`
	Machine  string            `json:"machine"`
	Plan     plan              `json:"plan"`
	Versions map[string]string `json:"versions"`
	Verdicts []verdict         `json:"verdicts"`
	Results  []*result         `json:"results"`

	order []string // of the versions
}

func newReport(b *bench) *report {
	r := &report{Started: time.Now(), Machine: machine(b.root), Plan: b.plan, Versions: map[string]string{}}
	for _, k := range b.kinds {
		r.Versions[k.Name] = k.Version
		r.order = append(r.order, k.Name)
	}
	return r
}

// add takes a workload's result in and judges it.
func (r *report) add(w workload, res *result) {
	r.Results = append(r.Results, res)
	for _, t := range w.targets {
		r.Verdicts = append(r.Verdicts, t.judge(res))
	}
}

// notes are what has to be known to read the figures.
func (r *report) notes() []string {
	met, measured := 0, 0
	for _, v := range r.Verdicts {
		if v.Met {
			met++
		}
		if v.Measured {
			measured++
		}
	}
	versions := make([]string, len(r.order))
	for i, name := range r.order {
		versions[i] = name + " " + r.Versions[name]
	}
	return []string{
		fmt.Sprintf("Made by `%s` on %s, in %.0f s.", r.Command, r.Started.UTC().Format("2006-01-02"), r.Seconds),
		"Machine: " + r.Machine + ".",
		"Run: " + r.Plan.String() + ".",
		"Stores: " + strings.Join(versions, ", ") + ".",
		"All run in one process, but for the peak of memory; one after the other in each round, in an order that rotates. Figures are " +
			"medians over the rounds, with the least and the largest; ratios are taken round by round.",
		fmt.Sprintf("%d of the %d targets that were measured are met.", met, measured),
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
	header := []string{"store"}
	for _, c := range r.columns {
		name := c.name
		if c.unit != "" {
			name += ", " + c.unit
		}
		header = append(header, name)
	}
	first := r.columns[0].name
	header = append(header, "trimaran / it")
	t := sheet.Table{header}
	for _, k := range r.kinds {
		if len(r.Samples[k.Name]) == 0 {
			continue
		}
		row := []string{k.Name}
		for _, c := range r.columns {
			row = append(row, cell(r.values(k.Name, c.name)))
		}
		ratio := "-"
		if v := ratios(r.values(subject, first), r.values(k.Name, first)); len(v) > 0 {
			ratio = fmt.Sprintf("%.2f", sheet.Median(v))
		}
		t = append(t, append(row, ratio))
	}
	return t
}

func cell(values []float64) string {
	switch len(values) {
	case 0:
		return "-"
	case 1:
		return sheet.Count(values[0])
	}
	return fmt.Sprintf("%s (%s-%s)", sheet.Count(sheet.Median(values)), sheet.Count(slices.Min(values)), sheet.Count(slices.Max(values)))
}

func (r *report) write(w io.Writer, format string) error {
	all := sheet.Sheet{Title: "The key-value store, beside its engines and its peers", Notes: r.notes(), Targets: r.verdictTable(), Data: r}
	for _, res := range r.Results {
		all.Parts = append(all.Parts, sheet.Part{Title: res.Title, Table: res.table()})
	}
	return all.Write(w, format)
}
