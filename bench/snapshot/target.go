package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

// target is one promise: a column of the subject, or how many times less it is
// than that of another, is at least or at most limit.
type target struct {
	text              string
	workload, subject string
	column            column
	against           string
	atLeast           bool
	limit             float64
}

func targets() []target {
	all := []target{
		{text: "zstd, fastest: >= 1.2x " + stream2, workload: "create", subject: ownZstd, column: colSeconds, against: stream2, atLeast: true, limit: 1.2},
		{text: "zstd, fastest: ratio within 3 % of " + stream2, workload: "create", subject: ownZstd, column: colStored, against: stream2, atLeast: true, limit: 0.97},
		{text: "zstd, fastest: faster than " + tool3T0, workload: "create", subject: ownZstd, column: colSeconds, against: tool3T0, atLeast: true, limit: 1},
		{text: "none: >= 1.0x " + fileStore, workload: "create", subject: ownNone, column: colSeconds, against: fileStore, atLeast: true, limit: 1},
		{text: "zstd: >= 1.6x zstd -d", workload: "read", subject: ownZstd, column: colSeconds, against: tool3, atLeast: true, limit: 1.6},
		{text: "none: >= 2x " + fileStore, workload: "read", subject: ownNone, column: colSeconds, against: fileStore, atLeast: true, limit: 2},
	}
	for _, who := range []string{ownZstd, ownNone, ownLZ4} {
		for _, c := range []column{colPeak, colReadPeak} {
			all = append(all, target{text: who + ", " + c.name + ": <= 48 MiB", workload: "peak", subject: who, column: c, limit: 48})
		}
	}
	for _, c := range changes {
		all = append(all, target{text: c.name + ": < 3 % of the bytes", workload: "transfer", subject: c.name, column: colShare, limit: math.Nextafter(3, 0)})
	}
	return all
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
}

// judge compares round by round, and takes the median: what slows the machine
// down for a while slows both.
func (t target) judge(r *result) verdict {
	v := verdict{Workload: t.workload, Target: t.text}
	figures := r.values(t.subject, t.column)
	if t.against != "" {
		other := r.values(t.against, t.column)
		figures = figures[:min(len(figures), len(other))]
		for i := range figures {
			figures[i] = other[i] / figures[i]
		}
	}
	if len(figures) == 0 {
		return v
	}
	v.Measured = true
	v.Figure, v.Low, v.High = sheet.Median(figures), slices.Min(figures), slices.Max(figures)
	v.Met = t.atLeast && v.Figure >= t.limit || !t.atLeast && v.Figure <= t.limit
	return v
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
	return fmt.Sprintf("%s (%s-%s)", number(v.Figure), number(v.Low), number(v.High))
}
