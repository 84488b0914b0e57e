package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
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

// table is rows of cells, the first of them the header.
type table [][]string

func (r *report) verdictTable() table {
	t := table{{"workload", "target", "figure", "verdict"}}
	for _, v := range r.Verdicts {
		t = append(t, []string{v.Workload, v.Target, v.figure(), v.word()})
	}
	return t
}

func (r *result) table() table {
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
	t := table{header}
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
			ratio = fmt.Sprintf("%.2f", median(v))
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
		return count(values[0])
	}
	return fmt.Sprintf("%s (%s-%s)", count(median(values)), count(slices.Min(values)), count(slices.Max(values)))
}

func (r *report) write(w io.Writer, format string) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case "md":
		r.markdown(w)
		return nil
	}
	for _, n := range r.notes() {
		fmt.Fprintln(w, n)
	}
	for _, res := range r.Results {
		fmt.Fprintf(w, "\n%s\n", res.Title)
		if err := res.table().text(w); err != nil {
			return err
		}
	}
	fmt.Fprint(w, "\nTargets\n")
	return r.verdictTable().text(w)
}

func (r *report) markdown(w io.Writer) {
	fmt.Fprint(w, "# The key-value store, beside its engines and its peers\n\n")
	for _, n := range r.notes() {
		fmt.Fprintf(w, "- %s\n", n)
	}
	fmt.Fprint(w, "\n## Targets\n\n")
	r.verdictTable().markdown(w)
	for _, res := range r.Results {
		fmt.Fprintf(w, "\n## %s\n\n", res.Title)
		res.table().markdown(w)
	}
}

func (t table) markdown(w io.Writer) {
	for i, row := range t {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
}

func (t table) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t {
		fmt.Fprintln(tw, "  "+strings.Join(row, "\t"))
	}
	return tw.Flush()
}
