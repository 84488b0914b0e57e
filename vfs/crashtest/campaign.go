package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Report is what a campaign did.
type Report struct {
	Seed     uint64        // of the first round
	Rounds   int           // that were begun
	Runs     int           // of scripts
	Faulty   int           // of these, with a call that failed
	Checks   int           // crashes that were looked at
	Distinct int           // disk images among them
	Images   uint64        // digest of these, whatever their order
	Nested   int           // crashes within a recovery
	Kills    int           // of the process alone
	Took     time.Duration // for all of it
}

func (r Report) String() string {
	return fmt.Sprintf("%d distinct disk images, %d crashes checked (%d in a recovery), %d kills, %d runs (%d with a failing call), seeds %d to %d, %v",
		r.Distinct, r.Checks, r.Nested, r.Kills, r.Runs, r.Faulty, r.Seed, r.Seed+uint64(max(1, r.Rounds))-1, r.Took.Round(time.Millisecond))
}

// campaign is the state that all players share.
type campaign struct {
	ctx   context.Context
	o     Options
	began time.Time

	mu     sync.Mutex
	report Report
	images map[uint64]struct{}
	seen   map[uint64]struct{} // images together with what was allowed
	idents map[run]uint64      // of scripts
	failed error
}

// run names a script.
type run struct {
	workload string
	seed     uint64
}

func newCampaign(ctx context.Context, o *Options) *campaign {
	c := &campaign{ctx: ctx, o: o.withDefaults(), began: time.Now()}
	c.images, c.seen, c.idents = map[uint64]struct{}{}, map[uint64]struct{}{}, map[run]uint64{}
	c.report.Seed = c.o.Seed
	return c
}

// Run plays the workloads round after round, each with the next seed, until
// there were enough distinct disk images, or time, or ctx ends. The error is a
// *Failure where a store did not keep its word, the first that was met, or says
// that there are not as many images as were wanted.
func Run(ctx context.Context, o *Options, workloads ...Workload) (Report, error) {
	c := newCampaign(ctx, o)
	ws, err := c.pick(workloads)
	if err != nil {
		return c.report, err
	}
	jobs := make(chan func() error)
	var players sync.WaitGroup
	for range c.o.Workers {
		players.Go(func() {
			for job := range jobs {
				if err := job(); err != nil {
					c.fail(err)
				}
			}
		})
	}
	stop := c.showProgress()
	c.rounds(ws, jobs)
	close(jobs)
	players.Wait()
	stop()
	c.report.Took = time.Since(c.began)
	c.save()
	if c.failed == nil && ctx.Err() != nil {
		c.failed = ctx.Err()
	}
	return c.report, c.failed
}

// maxBarren is how many rounds in a row may bring no new image.
const maxBarren = 32

// rounds gives out the jobs of one round after another until it is enough.
func (c *campaign) rounds(ws []Workload, jobs chan<- func() error) {
	distinct, barren := 0, 0
	for round := 0; barren < maxBarren; round++ {
		c.add(func(r *Report) { r.Rounds++ })
		for i := range ws {
			for _, job := range c.round(&ws[i], round) {
				jobs <- job
			}
		}
		if c.enough() || c.o.States == 0 && c.o.Time == 0 {
			return
		}
		barren++
		c.add(func(r *Report) {
			if r.Distinct > distinct || c.o.States == 0 {
				distinct, barren = r.Distinct, 0
			}
		})
	}
	c.fail(fmt.Errorf("%d rounds without a new disk image: there are %d, not %d", maxBarren, distinct, c.o.States))
}

func (c *campaign) pick(ws []Workload) ([]Workload, error) {
	re, err := regexp.Compile(c.o.Only)
	if err != nil {
		return nil, fmt.Errorf("workloads: %w", err)
	}
	var picked []Workload
	for _, w := range ws {
		if re.MatchString(w.Name) {
			picked = append(picked, w)
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("no workload of %d matches %q", len(ws), c.o.Only)
	}
	return picked, nil
}

// round lists the jobs of one workload: the crashes, and the failing calls.
func (c *campaign) round(w *Workload, round int) []func() error {
	seed := c.o.Seed + uint64(round)
	jobs := []func() error{func() error { return c.crashes(w, seed) }}
	if w.Faults {
		jobs = append(jobs, func() error { return c.faults(w, seed) })
	}
	return jobs
}

func (c *campaign) crashes(w *Workload, seed uint64) error {
	if c.enough() {
		return nil
	}
	p, err := c.start(w, seed, Fault{}, nil)
	if err != nil {
		return err
	}
	p.identify()
	rng := rand.New(rand.NewPCG(seed, 0xc4a5))
	return p.sweep(0, func(pt *simdisk.Point) []simdisk.Choice {
		return append(c.systematic(pt), c.samples(pt, rng)...)
	})
}

// faults plays the script with one failing call, several times.
func (c *campaign) faults(w *Workload, seed uint64) error {
	if c.enough() {
		return nil
	}
	var calls counter
	p, err := c.start(w, seed, Fault{}, calls.hook)
	if err != nil {
		return err
	}
	p.identify()
	all := calls.faults()
	rng := rand.New(rand.NewPCG(seed, 0xfa17))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if c.o.Faults > 0 {
		all = all[:min(len(all), c.o.Faults)]
	}
	for _, f := range all {
		if c.enough() {
			return nil
		}
		if err := c.faulty(p, f, rng); err != nil {
			return err
		}
	}
	return nil
}

// faulty plays what sound played with one call that fails, and crashes wherever
// it may from there on.
func (c *campaign) faulty(sound *play, f Fault, rng *rand.Rand) error {
	p, err := c.start(sound.w, sound.seed, f, f.hook())
	if err != nil {
		return err
	}
	first := int(p.failed.Load()) - 1
	if first < 0 {
		return nil // goroutines that do not repeat themselves made fewer calls
	}
	// Another identity than the crashes have, so that what one job looks at does
	// not depend on how far the other is.
	p.ident = mix(sound.ident)
	c.add(func(r *Report) { r.Faulty++ })
	return p.sweep(first, func(pt *simdisk.Point) []simdisk.Choice {
		return append(c.samples(pt, rng), simdisk.Choice{Mode: simdisk.All}, simdisk.Choice{Mode: simdisk.None})
	})
}

// identity returns id, or what was given for that script before: its goroutines
// may not repeat themselves.
func (c *campaign) identity(workload string, seed, id uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := run{workload, seed}
	if _, ok := c.idents[r]; !ok {
		c.idents[r] = id
	}
	return c.idents[r]
}

// fresh reports whether an image has not yet been held against want in that
// script.
func (c *campaign) fresh(ident, digest uint64, want Expect) bool {
	key := mix(ident ^ mix(digest))
	for _, s := range want.States {
		key = mix(key ^ uint64(s))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.seen[key]; ok {
		return false
	}
	c.seen[key] = struct{}{}
	if _, ok := c.images[digest]; !ok {
		c.images[digest] = struct{}{}
		c.report.Images += mix(digest)
	}
	c.report.Checks++
	c.report.Distinct = len(c.images)
	return true
}

func (c *campaign) add(fn func(*Report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn(&c.report)
}

func (c *campaign) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

// enough reports that the players may stop.
func (c *campaign) enough() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed != nil || c.ctx.Err() != nil ||
		c.o.States > 0 && c.report.Distinct >= c.o.States ||
		c.o.Time > 0 && time.Since(c.began) >= c.o.Time
}
