package main

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

const (
	smallEntry = 16
	smallBatch = 4096
)

var colHeapRead = column{name: "heap after a replay", unit: "MiB", format: sheet.Count}

func heapWorkload(p plan) workload {
	return workload{
		name: "heap", title: fmt.Sprintf("heap of an open log with %d entries of %d B", p.Many, smallEntry),
		columns: []column{colHeap, colHeapRead},
		targets: []target{
			{text: "<= 24 MiB", column: colHeap.name, limit: 24, unit: " MiB"},
			{text: "<= 24 MiB after a replay", column: colHeapRead.name, limit: 24, unit: " MiB"},
		},
		rounds: heavy, logsOnly: true, subjectOnly: true,
		start: startHeap,
	}
}

func startHeap(b *bench, k peer.Kind) (*session, error) {
	dir := b.dir(k)
	l, err := k.Open(dir, peer.Options{Whole: true})
	if err != nil {
		return nil, err
	}
	err = fillLog(l, b.seed, b.plan.Many, smallBatch, smallEntry)
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	return &session{close: nothing, round: func() (sample, error) {
		before := heap()
		l, err := k.Open(dir, peer.Options{Whole: true})
		if err != nil {
			return nil, err
		}
		s := sample{colHeap.name: (heap() - before) / (1 << 20)}
		v := visitor{next: 1, size: smallEntry}
		err = l.Read(1, uint64(b.plan.Many)+1, v.visit)
		s[colHeapRead.name] = (heap() - before) / (1 << 20)
		return s, errors.Join(err, l.Close())
	}}, nil
}
