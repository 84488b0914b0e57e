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
	colOpen = column{name: "open", unit: "ms", format: sheet.Count}
	colHeap = column{name: "heap", unit: "MiB", format: sheet.Count}
)

func openWorkload(p plan) workload {
	return workload{
		name: "open", title: "open of " + p.bigLog() + " after a clean close, page cache warm",
		columns: []column{colOpen, colHeap},
		targets: []target{
			{text: "<= 1 ms", column: colOpen.name, limit: 1, unit: " ms"},
			{text: "heap <= 3 MiB", column: colHeap.name, limit: 3, unit: " MiB"},
		},
		rounds: heavy, logsOnly: true,
		start: startOpen,
	}
}

func startOpen(b *bench, k peer.Kind) (*session, error) {
	dir, err := b.big(k)
	if err != nil {
		return nil, err
	}
	return &session{close: nothing, round: func() (sample, error) {
		return openSample(dir, k, uint64(b.plan.Big))
	}}, nil
}

func nothing() error { return nil }

// openSample opens the log in dir, where last has to be there and nothing
// after it, and closes it again.
func openSample(dir string, k peer.Kind, last uint64) (sample, error) {
	if err := warm(dir); err != nil {
		return nil, err
	}
	before := heap()
	start := time.Now()
	l, err := k.Open(dir, peer.Options{Whole: true})
	took := time.Since(start)
	if err != nil {
		return nil, err
	}
	s := sample{colOpen.name: millis(took), colHeap.name: (heap() - before) / (1 << 20)}
	if _, err := l.Get(last); err != nil && !unsupported(err) {
		return nil, errors.Join(fmt.Errorf("entry %d is lost: %w", last, err), l.Close())
	}
	return s, l.Close()
}

func killedWorkload(p plan) workload {
	return workload{
		name: "open-killed", title: "open of " + p.bigLog() + " as a killed writer left them, page cache warm",
		columns: []column{colOpen, colHeap},
		targets: []target{{text: "<= 20 ms", column: colOpen.name, limit: 20, unit: " ms"}},
		rounds:  copies, logsOnly: true,
		start: startKilled,
	}
}

// startKilled keeps a copy of the log open. Each round writes to it and copies
// its files as they stand: the kernel keeps for a killed process exactly what
// other processes see.
func startKilled(b *bench, k peer.Kind) (*session, error) {
	live, err := b.copyBig(k, "live")
	if err != nil {
		return nil, err
	}
	l, err := k.Open(live, peer.Options{Whole: true})
	if err != nil {
		return nil, err
	}
	f := newFeed(b.seed, bigBatch, bigEntry, uint64(b.plan.Big)+1)
	return &session{close: l.Close, round: func() (sample, error) {
		for range 16 {
			if err := f.append(l); err != nil {
				return nil, err
			}
		}
		dir := b.dir(k, "killed")
		if err := copyTree(dir, live); err != nil {
			return nil, err
		}
		// A killed process leaves little that was not synced; a copy, everything.
		if err := syncAll(dir); err != nil {
			return nil, err
		}
		s, err := openSample(dir, k, f.next-1)
		return s, errors.Join(err, os.RemoveAll(dir))
	}}, nil
}

func openGroupsWorkload(p plan) workload {
	return workload{
		name: "open-groups", title: fmt.Sprintf("open with %d groups, after a clean close", p.Groups[1]),
		columns: []column{colOpen, colHeap},
		targets: []target{{text: "<= 50 ms", column: colOpen.name, limit: 50, unit: " ms"}},
		rounds:  heavy, logsOnly: true,
		start: startOpenGroups,
	}
}

func startOpenGroups(b *bench, k peer.Kind) (*session, error) {
	dir, groups := b.dir(k), b.plan.Groups[1]
	l, err := k.Open(dir, peer.Options{})
	if err != nil {
		return nil, err
	}
	c, ok := l.(peer.Concurrent)
	if !ok {
		return nil, errors.Join(peer.ErrUnsupported, l.Close())
	}
	writers, err := c.Writers(writerCount, groups, 1)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	each := 2 * (groups/writerCount + 1)
	_, err = appendAll(b.seed, writers, func(n int) bool { return n < each })
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	return &session{close: nothing, round: func() (sample, error) {
		before := heap()
		start := time.Now()
		l, err := k.Open(dir, peer.Options{})
		took := time.Since(start)
		if err != nil {
			return nil, err
		}
		return sample{colOpen.name: millis(took), colHeap.name: (heap() - before) / (1 << 20)}, l.Close()
	}}, nil
}
