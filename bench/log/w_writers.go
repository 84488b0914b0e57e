package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

const (
	writerCount = 64
	inFlight    = 8
)

var (
	colOwn    = column{name: "own group commit", unit: "entries/s", format: sheet.Count, higher: true}
	colPlain  = column{name: "behind a plain committer", unit: "entries/s", format: sheet.Count, higher: true}
	colSync   = column{name: "synchronous", unit: "entries/s", format: sheet.Count, higher: true}
	colAsync  = column{name: "8 in flight", unit: "entries/s", format: sheet.Count, higher: true}
	colGroup1 = column{name: "one group", unit: "entries/s", format: sheet.Count, higher: true}
	colSome   = column{name: "some groups", unit: "entries/s", format: sheet.Count, higher: true}
	colMany   = column{name: "many groups", unit: "entries/s", format: sheet.Count, higher: true}
)

func writersWorkload() workload {
	return workload{
		name: "writers", title: "64 writers x 1 KiB, durable",
		columns: []column{colPlain, colOwn},
		targets: []target{
			{text: ">= 1.0x raw behind a plain committer", column: colOwn.name, against: rawDevice, other: colPlain.name, atLeast: true, limit: 1, unit: "x"},
			{text: ">= 1.8x etcd's WAL behind one", column: colOwn.name, against: etcdWAL, other: colPlain.name, atLeast: true, limit: 1.8, unit: "x"},
		},
		start: startWriters,
	}
}

func startWriters(b *bench, k peer.Kind) (*session, error) {
	plain, err := openWriters(b, k, "plain")
	if err != nil {
		return nil, err
	}
	own, err := openWriters(b, k, "own")
	if err != nil {
		return nil, errors.Join(err, plain.log.Close())
	}
	concurrent, _ := own.log.(peer.Concurrent)
	round := func() (sample, error) {
		s := sample{}
		rate, err := plain.behindCommitter(b)
		if err != nil {
			return nil, err
		}
		s[colPlain.name] = rate
		if concurrent == nil {
			return s, nil
		}
		if s[colOwn.name], err = own.byItself(b, concurrent, 1); err != nil {
			return nil, err
		}
		return s, nil
	}
	if _, err := round(); err != nil {
		return nil, errors.Join(err, plain.log.Close(), own.log.Close())
	}
	return &session{round: round, close: func() error { return errors.Join(plain.log.Close(), own.log.Close()) }}, nil
}

// crowd is a log that many goroutines write to.
type crowd struct {
	log  peer.Log
	next uint64
}

func openWriters(b *bench, k peer.Kind, name string) (*crowd, error) {
	l, err := k.Open(b.dir(k, name), peer.Options{})
	return &crowd{log: l, next: 1}, err
}

func (c *crowd) behindCommitter(b *bench) (float64, error) {
	committer := peer.NewCommitter(c.log, c.next)
	writers := make([]peer.Writer, writerCount)
	for i := range writers {
		writers[i] = committer.Writer()
	}
	n, took, err := together(b, writers)
	committer.Close()
	return c.rate(n, took, err)
}

func (c *crowd) byItself(b *bench, l peer.Concurrent, groups int) (float64, error) {
	writers, err := l.Writers(writerCount, groups, c.next)
	if err != nil {
		return 0, err
	}
	n, took, err := together(b, writers)
	if groups != 1 {
		return float64(n) / took.Seconds(), err
	}
	return c.rate(n, took, err)
}

// rate counts n entries in, and drops them from the log.
func (c *crowd) rate(n int, took time.Duration, err error) (float64, error) {
	if err != nil {
		return 0, err
	}
	c.next += uint64(n)
	return float64(n) / took.Seconds(), c.log.DropFront(max(1, c.next-min(c.next, kept)))
}

// together lets all writers append until the cell is over, each at least
// twice. It returns the entries and the time until the last writer ended.
func together(b *bench, writers []peer.Writer) (int, time.Duration, error) {
	start := time.Now()
	n, err := appendAll(b.seed, writers, func(n int) bool { return n < 2 || time.Since(start) < b.plan.Cell })
	return n, time.Since(start), err
}

// appendAll lets all writers append at the same time, each while more says so
// of the number it has appended. It returns how many entries that were.
func appendAll(seed uint64, writers []peer.Writer, more func(n int) bool) (int, error) {
	var (
		wg    sync.WaitGroup
		total = make([]int, len(writers))
		errs  = make([]error, len(writers))
	)
	for i, w := range writers {
		payload := newFeed(seed+uint64(i), 1, 1<<10, 1).payloads[0]
		wg.Go(func() {
			for more(total[i]) {
				binary.LittleEndian.PutUint64(payload, uint64(total[i]))
				if errs[i] = w.Append(payload); errs[i] != nil {
					return
				}
				total[i]++
			}
		})
	}
	wg.Wait()
	n := 0
	for _, t := range total {
		n += t
	}
	return n, errors.Join(errs...)
}

func groupsWorkload(p plan) workload {
	return workload{
		name: "groups", title: fmt.Sprintf("64 writers x 1 KiB over one group, %d and %d groups of one log, durable", p.Groups[0], p.Groups[1]),
		columns: []column{colGroup1, colSome, colMany},
		targets: []target{
			{text: "some (1,000) >= 0.8x one group", column: colSome.name, against: subjectName, other: colGroup1.name, atLeast: true, limit: 0.8, unit: "x"},
			{text: "many (10,000) >= 0.8x one group", column: colMany.name, against: subjectName, other: colGroup1.name, atLeast: true, limit: 0.8, unit: "x"},
		},
		logsOnly: true,
		start:    startGroups,
	}
}

func startGroups(b *bench, k peer.Kind) (*session, error) {
	counts := []int{1, b.plan.Groups[0], b.plan.Groups[1]}
	crowds := make([]*crowd, 0, len(counts))
	closeAll := func() error {
		var err error
		for _, c := range crowds {
			err = errors.Join(err, c.log.Close())
		}
		return err
	}
	for _, groups := range counts {
		c, err := openWriters(b, k, "groups-"+sheet.Count(float64(groups)))
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		crowds = append(crowds, c)
	}
	round := func() (sample, error) {
		s := sample{}
		for i, col := range []column{colGroup1, colSome, colMany} {
			l, ok := crowds[i].log.(peer.Concurrent)
			if !ok {
				return nil, peer.ErrUnsupported
			}
			var err error
			if s[col.name], err = crowds[i].byItself(b, l, counts[i]); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
	if _, err := round(); err != nil {
		return nil, errors.Join(err, closeAll())
	}
	return &session{round: round, close: closeAll}, nil
}

func asyncWorkload() workload {
	return workload{
		name: "async", title: "WriteAsync, 8 in flight, 1x1KiB, one goroutine",
		columns: []column{colAsync, colSync},
		targets: []target{{
			text: ">= 4x the synchronous rate", column: colAsync.name, against: subjectName, other: colSync.name,
			atLeast: true, limit: 4, unit: "x",
		}},
		logsOnly: true,
		start:    startAsync,
	}
}

func startAsync(b *bench, k peer.Kind) (*session, error) {
	l, err := k.Open(b.dir(k), peer.Options{})
	if err != nil {
		return nil, err
	}
	async, ok := l.(peer.Async)
	if !ok {
		return nil, errors.Join(peer.ErrUnsupported, l.Close())
	}
	f := newFeed(b.seed, 1, 1<<10, 1)
	slots := newFeed(b.seed, inFlight, 1<<10, 1).payloads
	round := func() (sample, error) {
		one, err := repeat(b.plan.Cell, func() error { return f.append(l) })
		if err != nil {
			return nil, err
		}
		many, err := pipeline(b, async, f, slots)
		if err != nil {
			return nil, err
		}
		return sample{colSync.name: one.rate(), colAsync.name: many}, l.DropFront(f.next - 1)
	}
	if _, err := round(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &session{round: round, close: l.Close}, nil
}

// pipeline keeps all slots under way until the cell is over. It returns
// entries a second.
func pipeline(b *bench, l peer.Async, f *feed, slots [][]byte) (float64, error) {
	ended := make(chan error, len(slots))
	done := func(err error) { ended <- err }
	start, n, under := time.Now(), 0, 0
	for n < 2*len(slots) || time.Since(start) < b.plan.Cell {
		if under == len(slots) {
			if err := <-ended; err != nil {
				return 0, err
			}
			under--
		}
		payload := slots[n%len(slots)]
		binary.LittleEndian.PutUint64(payload, f.next)
		if err := l.AppendAsync(f.next, payload, done); err != nil {
			return 0, err
		}
		f.next++
		n++
		under++
	}
	for range under {
		if err := <-ended; err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}
