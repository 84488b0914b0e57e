package main

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// kept entries stay when a session drops what its last round wrote: so that a
// log that reuses its files can do so, as in a node that takes snapshots.
const kept = 16

// shape is the size of a durable append.
type shape struct {
	entries, size int
	limit         float64 // of the time, in times of the device's
}

var shapes = []shape{{1, 128, 1.00}, {1, 1 << 10, 1.00}, {64, 1 << 10, 1.05}, {64, 4 << 10, 1.05}, {1, 1 << 20, 1.10}}

func (s shape) String() string {
	switch {
	case s.size >= 1<<20:
		return fmt.Sprintf("%dx%dMiB", s.entries, s.size>>20)
	case s.size >= 1<<10:
		return fmt.Sprintf("%dx%dKiB", s.entries, s.size>>10)
	}
	return fmt.Sprintf("%dx%dB", s.entries, s.size)
}

func (s shape) workload() workload {
	w := workload{
		name:    "append-" + s.String(),
		title:   fmt.Sprintf("durable append, one writer, %v", s),
		columns: []column{colMean, colP50, colP99, colAllocs, colBytes},
		targets: []target{{
			text:   fmt.Sprintf("<= %.2fx the time of raw", s.limit),
			column: colMean.name, against: rawDevice, limit: s.limit, unit: "x", also: colP50.name,
		}},
		start: func(b *bench, k peer.Kind) (*session, error) { return startAppend(b, k, s) },
	}
	if s.entries == 1 && s.size == 1<<10 {
		w.targets = append(w.targets, target{
			text: "<= 0.5 allocations per durable append", column: colAllocs.name, limit: 0.5,
		})
	}
	return w
}

func startAppend(b *bench, k peer.Kind, s shape) (*session, error) {
	l, err := k.Open(b.dir(k), peer.Options{})
	if err != nil {
		return nil, err
	}
	f := newFeed(b.seed, s.entries, s.size, 1)
	cell := func() (timed, error) {
		t, err := repeat(b.plan.Cell, func() error { return f.append(l) })
		if err != nil {
			return t, err
		}
		return t, l.DropFront(max(1, f.next-min(f.next, kept)))
	}
	// The first cells pay for new files and are not counted.
	for range 3 {
		if _, err := cell(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return &session{close: l.Close, round: func() (sample, error) {
		t, err := cell()
		return t.sample(), err
	}}, nil
}
