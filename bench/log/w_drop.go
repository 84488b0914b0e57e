package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

var (
	colFront  = column{name: "first 90 %", unit: "ms", format: sheet.Count}
	colBack   = column{name: "last 10 %", unit: "ms", format: sheet.Count}
	colQuiet  = column{name: "append p99 before", unit: "us", format: sheet.Count}
	colBeside = column{name: "append p99 beside", unit: "us", format: sheet.Count}
	colTimes  = column{name: "beside / before", format: sheet.Count}
	colSpace  = column{name: "space back", format: sheet.Count, higher: true}
)

func dropWorkload(p plan) workload {
	return workload{
		name: "drop", title: "drop the last 10 % of " + p.bigLog() + ", then the first 90 % of what is left",
		columns: []column{colFront, colBack, colQuiet, colBeside, colTimes, colSpace},
		targets: []target{
			{text: "first 90 % <= 0.5 ms to return", column: colFront.name, limit: 0.5, unit: " ms"},
			{text: "last 10 % <= 0.5 ms to return", column: colBack.name, limit: 0.5, unit: " ms"},
			{text: "append p99 beside it <= 2x", column: colTimes.name, limit: 2, unit: "x"},
			{text: fmt.Sprintf("80 %% of the space freed within %v, or reused", p.Pause), column: colSpace.name, atLeast: true, limit: 0.8},
		},
		rounds: copies, logsOnly: true,
		start: startDrop,
	}
}

func startDrop(b *bench, k peer.Kind) (*session, error) {
	if _, err := b.big(k); err != nil {
		return nil, err
	}
	return &session{close: nothing, round: func() (sample, error) {
		dir, err := b.copyBig(k, "drop")
		if err != nil {
			return nil, err
		}
		if err := syncAll(dir); err != nil {
			return nil, err
		}
		l, err := k.Open(dir, peer.Options{Whole: true})
		if err != nil {
			return nil, err
		}
		s, err := dropSample(b, l, dir)
		return s, errors.Join(err, l.Close(), os.RemoveAll(dir))
	}}, nil
}

func dropSample(b *bench, l peer.Log, dir string) (sample, error) {
	s := sample{}
	// The first append after an open has its own price; a log in use paid it.
	if err := newFeed(b.seed, 1, bigEntry, uint64(b.plan.Big)+1).append(l); err != nil {
		return nil, err
	}
	back := uint64(b.plan.Big) / 10 * 9
	if err := clock(s, colBack, func() error { return l.DropBack(back) }); err != nil {
		return nil, err
	}
	f := newFeed(b.seed, 1, bigEntry, back)
	before, err := repeat(max(b.plan.Cell, b.plan.Pause/2), func() error { return f.append(l) })
	if err != nil {
		return nil, err
	}
	full, err := onDisk(dir)
	if err != nil {
		return nil, err
	}
	front := back / 10 * 9
	dropped := make(chan error, 1)
	go func() { dropped <- clock(s, colFront, func() error { return l.DropFront(front) }) }()
	beside, err := repeat(b.plan.Pause, func() error { return f.append(l) })
	if err := errors.Join(err, <-dropped); err != nil {
		return nil, err
	}
	s[colQuiet.name], s[colBeside.name] = before.at(0.99), beside.at(0.99)
	s[colTimes.name] = s[colBeside.name] / s[colQuiet.name]
	s[colSpace.name], err = spaceBack(l, dir, f, full, int64(front)*bigEntry)
	return s, err
}

func clock(s sample, c column, do func() error) error {
	start := time.Now()
	err := do()
	s[c.name] = millis(time.Since(start))
	return err
}

// spaceBack is the part of the dropped bytes that left the disk, or are used
// again: as much is written as did not leave, and what of that does not make
// the log larger went where the dropped bytes were.
func spaceBack(l peer.Log, dir string, f *feed, full, dropped int64) (float64, error) {
	now, err := onDisk(dir)
	if err != nil {
		return 0, err
	}
	freed, written := full-now, int64(0)
	batch := newFeed(1, 1024, bigEntry, f.next)
	for written < dropped-freed {
		if err := batch.append(l); err != nil {
			return 0, err
		}
		written += 1024 * bigEntry
	}
	then, err := onDisk(dir)
	if err != nil {
		return 0, err
	}
	reused := written - (then - now)
	return float64(freed+reused) / float64(dropped), nil
}
