package crashtest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// ErrNoExtension is what Script.Extend returns when it cannot go on.
var ErrNoExtension = errors.New("nothing to go on with")

// play is one run of one script, and the crashes in it.
type play struct {
	c      *campaign
	w      *Workload
	seed   uint64
	fault  Fault
	script Script
	d      *simdisk.Disk
	rec    *Recorder
	ident  uint64       // of the script
	failed atomic.Int64 // operations before the first call that failed, plus 1
}

// start plays the script to its end. hook is asked before each call of the
// disk.
func (c *campaign) start(w *Workload, seed uint64, f Fault, hook func(vfs.Op) error) (*play, error) {
	p := &play{c: c, w: w, seed: seed, fault: f, script: w.New(seed), d: simdisk.New(&c.o.Disk)}
	p.rec = &Recorder{d: p.d}
	if hook != nil {
		p.d.Fail(func(op vfs.Op) error {
			err := hook(op)
			if err != nil {
				p.failed.CompareAndSwap(0, int64(p.d.Ops())+1)
			}
			return err
		})
	}
	err := guard(func() error { return p.script.Run(p.d.FS(), p.rec) })
	p.d.Fail(nil)
	if err == nil {
		err = p.rec.misuse()
	}
	if err != nil {
		return nil, p.failure(StageRun, nil, nil, 0, Expect{}, err)
	}
	c.add(func(r *Report) { r.Runs++ })
	return p, nil
}

// identify tells scripts apart whose states may mean something else. p ran
// without a failing call.
func (p *play) identify() {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.w.Name)) // cannot fail
	id := h.Sum64()
	for pt := p.d.Point(0); ; {
		id = mix(id ^ pt.Crash(simdisk.Choice{}).Digest())
		if !pt.Next() {
			break
		}
	}
	p.ident = p.c.identity(p.w.Name, p.seed, p.rec.digest(id))
}

// guard turns a panic into an error.
func guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return fn()
}

// lastOps is how many operations a failure shows.
const lastOps = 20

func (p *play) failure(stage Stage, d *simdisk.Disk, cuts []Cut, digest uint64, want Expect, err error) *Failure {
	f := &Failure{Workload: p.w.Name, Seed: p.seed, Fault: p.fault, Cuts: cuts, Stage: stage, Digest: digest, Want: want, Err: err, disk: d}
	if d != nil {
		last := cuts[len(cuts)-1].Ops
		for i := max(0, last-lastOps); i < last; i++ {
			f.Ops = append(f.Ops, fmt.Sprintf("%d %s", i, d.Op(i)))
		}
	}
	return f
}

// sweep crashes after each operation from the first-th on.
func (p *play) sweep(first int, choices func(*simdisk.Point) []simdisk.Choice) error {
	for pt := p.d.Point(first); ; {
		if p.c.enough() {
			return nil
		}
		if p.c.strides(pt, p.seed) {
			if err := p.crashes(pt, choices(pt)); err != nil {
				return err
			}
		}
		if !pt.Next() {
			return nil
		}
	}
}

// strides reports that the power is cut at a point.
func (c *campaign) strides(pt *simdisk.Point, seed uint64) bool {
	return uint64(pt.Ops())%uint64(c.o.Stride) == seed%uint64(c.o.Stride)
}

func (p *play) crashes(pt *simdisk.Point, choices []simdisk.Choice) error {
	want := p.rec.after(pt.Ops())
	for _, ch := range choices {
		if err := p.crash(p.d, pt, ch, nil, want); err != nil {
			return err
		}
	}
	if mix(uint64(pt.Ops())^p.seed)%killEvery != 0 {
		return nil
	}
	d := pt.Kill(nil)
	cuts := []Cut{{Ops: pt.Ops(), Kill: true, After: AfterPart}}
	p.c.add(func(r *Report) { r.Kills++ })
	return p.open(p.d, d, pt.Crash(simdisk.Choice{}).Digest(), cuts, want, p.c.o.Depth > 0)
}

const (
	killEvery   = 4 // of so many points one is a kill too
	extendEvery = 5 // of so many crashes one is gone on from
)

// crash makes one image and looks at it, unless that was done.
func (p *play) crash(d *simdisk.Disk, pt *simdisk.Point, ch simdisk.Choice, before []Cut, want Expect) error {
	m := pt.Crash(ch)
	if !p.c.fresh(p.ident, m.Digest(), want) {
		return nil
	}
	if len(before) > 0 {
		p.c.add(func(r *Report) { r.Nested++ })
	}
	cuts := with(before, Cut{Ops: pt.Ops(), Choice: ch, After: AfterPart})
	nest := len(before) < p.c.o.Depth && mix(m.Digest())%uint64(p.c.o.Nest) == 0
	return p.open(d, m.Disk(nil), m.Digest(), cuts, want, nest)
}

func with(cuts []Cut, c Cut) []Cut { return append(slices.Clip(cuts), c) }

// open opens what is on the disk after the cuts, twice, and now and then goes
// on from there. from is the disk that the last cut was made on.
func (p *play) open(from, d *simdisk.Disk, digest uint64, cuts []Cut, want Expect, nest bool) error {
	first := d.Ops()
	found, err := p.check(d, want)
	if err != nil {
		return p.failure(StageOpen, from, cuts, digest, want, err)
	}
	end := d.Ops()
	want2 := Expect{States: []int{found}}
	m := d.Point(end).Crash(simdisk.Choice{Mode: simdisk.None})
	cuts2 := with(cuts, Cut{Ops: end, Choice: simdisk.Choice{Mode: simdisk.None}, After: AfterCheck})
	if m.Digest() != digest || cuts[len(cuts)-1].Kill {
		if _, err := p.check(m.Disk(nil), want2); err != nil {
			return p.failure(StageAgain, d, cuts2, m.Digest(), want2, err)
		}
	}
	if mix(digest+1)%extendEvery == 0 {
		if err := p.extend(d, m, cuts2, want2); err != nil {
			return err
		}
	}
	if !nest {
		return nil
	}
	return p.nested(d, first, digest, cuts, want)
}

func (p *play) check(d *simdisk.Disk, want Expect) (found int, err error) {
	err = guard(func() error {
		found, err = p.script.Check(d.FS(), want)
		return err
	})
	if err == nil && !want.Allows(found) {
		err = fmt.Errorf("found state %d, want %v", found, want)
	}
	return found, err
}

// extend goes on from what was found, and cuts the power once more: what was
// acknowledged has to stay, however the rest falls. m is what the last cut left
// of from.
func (p *play) extend(from *simdisk.Disk, m *simdisk.Image, cuts []Cut, want Expect) error {
	d := m.Disk(nil)
	went, err := p.goOn(d, want)
	if err != nil {
		return p.failure(StageExtend, from, cuts, m.Digest(), want, err)
	}
	if !went {
		return nil
	}
	want.Extended = true
	ch := simdisk.Choice{Mode: simdisk.None}
	if m.Digest()%2 == 0 {
		ch = simdisk.Choice{Mode: simdisk.Sample, Arg: m.Digest()}
	}
	kept := d.Point(d.Ops()).Crash(ch)
	if _, err := p.check(kept.Disk(nil), want); err != nil {
		cuts := with(cuts, Cut{Ops: d.Ops(), Choice: ch, After: AfterExtend})
		return p.failure(StageKept, d, cuts, kept.Digest(), want, err)
	}
	return nil
}

// goOn extends the one state that is allowed, and reports whether it could.
func (p *play) goOn(d *simdisk.Disk, want Expect) (went bool, err error) {
	err = guard(func() error { return p.script.Extend(d.FS(), want.Latest()) })
	if errors.Is(err, ErrNoExtension) {
		return false, nil
	}
	return err == nil, err
}

// nested crashes within what Check did on d.
func (p *play) nested(d *simdisk.Disk, first int, digest uint64, cuts []Cut, want Expect) error {
	for pt := d.Point(first); pt.Next() && !p.c.enough(); {
		if !p.c.strides(pt, digest) {
			continue
		}
		for _, ch := range []simdisk.Choice{
			{Mode: simdisk.None},
			{Mode: simdisk.All},
			{Mode: simdisk.Omit, Arg: uint64(pt.Ops() - 1)},
			{Mode: simdisk.Sample, Arg: p.seed<<16 + uint64(pt.Ops())},
		} {
			if err := p.crash(d, pt, ch, cuts, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// systematic lists what is tried at a point, whatever the seed.
func (c *campaign) systematic(pt *simdisk.Point) []simdisk.Choice {
	if pt.Combinations(2) < 2 {
		return []simdisk.Choice{{Mode: simdisk.All}}
	}
	chs := []simdisk.Choice{{Mode: simdisk.All}, {Mode: simdisk.None}, {Mode: simdisk.Both}, {Mode: simdisk.Sizes}, {Mode: simdisk.Sizes, Arg: 1}}
	n := pt.Combinations(c.o.Exhaustive + 1)
	if n <= c.o.Exhaustive {
		for i := range n {
			chs = append(chs, simdisk.Choice{Mode: simdisk.Nth, Arg: i})
		}
	} else {
		for _, op := range pt.Loose() {
			chs = append(chs, simdisk.Choice{Mode: simdisk.Omit, Arg: uint64(op)}, simdisk.Choice{Mode: simdisk.Only, Arg: uint64(op)})
		}
	}
	return append(chs, cutsOf(pt.LastWrite())...)
}

// cutsOf shortens a write to whole sectors, up to 16 of them, and to 7 other
// lengths, at which the file may end too.
func cutsOf(n int) (chs []simdisk.Choice) {
	step := simdisk.SectorSize * max(1, n/simdisk.SectorSize/16)
	for at := step; at < n; at += step {
		chs = append(chs, simdisk.Choice{Mode: simdisk.Cut, Arg: uint64(at)})
	}
	for _, at := range []int{1, 7, n / 3, n / 2, n - n/7, n - 9, n - 1} {
		if at > 0 && at < n {
			chs = append(chs, simdisk.Choice{Mode: simdisk.Cut, Arg: uint64(at)}, simdisk.Choice{Mode: simdisk.Short, Arg: uint64(at)})
		}
	}
	return chs
}

// samples draws what a seed adds.
func (c *campaign) samples(pt *simdisk.Point, rng *rand.Rand) []simdisk.Choice {
	if pt.Combinations(2) < 2 || c.o.Samples < 0 {
		return nil
	}
	chs := make([]simdisk.Choice, c.o.Samples)
	for i := range chs {
		chs[i] = simdisk.Choice{Mode: simdisk.Sample, Arg: rng.Uint64()}
	}
	return chs
}

// mix spreads the bits of x (the finisher of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
