// Package churn has clients use a replicated store while things happen to its
// three nodes, and checks that what they saw is linearizable, that nothing which
// was acknowledged is lost, and that the nodes end with the same state.
package churn

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/internal/race"
)

var (
	seedFlag = flag.Uint64("churn.seed", 0, "seed of the churn; 0: another one each time")
	timeFlag = flag.Duration("churn.time", 0, "how long clusters churn; 0: some steps")
)

// Nodes is how many places for nodes a cluster has. They are numbered from 0.
const Nodes = 3

// patience is longer than any machine stalls.
const patience = 3 * time.Minute

// ErrRefused is what Put and Get return for what was certainly not done.
var ErrRefused = errors.New("refused")

// Cluster is a replicated store of registers. Clients call Put and Get from
// goroutines of their own; one goroutine calls the rest.
type Cluster interface {
	// Put sets a key and returns nil once that was applied. Values are unique.
	// After an error other than ErrRefused it may have been done, or may be yet.
	Put(ctx context.Context, node int, key, value string) error
	// Get is a linearizable read; what is not there is "".
	Get(ctx context.Context, node int, key string) (string, error)

	// Stop closes a node, or kills it: then nothing that closing does reaches its
	// disk. Start opens it again. Replace has another one with an empty disk take
	// its place, while it does not run.
	Stop(node int, kill bool)
	Start(node int)
	Replace(node int)
	// Cut separates a node from the others, and joins it to them again.
	Cut(node int, cut bool)
	// Lead asks that a node lead, in vain perhaps.
	Lead(node int)
	// Snapshot has a node take a snapshot and compact its log.
	Snapshot(node int)
	// Digest is of all that a node has applied.
	Digest(node int) string
}

// run is one churn.
type run struct {
	t       testing.TB
	c       Cluster
	rng     *rand.Rand
	history history
	begun   atomic.Int64 // requests
	acked   atomic.Int64
}

// Run churns a cluster whose nodes run.
func Run(t testing.TB, c Cluster) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-churn.seed %d", seed)
	r := &run{t: t, c: c, rng: rand.New(rand.NewPCG(seed, 0)), history: history{began: time.Now()}}
	stop := r.clients(seed, 4)
	defer stop()
	r.progress(20)
	for step := 0; time.Since(r.history.began) < *timeFlag || step < race.Either(16, 6); step++ {
		r.step(r.rng.IntN(7), r.rng.IntN(Nodes))
		r.progress(1 + r.rng.Int64N(100))
	}
	stop()
	r.agree()
	r.final()
	r.history.check(t)
	t.Logf("%d requests, %d acknowledged, in %v", r.begun.Load(), r.acked.Load(), time.Since(r.history.began).Round(time.Millisecond))
}

// step lets one thing happen, and undoes it: there is a majority all the time
// but for one moment.
func (r *run) step(kind, node int) {
	lasting := r.rng.Int64N(60)
	switch kind {
	case 0:
		r.c.Cut(node, true)
		r.progress(lasting)
		r.c.Cut(node, false)
	case 1:
		r.c.Stop(node, r.rng.IntN(3) > 0)
		r.progress(lasting)
		r.c.Start(node)
	case 2:
		for i := range Nodes {
			r.c.Stop(i, r.rng.IntN(2) == 0)
		}
		for i := range Nodes {
			r.c.Start(i)
		}
	case 3:
		r.c.Lead(node)
	case 4:
		r.c.Snapshot(node)
	case 5: // brought up by snapshot
		r.c.Stop(node, true)
		r.progress(lasting)
		for i := range Nodes {
			if i != node {
				r.c.Snapshot(i)
			}
		}
		r.c.Start(node)
	case 6:
		r.c.Stop(node, true)
		r.c.Replace(node)
	}
}

// progress waits until n more requests were answered.
func (r *run) progress(n int64) {
	until := r.acked.Load() + n
	r.eventually(fmt.Sprintf("%d more requests are answered", n), func() bool { return r.acked.Load() >= until })
}

// agree waits until all nodes have the same state.
func (r *run) agree() {
	r.eventually("all nodes agree", func() bool {
		first := r.c.Digest(0)
		for i := 1; i < Nodes; i++ {
			if r.c.Digest(i) != first {
				return false
			}
		}
		return true
	})
}

func (r *run) eventually(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// clients has n of them put and get until the function returned is called.
func (r *run) clients(seed uint64, n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for id := range n {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(id)+1))
			for ctx.Err() == nil {
				r.request(ctx, rng, id)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// request makes one, of one node or, if that refuses, of the next. Keys are left
// behind after some hundred requests: a history of one key is short.
func (r *run) request(ctx context.Context, rng *rand.Rand, client int) {
	n := r.begun.Add(1)
	key := fmt.Sprintf("%d-%d", n/300, rng.IntN(3))
	op := operation{client: client, key: key, at: r.history.now()}
	if rng.IntN(2) == 0 {
		op.put, op.value = true, strconv.FormatInt(n, 10)
	}
	limit, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for first, i := rng.IntN(Nodes), 0; ; i++ {
		err := r.ask(limit, (first+i)%Nodes, &op)
		switch {
		case err == nil:
			op.end = r.history.now()
			r.history.add(op)
			r.acked.Add(1)
			return
		case !errors.Is(err, ErrRefused):
			r.history.add(op) // of which nobody knows the end
			return
		case i%Nodes == Nodes-1:
			select {
			case <-limit.Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
}

func (r *run) ask(ctx context.Context, node int, op *operation) (err error) {
	if op.put {
		return r.c.Put(ctx, node, op.key, op.value)
	}
	op.value, err = r.c.Get(ctx, node, op.key)
	return err
}

// final reads every key once more.
func (r *run) final() {
	for key := range r.history.keys() {
		op, node := operation{key: key, at: r.history.now()}, 0
		r.eventually("read "+key, func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			node++
			return r.ask(ctx, node%Nodes, &op) == nil
		})
		op.end = r.history.now()
		r.history.add(op)
	}
}
