package kvtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

const (
	// flushInterval is short, so that a script meets many.
	flushInterval = time.Millisecond
	// writers is how many goroutines take steps beside each other.
	writers = 4
)

// beside lets several goroutines take the steps. What a step does depends on
// the mark that it finds, so the states are the same whoever takes it.
func beside(steps ...crashStep) []crashStep {
	for i := range steps {
		steps[i].beside = true
	}
	return steps
}

// together takes the steps from i+1 on that go beside each other, and returns
// the last of them. What a writer is told is durable is acknowledged at once,
// while others still write.
func (c *crashScript) together(u *crashUser, r *crashtest.Recorder, i int) (int, error) {
	end := i
	for end < len(c.steps) && c.steps[end].beside {
		end++
	}
	m, err := u.s.Mark(u.ctx)
	if err != nil {
		return end, err
	}
	g := crashGroup{c: c, u: u, r: r, first: i, end: end, mark: m.Index, acks: c.syncs() && !u.s.Volatile()}
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() { errs[w] = g.write() })
	}
	wg.Wait()
	for _, err := range errs {
		if onlyDisk(err) != nil {
			return end, err // the others may fail as they should
		}
	}
	return end, errors.Join(errs...)
}

// crashGroup is steps that several writers take.
type crashGroup struct {
	c          *crashScript
	u          *crashUser
	r          *crashtest.Recorder
	first, end int
	mark       uint64 // before the first
	acks       bool
}

// errTaken ends a writer that finds nothing more to do.
var errTaken = errors.New("all steps are taken")

// write takes one step after another, whichever is the next.
func (g *crashGroup) write() error {
	for {
		n := 0
		err := g.u.s.Update(g.u.ctx, func(t *kv.WriteTx) error {
			m, err := t.Mark()
			if err != nil {
				return err
			}
			i := g.first + int(m.Index-g.mark)
			if i == g.end {
				return errTaken
			}
			n = i + 1
			g.r.Begin(n)
			return g.c.steps[i].tx(t)
		})
		if errors.Is(err, errTaken) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("a writer of the steps %d to %d: %w", g.first+1, g.end, err)
		}
		if g.acks {
			g.r.Ack(n)
		}
		if err := g.sees(n); err != nil {
			return err
		}
	}
}

// sees fails unless a reader sees step n, and all of those after it or nothing.
func (g *crashGroup) sees(n int) error {
	pairs, err := pairsOf(g.u.ctx, g.u.d)
	if err != nil {
		return err
	}
	for later := n; later <= g.end; later++ {
		if differ(pairs, g.c.state(later, false).pairs) == "" {
			return nil
		}
	}
	return fmt.Errorf("a reader sees none of the states %d to %d", n, g.end)
}

// crashWriters draws transactions that several writers commit.
func crashWriters(seed uint64) (kv.SyncPolicy, []crashStep) {
	d := &crashDraw{rng: rand.New(rand.NewPCG(seed, 0x7772)), keys: 9}
	draw := func(n int) []crashStep {
		list := make([]crashStep, n)
		for i := range list {
			list[i] = d.transaction()
		}
		return beside(list...)
	}
	return kv.SyncBatch, slices.Concat(draw(6), []crashStep{exportStep()}, draw(6), []crashStep{importStep("n1"), reopenStep()}, draw(6))
}

// crashInterval writes faster than the store syncs, and waits now and then.
func crashInterval(seed uint64) (kv.SyncPolicy, []crashStep) {
	d := &crashDraw{rng: rand.New(rand.NewPCG(seed, 0x696e)), keys: 9}
	list := []crashStep{d.transaction(), intervalStep(), d.transaction(), d.transaction(), intervalStep()}
	list = append(list, beside(d.transaction(), d.transaction(), d.transaction(), d.transaction())...)
	return kv.SyncInterval, append(list, intervalStep(), exportStep(), d.transaction(), importStep(""), d.transaction(), syncStep(), d.transaction(), reopenStep(), d.transaction())
}
