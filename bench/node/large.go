package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

const (
	rowSize = 1 << 10
	batch   = 256
)

// state is a storage with one row an entry.
type state struct {
	*trimaran.Storage
	dir  string
	next uint64
	rnd  *rand.Rand
}

func openState(dir string) (*state, error) {
	s, err := config.OpenDir(dir, &config.Options{NoMembership: true, Storage: trimaran.Options{TrailingEntries: 1 << 40}})
	if err != nil {
		return nil, err
	}
	last, err := s.Log().LastIndex()
	return &state{s, dir, last + 1, rand.New(rand.NewPCG(1, last))}, err
}

func (s *state) entries(n, size int) []raftlog.Entry {
	es := make([]raftlog.Entry, n)
	for i := range es {
		b := make([]byte, size)
		for at := 0; at < len(b); at += 8 {
			binary.BigEndian.PutUint64(b[at:], s.rnd.Uint64())
		}
		binary.BigEndian.PutUint64(b, s.next)
		es[i] = raftlog.Entry{Index: s.next, Term: 1, Data: b}
		s.next++
	}
	return es
}

func put(tx *kv.WriteTx, e raftlog.Entry) error { return tx.Put(e.Data[:8], e.Data[8:]) }

// fill appends and, if wanted, applies entries up to an index.
func (s *state) fill(to uint64, apply bool) error {
	for s.next <= to {
		es := s.entries(int(min(batch, to+1-s.next)), rowSize)
		if err := s.Log().Append(es...); err != nil {
			return err
		}
		if apply {
			if err := s.Apply(context.Background(), es, put); err != nil {
				return err
			}
		}
	}
	return nil
}

// large looks at one node with a large state: applies beside a snapshot of it,
// a restart, and what memory the composite takes.
func large(p plan, dir string) (_ *result, err error) {
	size := float64(p.Entries) * rowSize / (1 << 20)
	r := &result{
		Name: "large", Kinds: []string{subject}, Samples: map[string][]sample{},
		Title:   fmt.Sprintf("one node with %.0f MiB of state and %d entries in its log", size, p.Entries),
		Columns: []string{"apply p99, ms", "apply p99 beside a snapshot, ms", "longest apply beside a snapshot, ms", "restart, ms", "replayed", "heap above the parts, MiB"},
	}
	s, err := openState(dir)
	if err != nil {
		return nil, err
	}
	at90, at99 := uint64(p.Entries)*9/10, uint64(p.Entries)*99/100
	err = s.fill(at90, true)
	got := sample{}
	if err == nil {
		err = s.besideSnapshot(p, got)
	}
	if err == nil {
		err = s.fill(max(at99, s.next), true)
	}
	if err == nil {
		err = s.fill(max(uint64(p.Entries), s.next), false)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	if err := restart(dir, got); err != nil {
		return nil, err
	}
	r.Samples[subject] = []sample{got}
	r.atMost("p99 of apply beside a snapshot, times that without", 2, []float64{got[r.Columns[1]] / got[r.Columns[0]]})
	r.atMost("longest apply beside a snapshot, ms", 10, []float64{got[r.Columns[2]]})
	r.atMost("restart until all is applied, ms", 1000, []float64{got[r.Columns[3]]})
	r.atMost("heap of the composite above its parts, MiB", 64, []float64{got[r.Columns[5]]})
	return r, nil
}

// besideSnapshot times applies of one small entry, alone and while a snapshot is
// taken.
func (s *state) besideSnapshot(p plan, got sample) error {
	apply := func(until <-chan error) ([]time.Duration, error) {
		var each []time.Duration
		tick := time.NewTicker(time.Millisecond) // a node has other work
		defer tick.Stop()
		for {
			select {
			case err := <-until:
				slices.Sort(each)
				return each, err
			case <-tick.C:
			}
			es := s.entries(1, commandSize)
			if err := s.Log().Append(es...); err != nil {
				return nil, err
			}
			start := time.Now()
			if err := s.Apply(context.Background(), es, put); err != nil {
				return nil, err
			}
			each = append(each, time.Since(start))
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		return err
	}
	done := make(chan error, 1)
	time.AfterFunc(10*p.Cell, func() { done <- nil })
	alone, err := apply(done)
	if err != nil {
		return err
	}
	go func() {
		_, err := s.Snapshot(context.Background(), 0)
		done <- err
	}()
	beside, err := apply(done)
	got["apply p99, ms"] = at(alone, 0.99)
	got["apply p99 beside a snapshot, ms"] = at(beside, 0.99)
	got["longest apply beside a snapshot, ms"] = at(beside, 1)
	return err
}

// restart opens what was closed, applies what the data lacks, and compares the
// heap with that of the parts alone.
func restart(dir string, got sample) (err error) {
	parts, err := heapOfParts(dir)
	if err != nil {
		return err
	}
	start := time.Now()
	s, err := openState(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	mark, err := s.KV().Mark(context.Background())
	if err != nil {
		return err
	}
	var es []raftlog.Entry
	for lo := mark.Index + 1; lo < s.next; lo += uint64(len(es)) {
		if es, err = s.Log().ReadRange(es[:0], lo, s.next, 1<<20); err != nil {
			return err
		}
		if err := s.Apply(context.Background(), es, put); err != nil {
			return err
		}
	}
	got["restart, ms"] = float64(time.Since(start).Nanoseconds()) / 1e6
	got["replayed"] = float64(s.next - 1 - mark.Index)
	got["heap above the parts, MiB"] = max(0, heap()-parts) / (1 << 20)
	return nil
}

// heapOfParts opens the three layers without a composite.
func heapOfParts(dir string) (bytes float64, err error) {
	c := config.Default()
	c.Options.NoMembership = true
	ctx := context.Background()
	l, driver, err := c.OpenLog(ctx, dir)
	if err != nil {
		return 0, err
	}
	snaps, staging, err := c.OpenSnapshots(ctx, dir)
	if err != nil {
		return 0, errors.Join(err, l.Close(), driver.Close())
	}
	data, err := c.OpenData(ctx, dir)
	if err == nil {
		bytes = heap()
		err = data.Close()
	}
	return bytes, errors.Join(err, l.Close(), driver.Close(), snaps.Close(), staging.Close())
}

// heap is what is reachable, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
