package main

import (
	"errors"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

func relaxedWorkload() workload {
	mean := column{name: "mean", unit: "us", format: sheet.Count}
	return workload{
		name: "interval", title: "acknowledged before the sync (interval mode, NoSync), 1x128B",
		columns: []column{mean, colAllocs},
		targets: []target{
			{text: "<= 0.12 us", column: mean.name, limit: 0.12, unit: " us"},
			{text: ">= 7x as fast as Pebble's NoSync", column: mean.name, against: pebbleD, inverse: true, atLeast: true, limit: 7, unit: "x"},
		},
		start: func(b *bench, k peer.Kind) (*session, error) { return startRelaxed(b, k, mean) },
	}
}

func startRelaxed(b *bench, k peer.Kind, mean column) (*session, error) {
	l, err := k.Open(b.dir(k), peer.Options{Relaxed: true})
	if err != nil {
		return nil, err
	}
	f := newFeed(b.seed, 1, 128, 1)
	round := func() (sample, error) {
		t, err := repeatBulk(b.plan.Cell, func() error { return f.append(l) })
		if err != nil {
			return nil, err
		}
		return sample{mean.name: t.mean(), colAllocs.name: t.allocs}, l.DropFront(f.next - kept)
	}
	if _, err := round(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &session{round: round, close: l.Close}, nil
}
