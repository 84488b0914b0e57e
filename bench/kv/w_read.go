package main

import (
	"fmt"

	"github.com/trimarandb/trimaran/bench/kv/engine"
)

var (
	colRate = column{name: "speed", unit: "ops/s", higher: true}
	colP50  = column{name: "p50", unit: "us"}
	colP99  = column{name: "p99", unit: "us"}
)

// workloads in the order of the table.
func workloads() []workload {
	return []workload{
		getWorkload("get", "gets, all keys alike", false),
		getWorkload("get-zipf", "gets, some keys more often", true),
		multiWorkload(), scanWorkload(), exportWorkload(), captureWorkload(),
		loadWorkload(), commitWorkload(), updateWorkload(), indexWorkload(), expireWorkload(),
		importWorkload(), togetherWorkload(), memoryWorkload(),
	}
}

// atLeast is a target against a bare engine or a peer.
func atLeast(limit float64, against, of string) target {
	return target{
		text: fmt.Sprintf("%s >= %gx %s", of, limit, against), of: of,
		column: colRate.name, against: against, limit: limit, unit: "x",
	}
}

// timed measures op over the shared store.
func timed(op func(s engine.Store, p *picker) error, zipf bool) func(*bench, engine.Kind, int) (sample, error) {
	return func(b *bench, k engine.Kind, round int) (sample, error) {
		s, err := b.full(k)
		if err != nil {
			return nil, err
		}
		p := newPicker(b.plan.Keys, zipf, round)
		if _, _, err := repeat(b.plan.Cell/4, func(int) error { return op(s, p) }); err != nil { // warm
			return nil, err
		}
		rate, each, err := repeat(b.plan.Cell, func(int) error { return op(s, p) })
		if err != nil {
			return nil, err
		}
		return sample{colRate.name: rate, colP50.name: at(each, 0.5), colP99.name: at(each, 0.99)}, nil
	}
}

func getWorkload(name, title string, zipf bool) workload {
	return workload{
		name: name, title: title, columns: []column{colRate, colP50, colP99},
		targets: []target{atLeast(0.9, "pebble", subject), atLeast(0.8, "tidwall/btree", memory)},
		round: timed(func(s engine.Store, p *picker) error {
			var key [keySize]byte
			i := p.pick()
			v, err := s.Get(keyOf(key[:], i))
			if err != nil {
				return err
			}
			return check(i, v)
		}, zipf),
	}
}

func multiWorkload() workload {
	return workload{
		name: "multiget", title: "multi-gets of 100 keys", columns: []column{colRate, colP50, colP99},
		targets: []target{atLeast(0.9, "pebble", subject)},
		round: timed(func(s engine.Store, p *picker) (failed error) {
			picked := make([]int, manyKeys)
			keys := make([][]byte, manyKeys)
			for i := range keys {
				picked[i] = p.pick()
				keys[i] = keyOf(make([]byte, keySize), picked[i])
			}
			err := s.MultiGet(keys, func(i int, v []byte) {
				if err := check(picked[i], v); err != nil {
					failed = err
				}
			})
			if err != nil {
				return err
			}
			return failed
		}, false),
	}
}

func scanWorkload() workload {
	return workload{
		name: "scan", title: "scans of 1,000 rows", columns: []column{colRate, colP50, colP99},
		targets: []target{atLeast(0.9, "pebble", subject), atLeast(0.8, "tidwall/btree", memory), atLeast(0.9, "rocksdb", onRocks)},
		round: timed(func(s engine.Store, p *picker) error {
			var key, last [keySize]byte
			n, bad := 0, 0
			err := s.Scan(keyOf(key[:], p.pick()), scanSize, func(k, v []byte) {
				if len(k) != keySize || string(k) <= string(last[:]) || len(v) != valueSize || v[0] != '{' {
					bad++
				}
				copy(last[:], k)
				n++
			})
			if err == nil && bad > 0 {
				err = fmt.Errorf("%d of %d rows of a scan are wrong", bad, n)
			}
			return err
		}, false),
	}
}
