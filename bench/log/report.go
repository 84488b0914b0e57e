package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

// report is all that a run found.
type report struct {
	Command     string            `json:"command"`
	Started     time.Time         `json:"started"`
	Seconds     float64           `json:"seconds"`
	Environment *environment      `json:"environment"`
	Plan        plan              `json:"plan"`
	Seed        uint64            `json:"seed"`
	Versions    map[string]string `json:"versions"`
	Verdicts    []verdict         `json:"verdicts"`
	Results     []*result         `json:"results"`

	order []string // of the versions
}

func newReport(b *bench, start time.Time) *report {
	r := &report{Started: start, Environment: b.env, Plan: b.plan, Seed: b.seed, Versions: map[string]string{}}
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

func (r *report) met() (met, all int) {
	for _, v := range r.Verdicts {
		if v.Met {
			met++
		}
	}
	return met, len(r.Verdicts)
}

// notes are what has to be known to read the figures.
func (r *report) notes() []string {
	met, all := r.met()
	versions := make([]string, len(r.order))
	for i, name := range r.order {
		versions[i] = name + " " + r.Versions[name]
	}
	return []string{
		"Made by `" + r.Command + "` on " + r.Started.UTC().Format("2006-01-02") + fmt.Sprintf(", seed %d, in %.0f s.", r.Seed, r.Seconds),
		"Machine: " + r.Environment.String() + ".",
		"Run: " + r.Plan.String() + ".",
		"Competitors: " + strings.Join(versions, ", ") + ".",
		"All run in one process, one after the other in each round, in an order that rotates. " +
			"Figures are medians over the rounds, with the least and the largest; ratios are taken round by round. " +
			"The device's bytes include what other processes wrote meanwhile, so there the least counts.",
		fmt.Sprintf("%d of %d targets are met. A verdict is unsteady where the largest of the rounds is over %d times the least: "+
			"something else used the machine.", met, all, unsteady),
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
	first := r.columns[0]
	device := len(r.values(rawDevice, first.name)) > 0
	header := []string{"log"}
	for _, c := range r.columns {
		header = append(header, c.header())
	}
	if device {
		header = append(header, "/ raw")
	}
	best := target{against: bestPeer}.opponent(r, first.name)
	if best != "" {
		header = append(header, "/ best peer ("+best+")")
	}
	t := sheet.Table{header}
	for _, k := range r.kinds {
		if len(r.Samples[k.Name]) == 0 {
			continue
		}
		row := []string{k.Name}
		for _, c := range r.columns {
			row = append(row, c.cell(r.values(k.Name, c.name)))
		}
		if device {
			row = append(row, ratioCell(ratios(r.values(k.Name, first.name), r.values(rawDevice, first.name), false)))
		}
		if best != "" {
			row = append(row, ratioCell(ratios(r.values(k.Name, first.name), r.values(best, first.name), false)))
		}
		t = append(t, row)
	}
	return t
}

func (c column) cell(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	figure := sheet.Median(values)
	if c.floor {
		figure = slices.Min(values)
	}
	if len(values) == 1 {
		return c.format(figure)
	}
	return fmt.Sprintf("%s (%s-%s)", c.format(figure), c.format(slices.Min(values)), c.format(slices.Max(values)))
}

func ratioCell(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", sheet.Median(values))
}
