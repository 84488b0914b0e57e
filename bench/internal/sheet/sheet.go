// Package sheet prints what a comparison found: notes, targets and a table for
// each workload, as text, Markdown or JSON.
package sheet

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table is rows of cells, the first of them the header.
type Table [][]string

// Part is one workload and its figures.
type Part struct {
	Title string
	Table Table
}

// Sheet is all that a run tells.
type Sheet struct {
	Title   string
	Notes   []string
	Targets Table
	Parts   []Part
	Data    any // what JSON shows instead
}

// Write prints s in a format: text, md or json.
func (s *Sheet) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(s.Data)
	case "md":
		s.markdown(w)
		return nil
	}
	return s.text(w)
}

func (s *Sheet) markdown(w io.Writer) {
	fmt.Fprintf(w, "# %s\n\n", s.Title)
	for _, n := range s.Notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
	fmt.Fprint(w, "\n## Targets\n\n")
	s.Targets.markdown(w)
	for _, p := range s.Parts {
		fmt.Fprintf(w, "\n## %s\n\n", p.Title)
		p.Table.markdown(w)
	}
}

func (t Table) markdown(w io.Writer) {
	for i, row := range t {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
}

func (s *Sheet) text(w io.Writer) error {
	for _, n := range s.Notes {
		fmt.Fprintln(w, n)
	}
	for _, p := range s.Parts {
		fmt.Fprintf(w, "\n%s\n", p.Title)
		if err := p.Table.text(w); err != nil {
			return err
		}
	}
	fmt.Fprint(w, "\nTargets\n")
	return s.Targets.text(w)
}

func (t Table) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t {
		fmt.Fprintln(tw, "  "+strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// Median is that of all values, 0 of none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// Count writes a figure with as many digits as it is worth.
func Count(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
