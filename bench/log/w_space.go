package main

import (
	"errors"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

func deviceWorkload() workload {
	device := column{name: "device bytes", unit: "a payload byte", format: sheet.Count, floor: true}
	return workload{
		name: "device", title: "bytes written to the device, 64x1KiB durable, space dropped as it fills",
		columns: []column{device},
		targets: []target{{text: "<= 1.08 once segments are recycled", column: device.name, limit: 1.08}},
		rounds:  heavy,
		start:   func(b *bench, k peer.Kind) (*session, error) { return startDevice(b, k, device) },
	}
}

// startDevice writes through the log once before it counts, and drops as it
// goes, so that a log that recycles its files does.
func startDevice(b *bench, k peer.Kind, device column) (*session, error) {
	dir := b.dir(k)
	l, err := k.Open(dir, peer.Options{})
	if err != nil {
		return nil, err
	}
	f := newFeed(b.seed, bigBatch, bigEntry, 1)
	write := func() (int64, error) {
		written := int64(0)
		for written < int64(b.plan.Space) {
			if err := f.append(l); err != nil {
				return 0, err
			}
			written += bigBatch * bigEntry
			if written%(int64(b.plan.Space)/4) < bigBatch*bigEntry {
				if err := l.DropFront(f.next - kept); err != nil {
					return 0, err
				}
			}
		}
		return written, syncAll(dir)
	}
	if _, err := write(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &session{close: l.Close, round: func() (sample, error) {
		if err := syncAll(dir); err != nil {
			return nil, err
		}
		before, err := b.env.deviceBytes()
		if err != nil {
			return nil, err
		}
		written, err := write()
		if err != nil {
			return nil, err
		}
		after, err := b.env.deviceBytes()
		return sample{device.name: float64(after-before) / float64(written)}, err
	}}, nil
}

func fileWorkload(p plan) workload {
	file := column{name: "file bytes", unit: "a payload byte", format: sheet.Count}
	disk := column{name: "allocated", unit: "a payload byte", format: sheet.Count}
	return workload{
		name: "file", title: "bytes in the files of " + p.bigLog() + " written by 64, closed, without what is only reserved",
		columns: []column{file, disk},
		targets: []target{{text: "<= 1.02", column: file.name, limit: 1.02}},
		rounds:  heavy, logsOnly: true,
		start: func(b *bench, k peer.Kind) (*session, error) { return startFile(b, k, file, disk) },
	}
}

func startFile(b *bench, k peer.Kind, file, disk column) (*session, error) {
	return &session{close: nothing, round: func() (sample, error) {
		dir, err := b.big(k)
		if err != nil {
			return nil, err
		}
		bytes, err := content(dir)
		if err != nil {
			return nil, err
		}
		occupied, err := onDisk(dir)
		n := float64(b.plan.Big) * bigEntry
		return sample{file.name: float64(bytes) / n, disk.name: float64(occupied) / n}, err
	}}, nil
}
