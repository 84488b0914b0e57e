package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/bench/kv/engine"
	"github.com/trimarandb/trimaran/kv"
)

var colKeys = column{name: "speed", unit: "keys/s", higher: true}

func loadWorkload() workload {
	return workload{
		name: "load", title: "load of all keys in batches of 1,000, no sync", columns: []column{colKeys}, heavy: true,
		targets: []target{atLeast(0.85, "pebble", subject)},
		round: func(b *bench, k engine.Kind, _ int) (_ sample, err error) {
			s, done, err := b.fresh(k, b.plan.options())
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, done()) }()
			start := time.Now()
			err = load(s, b.plan.Keys)
			return sample{colKeys.name: float64(b.plan.Keys) / time.Since(start).Seconds()}, err
		},
	}
}

const committers = 64

func commitWorkload() workload {
	return workload{
		name: "commit", title: "durable commits of one key each by 64 callers", columns: []column{colRate, colP50, colP99},
		targets: []target{
			atLeast(0.85, "pebble", subject), atLeast(3, "rocksdb", subject), atLeast(15, "badger", subject),
		},
		wants: func(k engine.Kind) bool { return k.Name != memory && k.Name != "tidwall/btree" },
		round: func(b *bench, k engine.Kind, round int) (_ sample, err error) {
			s, done, err := b.fresh(k, b.plan.durable())
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, done()) }()
			n := b.plan.Keys / 10
			if err := load(s, n); err != nil {
				return nil, err
			}
			return parallel(committers, 2*b.plan.Cell, func(p *picker) error {
				i := p.pick()
				return s.Write(batch(i, i+1, uint64(round)+1))
			}, n, round)
		},
	}
}

// parallel runs op on several goroutines until the time is up.
func parallel(callers int, budget time.Duration, op func(*picker) error, keys, round int) (sample, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	for c := range callers {
		wg.Go(func() {
			p := newPicker(keys, false, round*callers+c)
			_, each, err := repeat(budget, func(int) error { return op(p) })
			mu.Lock()
			defer mu.Unlock()
			all = append(all, each...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		return nil, failed
	}
	rate := float64(len(all)) / time.Since(start).Seconds()
	slices.Sort(all)
	return sample{colRate.name: rate, colP50.name: at(all, 0.5), colP99.name: at(all, 0.99)}, nil
}

func updateWorkload() workload {
	return workload{
		name: "update", title: "transactions that read and write a key, by 4 callers on a small store, no sync", columns: []column{colRate, colP50, colP99},
		targets: []target{atLeast(1.3, "badger", subject), atLeast(1.7, "rocksdb", subject)},
		round: func(b *bench, k engine.Kind, round int) (_ sample, err error) {
			s, done, err := b.fresh(k, b.plan.options())
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, done()) }()
			u, ok := s.(engine.Updater)
			if !ok {
				return nil, engine.ErrUnsupported
			}
			n := b.plan.Keys / 10
			if err := load(s, n); err != nil {
				return nil, err
			}
			return parallel(4, 2*b.plan.Cell, func(p *picker) error {
				var key [keySize]byte
				return u.Update(keyOf(key[:], p.pick()), func(old []byte) []byte {
					next := append(make([]byte, 0, len(old)), old...)
					next[len(next)-3]++
					return next
				})
			}, n, round)
		},
	}
}

var (
	colIndexed = column{name: "indexed / plain", unit: "time"}
	colPlain   = column{name: "plain", unit: "puts/s"}
	colBatches = column{name: "in batches of 1,000"}
)

func indexWorkload() workload {
	return workload{
		name: "index", title: "puts, a transaction each, into a store with one index, against those into one without", columns: []column{colIndexed, colPlain, colBatches},
		wants: func(k engine.Kind) bool { return isOurs(k.Name) },
		targets: []target{
			{text: "trimaran <= 2.5x", column: colIndexed.name, atMost: true, limit: 2.5, unit: "x"},
			{text: "trimaran/memory <= 2.5x", of: memory, column: colIndexed.name, atMost: true, limit: 2.5, unit: "x"},
		},
		round: func(b *bench, k engine.Kind, _ int) (_ sample, err error) {
			var one, many [2]float64
			for i, indexed := range []bool{false, true} {
				if one[i], err = indexedLoad(b, k, indexed, 1); err != nil {
					return nil, err
				}
				if many[i], err = indexedLoad(b, k, indexed, batchSize); err != nil {
					return nil, err
				}
			}
			return sample{colIndexed.name: one[0] / one[1], colPlain.name: one[0], colBatches.name: many[0] / many[1]}, nil
		},
	}
}

// indexedLoad writes new keys and then the same again, some in a transaction.
func indexedLoad(b *bench, k engine.Kind, indexed bool, each int) (rate float64, err error) {
	s, done, err := b.fresh(k, b.plan.options())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if indexed {
		x := kv.Index{Name: "hash", Bytes: &kv.ByteRange{Off: hashAt, Len: 16}}
		if err := s.(*engine.KV).CreateIndex(context.Background(), x); err != nil {
			return 0, err
		}
	}
	n := b.plan.Keys / 5
	start := time.Now()
	for version := range uint64(2) {
		for i := 0; i < n; i += each {
			if err := s.Write(batch(i, i+each, version)); err != nil {
				return 0, err
			}
		}
	}
	return 2 * float64(n) / time.Since(start).Seconds(), nil
}

var (
	colStep    = column{name: "p99 of a step", unit: "ms"}
	colSteps   = column{name: "median of a step", unit: "ms"}
	colExpired = column{name: "speed", unit: "rows/s"}
)

const expireStep = 256

func expireWorkload() workload {
	limit := func(of string) target {
		return target{text: of + ": steps <= 5 ms", of: of, column: colStep.name, atMost: true, limit: 5, unit: " ms"}
	}
	return workload{
		name: "expire", title: fmt.Sprintf("expiry of all rows in steps of %d", expireStep), columns: []column{colStep, colSteps, colExpired}, heavy: true,
		wants:   func(k engine.Kind) bool { return isOurs(k.Name) },
		targets: []target{limit(subject), limit(memory), limit(onRocks)},
		round:   expireAll,
	}
}

func expireAll(b *bench, k engine.Kind, _ int) (_ sample, err error) {
	s, done, err := b.fresh(k, b.plan.options())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	ctx, t0, n := context.Background(), time.Unix(1_700_000_000, 0), b.plan.Keys/2
	x := s.(*engine.KV)
	for i := 0; i < n; i += batchSize {
		if err := x.Store.Update(ctx, func(t *kv.WriteTx) error {
			if err := t.Advance(t0); err != nil {
				return err
			}
			j := i
			return batch(i, min(i+batchSize, n), 0)(func(key, value []byte) error {
				j++
				return t.PutTTL(key, value, time.Duration(1+mix(uint64(j))%1000)*time.Second)
			})
		}); err != nil {
			return nil, err
		}
	}
	if err := x.Store.Update(ctx, func(t *kv.WriteTx) error { return t.Advance(t0.Add(time.Hour)) }); err != nil {
		return nil, err
	}
	gone := 0
	var each []time.Duration
	start := time.Now()
	for last := start; ; {
		got, err := x.Expire(ctx, expireStep)
		if err != nil {
			return nil, err
		}
		if got == 0 {
			break
		}
		gone += got
		now := time.Now()
		each = append(each, now.Sub(last))
		last = now
	}
	took := time.Since(start)
	if gone != n {
		return nil, fmt.Errorf("%d of %d rows expired", gone, n)
	}
	slices.Sort(each)
	return sample{colStep.name: at(each, 0.99) / 1e3, colSteps.name: at(each, 0.5) / 1e3, colExpired.name: float64(n) / took.Seconds()}, nil
}
