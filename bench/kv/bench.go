package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/kv/engine"
)

// bench is one run.
type bench struct {
	plan     plan
	kinds    []engine.Kind
	root     string // everything is below it; removed at the end
	progress *sheet.Progress
	loaded   map[string]engine.Store // all keys, settled; for those who only read
	dirs     int
}

func newBench(s settings, p *sheet.Progress) *bench {
	b := &bench{plan: s.plan, progress: p, loaded: map[string]engine.Store{}}
	for _, k := range engine.All() {
		if isOurs(k.Name) || s.stores.MatchString(k.Name) {
			b.kinds = append(b.kinds, k)
		}
	}
	return b
}

func isOurs(name string) bool { return strings.HasPrefix(name, subject) }

// dir is a new directory.
func (b *bench) dir(k engine.Kind) string {
	b.dirs++
	return filepath.Join(b.root, fmt.Sprintf("%s-%d", strings.ReplaceAll(k.Name, "/", "-"), b.dirs))
}

// fresh opens an empty store, and done closes and removes it.
func (b *bench) fresh(k engine.Kind, o engine.Options) (s engine.Store, done func() error, err error) {
	dir := b.dir(k)
	if s, err = k.Open(dir, o); err != nil {
		return nil, nil, err
	}
	return s, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

// full returns the shared store that holds all keys.
func (b *bench) full(k engine.Kind) (engine.Store, error) {
	if s := b.loaded[k.Name]; s != nil {
		return s, nil
	}
	b.progress.Step("loading " + k.Name)
	s, err := k.Open(b.dir(k), b.plan.options())
	if err != nil {
		return nil, err
	}
	b.loaded[k.Name] = s
	if err := load(s, b.plan.Keys); err != nil {
		return nil, err
	}
	return s, s.Settle()
}

func (b *bench) close() error {
	var errs []error
	for _, s := range b.loaded {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// workload is one thing to measure.
type workload struct {
	name, title string
	columns     []column // the first is the one that is compared
	targets     []target
	heavy       bool
	// wants says who takes part; nil is everybody.
	wants func(k engine.Kind) bool
	// round measures one store once. It is ErrUnsupported for one that lacks
	// what it takes.
	round func(b *bench, k engine.Kind, round int) (sample, error)
}

// sample is what one round gave: columns by name.
type sample map[string]float64

type column struct {
	name, unit string
	higher     bool // more is better
}

// result is what one workload gave.
type result struct {
	Name    string              `json:"name"`
	Title   string              `json:"title"`
	Seconds float64             `json:"seconds"`
	Samples map[string][]sample `json:"samples"` // by store, round by round
	columns []column
	kinds   []engine.Kind
}

// values are one store's, round by round.
func (r *result) values(kind, col string) []float64 {
	var v []float64
	for _, s := range r.Samples[kind] {
		if f, ok := s[col]; ok {
			v = append(v, f)
		}
	}
	return v
}

// run does one workload: each round goes through all stores, in an order that
// rotates.
func (b *bench) run(w workload) (*result, error) {
	r := &result{Name: w.name, Title: w.title, Samples: map[string][]sample{}, columns: w.columns}
	start := time.Now()
	kinds := slices.DeleteFunc(slices.Clone(b.kinds), func(k engine.Kind) bool { return w.wants != nil && !w.wants(k) })
	r.kinds = slices.Clone(kinds)
	rounds := b.plan.Rounds
	if w.heavy {
		rounds = b.plan.Heavy
	}
	for i := range rounds {
		for j := range kinds {
			k := kinds[(i+j)%len(kinds)]
			if i > 0 && len(r.Samples[k.Name]) == 0 {
				continue // it lacks the operation
			}
			b.progress.Step(fmt.Sprintf("%s: round %d of %d, %s", w.name, i+1, rounds, k.Name))
			runtime.GC()
			s, err := w.round(b, k, i)
			if errors.Is(err, engine.ErrUnsupported) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.Name, err)
			}
			r.Samples[k.Name] = append(r.Samples[k.Name], s)
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// repeat calls op until the time is up and returns how often a second, and how
// long each took.
func repeat(budget time.Duration, op func(i int) error) (rate float64, each []time.Duration, err error) {
	start := time.Now()
	last := start
	for i := 0; i == 0 || last.Sub(start) < budget; i++ {
		if err := op(i); err != nil {
			return 0, nil, err
		}
		now := time.Now()
		each = append(each, now.Sub(last))
		last = now
	}
	rate = float64(len(each)) / last.Sub(start).Seconds()
	slices.Sort(each)
	return rate, each, nil
}

// at is a percentile in microseconds.
func at(each []time.Duration, p float64) float64 {
	return float64(each[min(len(each)-1, int(p*float64(len(each))))].Nanoseconds()) / 1e3
}

func mib(n int64, took time.Duration) float64 { return float64(n) / (1 << 20) / took.Seconds() }
