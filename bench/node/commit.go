package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"
)

const (
	commandSize = 256
	keys        = 1 << 20
)

// group is the voters of one group in this process.
type group struct {
	leader *raft.Raft
	rafts  []*raft.Raft
	stacks []*stack
}

func (g *group) close() (err error) {
	for _, r := range g.rafts {
		err = errors.Join(err, r.Shutdown().Error())
	}
	for _, s := range g.stacks {
		err = errors.Join(err, s.close())
	}
	return err
}

// startGroup starts n voters of a kind, and returns when one of them leads.
func startGroup(k kind, dir string, n int) (_ *group, err error) {
	g := &group{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	var members raft.Configuration
	transports := make([]*raft.InmemTransport, n)
	for i := range n {
		addr, t := raft.NewInmemTransport("")
		transports[i] = t
		members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: addr})
	}
	for i, t := range transports {
		for j, other := range transports {
			if i != j {
				t.Connect(members.Servers[j].Address, other)
			}
		}
	}
	for i, t := range transports {
		s, err := k.open(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return nil, err
		}
		g.stacks = append(g.stacks, s)
		c := raft.DefaultConfig()
		c.LocalID = members.Servers[i].ID
		c.Logger = hclog.NewNullLogger()
		c.BatchApplyCh, c.MaxAppendEntries = true, 256
		c.SnapshotThreshold = 1 << 40
		if s.setup != nil {
			s.setup(c)
		}
		if err := raft.BootstrapCluster(c, s.logs, s.stable, s.snaps, t, members); err != nil {
			return nil, err
		}
		r, err := raft.NewRaft(c, s.fsm, s.logs, s.stable, s.snaps, t)
		if err != nil {
			return nil, err
		}
		g.rafts = append(g.rafts, r)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		for _, r := range g.rafts {
			if r.State() == raft.Leader {
				g.leader = r
				return g, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, errors.New("nobody leads after a minute")
		}
	}
}

type started struct {
	group *group
	err   error
}

// startAll starts a group of each kind at the same time: elections take a while.
func startAll(dir string, n int) []started {
	all := make([]started, len(kinds))
	var wg sync.WaitGroup
	for i, k := range kinds {
		wg.Go(func() { all[i].group, all[i].err = startGroup(k, filepath.Join(dir, k.name), n) })
	}
	wg.Wait()
	return all
}

// round has clients commit commands, one at a time each, for a while.
func (g *group) round(p plan, seed uint64) (sample, error) {
	var wg sync.WaitGroup
	each := make([][]time.Duration, p.Clients)
	errs := make([]error, p.Clients)
	start := time.Now()
	for i := range p.Clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for time.Since(start) < p.Cell && errs[i] == nil {
				b := make([]byte, commandSize)
				for at := 0; at < len(b); at += 8 {
					binary.LittleEndian.PutUint64(b[at:], rnd.Uint64())
				}
				copy(b, fmt.Sprintf("key%013d", rnd.IntN(keys)))
				asked := time.Now()
				f := g.leader.Apply(b, 0)
				errs[i] = f.Error()
				if err, failed := f.Response().(error); errs[i] == nil && failed {
					errs[i] = err
				}
				each[i] = append(each[i], time.Since(asked))
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	all := slices.Concat(each...)
	slices.Sort(all)
	return sample{
		"commands/s": float64(len(all)) / took.Seconds(),
		"p50, ms":    at(all, 0.50), "p99, ms": at(all, 0.99),
	}, errors.Join(errs...)
}

// at is a percentile of sorted times, in milliseconds.
func at(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(p*float64(len(sorted))))].Nanoseconds()) / 1e6
}

// commits compares how many commands a group of n voters commits and applies.
func commits(p plan, dir string, n int) (r *result, err error) {
	r = &result{
		Name: fmt.Sprintf("commit-%d", n), Columns: []string{"commands/s", "p50, ms", "p99, ms"},
		Title:   fmt.Sprintf("committed and applied commands of %d bytes, %d clients, voters: %d", commandSize, p.Clients, n),
		Samples: map[string][]sample{},
	}
	groups := map[string]*group{}
	defer func() {
		for _, g := range groups {
			err = errors.Join(err, g.close())
		}
	}()
	for i, started := range startAll(dir, n) {
		if started.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", kinds[i].name, started.err))
			continue
		}
		groups[kinds[i].name] = started.group
		r.Kinds = append(r.Kinds, kinds[i].name)
	}
	if err != nil {
		return nil, err
	}
	for _, k := range kinds { // pays for new files, and is not counted
		if _, err := groups[k.name].round(p, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
	}
	for round := range p.Rounds {
		for i := range kinds { // in another order each time
			k := kinds[(i+round)%len(kinds)]
			if err := settle(dir); err != nil {
				return nil, err
			}
			s, err := groups[k.name].round(p, uint64(round)+1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			r.Samples[k.name] = append(r.Samples[k.name], s)
		}
	}
	r.judgeCommits()
	return r, nil
}

// settle collects garbage and writes back what the file system holds, so that a
// round does not pay for the one before.
func settle(dir string) error {
	runtime.GC()
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// judgeCommits compares within each round.
func (r *result) judgeCommits() {
	const col = "commands/s"
	mine := r.values(subject, col)
	for _, other := range []string{"raft-boltdb", "raft-wal"} {
		r.atLeast(fmt.Sprintf("commands/s of %s, times", other), 1, ratios(mine, r.values(other, col)))
	}
	var closed []float64
	top := r.values(ceiling, col)
	for i := range mine {
		best := max(r.values("raft-boltdb", col)[i], r.values("raft-wal", col)[i])
		closed = append(closed, (mine[i]-best)/max(1, top[i]-best))
	}
	r.atLeast("part of the gap between the better peer and the ceiling that is closed", 0.5, closed)
}
