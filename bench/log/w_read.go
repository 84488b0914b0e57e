package main

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

var (
	colSpeed   = column{name: "speed", unit: "entries/s", format: sheet.Count, higher: true}
	colMiBs    = column{name: "payload", unit: "MiB/s", format: sheet.Count, higher: true}
	colPerRead = column{name: "allocs/entry", format: sheet.Count}
)

func replayWorkload(p plan) workload {
	return workload{
		name: "replay", title: "replay of " + p.bigLog() + ", page cache warm",
		columns: []column{colSpeed, colMiBs, colPerRead},
		targets: []target{
			{text: ">= 0.75x (pread + checksum)", column: colSpeed.name, against: rawDevice, atLeast: true, limit: 0.75, unit: "x"},
			{text: "<= 0.05 allocations an entry", column: colPerRead.name, limit: 0.05},
			{text: ">= 5x the best peer that verifies", column: colSpeed.name, against: bestVerifying, atLeast: true, limit: 5, unit: "x"},
		},
		rounds: heavy,
		start:  startReplay,
	}
}

func startReplay(b *bench, k peer.Kind) (*session, error) {
	l, err := b.openBig(k)
	if err != nil {
		return nil, err
	}
	return &session{close: l.Close, round: func() (sample, error) {
		v := visitor{next: 1, size: bigEntry}
		before := allocated()
		start := time.Now()
		if err := l.Read(1, uint64(b.plan.Big)+1, v.visit); err != nil {
			return nil, err
		}
		took := time.Since(start)
		after := allocated()
		n := float64(b.plan.Big)
		return sample{
			colSpeed.name:   n / took.Seconds(),
			colMiBs.name:    n * bigEntry / (1 << 20) / took.Seconds(),
			colPerRead.name: float64(after.Mallocs-before.Mallocs) / n,
		}, nil
	}}, nil
}

func randomWorkload(p plan) workload {
	return workload{
		name: "random", title: "random reads in " + p.bigLog() + ", page cache warm",
		columns: []column{colSpeed, colP50, colP99, colPerRead},
		targets: []target{
			{text: ">= 0.9x (pread + checksum)", column: colSpeed.name, against: rawDevice, atLeast: true, limit: 0.9, unit: "x"},
			{text: ">= 2.5x the best peer", column: colSpeed.name, against: bestPeer, atLeast: true, limit: 2.5, unit: "x"},
		},
		start: startRandom,
	}
}

func startRandom(b *bench, k peer.Kind) (*session, error) {
	l, err := b.openBig(k)
	if err != nil {
		return nil, err
	}
	if _, err := l.Get(1); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	r := rand.New(rand.NewPCG(b.seed, 1))
	return &session{close: l.Close, round: func() (sample, error) {
		t, err := repeat(b.plan.Cell, func() error {
			index := 1 + r.Uint64N(uint64(b.plan.Big))
			p, err := l.Get(index)
			if err != nil {
				return err
			}
			v := visitor{next: index, size: bigEntry}
			return v.visit(index, p)
		})
		if err != nil {
			return nil, err
		}
		return sample{
			colSpeed.name: t.rate(), colP50.name: t.at(0.5), colP99.name: t.at(0.99), colPerRead.name: t.allocs,
		}, nil
	}}, nil
}
