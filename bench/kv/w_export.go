package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/trimarandb/trimaran/bench/kv/engine"
)

var colMiBs = column{name: "speed", unit: "MiB/s", higher: true}

func exportWorkload() workload {
	return workload{
		name: "export", title: "exports of everything", columns: []column{colMiBs}, heavy: true,
		targets: []target{atLeast(0.9, "pebble", subject), atLeast(0.9, "rocksdb", onRocks)},
		round: func(b *bench, k engine.Kind, _ int) (sample, error) {
			s, err := b.full(k)
			if err != nil {
				return nil, err
			}
			x, ok := s.(engine.Exporter)
			if !ok {
				return nil, engine.ErrUnsupported
			}
			start := time.Now()
			n, err := x.Export(io.Discard)
			return sample{colMiBs.name: mib(n, time.Since(start))}, err
		},
	}
}

var colCapture = column{name: "p99", unit: "us"}

func captureWorkload() workload {
	return workload{
		name: "capture", title: "captures of everything", columns: []column{colCapture, colP50},
		wants: func(k engine.Kind) bool { return isOurs(k.Name) },
		targets: []target{
			{text: "trimaran <= 1 ms", column: colCapture.name, atMost: true, limit: 1000, unit: " us"},
			{text: "trimaran/memory <= 1 ms", of: memory, column: colCapture.name, atMost: true, limit: 1000, unit: " us"},
			{text: "trimaran/rocksdb <= 1 ms", of: onRocks, column: colCapture.name, atMost: true, limit: 1000, unit: " us"},
		},
		round: func(b *bench, k engine.Kind, _ int) (sample, error) {
			s, err := b.full(k)
			if err != nil {
				return nil, err
			}
			_, each, err := repeat(b.plan.Cell, func(int) error {
				c, err := s.(*engine.KV).Capture(context.Background())
				if err != nil {
					return err
				}
				return c.Release()
			})
			if err != nil {
				return nil, err
			}
			return sample{colCapture.name: at(each, 0.99), colP50.name: at(each, 0.5)}, nil
		},
	}
}

func importWorkload() workload {
	var stream []byte
	return workload{
		name: "import", title: "imports of everything, verified, against writing tables", columns: []column{colMiBs}, heavy: true,
		targets: []target{atLeast(0.5, "pebble", subject)},
		round: func(b *bench, k engine.Kind, _ int) (_ sample, err error) {
			if stream == nil {
				if stream, err = anExport(b); err != nil {
					return nil, err
				}
			}
			s, done, err := b.fresh(k, b.plan.options())
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, done()) }()
			x, ok := s.(engine.Importer)
			if !ok {
				return nil, engine.ErrUnsupported
			}
			pairs := sorted(b.plan.Keys)
			start := time.Now()
			err = x.Import(bytes.NewReader(stream), pairs)
			return sample{colMiBs.name: mib(int64(b.plan.Keys)*(keySize+valueSize), time.Since(start))}, err
		},
	}
}

func anExport(b *bench) ([]byte, error) {
	s, err := b.full(b.kinds[0])
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	_, err = s.(engine.Exporter).Export(&buf)
	return buf.Bytes(), err
}

var (
	colWriter = column{name: "writer kept", higher: true}
	colExport = column{name: "export kept", higher: true}
	colAlone  = column{name: "writer alone", unit: "keys/s"}
	colXAlone = column{name: "export alone", unit: "MiB/s"}
)

// togetherWorkload writes as fast as it can while the store is exported.
func togetherWorkload() workload {
	w := workload{
		name: "together", title: "a writer that does not pause during an export, as parts of what each does alone",
		columns: []column{colWriter, colExport, colAlone, colXAlone}, heavy: true,
		wants: func(k engine.Kind) bool { return isOurs(k.Name) },
	}
	for _, of := range []string{subject, memory, onRocks} {
		w.targets = append(w.targets,
			target{text: of + ": the writer keeps >= 0.8x", of: of, column: colWriter.name, limit: 0.8, unit: "x"},
			target{text: of + ": the export keeps >= 0.5x", of: of, column: colExport.name, limit: 0.5, unit: "x"})
	}
	w.round = func(b *bench, k engine.Kind, round int) (_ sample, err error) {
		s, done, err := b.fresh(k, b.plan.options())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, done()) }()
		if err := errors.Join(load(s, b.plan.Keys), s.Settle()); err != nil {
			return nil, err
		}
		return together(b, s, round)
	}
	return w
}

func together(b *bench, s engine.Store, round int) (sample, error) {
	exports := func(budget time.Duration) (float64, error) {
		start, total := time.Now(), int64(0)
		for total == 0 || time.Since(start) < budget {
			n, err := s.(engine.Exporter).Export(io.Discard)
			if err != nil {
				return 0, err
			}
			total += n
		}
		return mib(total, time.Since(start)), nil
	}
	version := uint64(round + 1)
	write := func(stop func(took time.Duration) bool) (float64, error) {
		start, n := time.Now(), 0
		p := newPicker(b.plan.Keys/batchSize, false, int(version))
		for n == 0 || !stop(time.Since(start)) {
			i := p.pick() * batchSize
			if err := s.Write(batch(i, i+batchSize, version)); err != nil {
				return 0, err
			}
			n += batchSize
			version++
		}
		return float64(n) / time.Since(start).Seconds(), nil
	}
	budget := 4 * b.plan.Cell
	exportAlone, err := exports(budget)
	if err != nil {
		return nil, err
	}
	writeAlone, err := write(func(took time.Duration) bool { return took >= budget })
	if err != nil {
		return nil, err
	}
	var over atomic.Bool
	var export float64
	failed := make(chan error, 1)
	go func() {
		var err error
		export, err = exports(budget)
		over.Store(true)
		failed <- err
	}()
	writer, err := write(func(time.Duration) bool { return over.Load() })
	if err := errors.Join(err, <-failed); err != nil {
		return nil, err
	}
	return sample{
		colWriter.name: writer / writeAlone, colExport.name: export / exportAlone,
		colAlone.name: writeAlone, colXAlone.name: exportAlone,
	}, nil
}
