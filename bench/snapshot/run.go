package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

const opCreate, opRead = "create", "read"

// column is one measured quantity.
type column struct{ name, unit string }

var (
	colSeconds  = column{"time", "s"}
	colRate     = column{"rate", "MB/s"} // 10^6 bytes of state
	colCPU      = column{"processor time", "s"}
	colPeak     = column{"peak memory", "MiB"}
	colStored   = column{"stored", "bytes"}
	colRatio    = column{"ratio", ""} // state to stored
	colReadPeak = column{"peak memory while read", "MiB"}
	colMoved    = column{"moved", "bytes"}
	colChunks   = column{"chunks", ""}
	colShare    = column{"of all bytes", "%"}
)

// result is what one workload gave.
type result struct {
	Name    string              `json:"name"`
	Title   string              `json:"title"`
	Samples map[string][]sample `json:"samples"` // by competitor, round by round
	columns []column
	order   []string // of the competitors
}

func (r *result) add(who string, s sample) {
	if !slices.Contains(r.order, who) {
		r.order = append(r.order, who)
	}
	r.Samples[who] = append(r.Samples[who], s)
}

// values are one competitor's, round by round.
func (r *result) values(who string, c column) []float64 {
	var v []float64
	for _, s := range r.Samples[who] {
		if f, ok := s[c.name]; ok {
			v = append(v, f)
		}
	}
	return v
}

// bench is one run.
type bench struct {
	settings
	root     string // everything is below it; removed at the end
	peers    []peer
	progress *sheet.Progress
}

func compare(s settings, p *sheet.Progress) (_ *report, err error) {
	machine, err := examine(s.dir, 4*s.plan.Size+2*s.plan.Large)
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, peers: peers(), progress: p}
	if b.root, err = os.MkdirTemp(s.dir, "trimaran-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.root)) }()
	return b.all(machine)
}

// all runs the selected workloads below root.
func (b *bench) all(machine string) (*report, error) {
	start := time.Now()
	b.progress.Step("making the state")
	if err := makeState(b.state(), b.plan.Size, b.seed, change{}); err != nil {
		return nil, err
	}
	r := &report{Command: b.command, Started: start, Machine: machine, Plan: b.plan, Seed: b.seed, Peers: b.peers}
	for _, w := range []struct {
		name string
		run  func() (*result, error)
	}{{"create", b.create}, {"read", b.read}, {"peak", b.peak}, {"transfer", b.transfer}} {
		if !b.only.MatchString(w.name) {
			continue
		}
		res, err := w.run()
		if err != nil {
			return nil, err
		}
		res.Name = w.name
		r.Results = append(r.Results, res)
	}
	r.Seconds = time.Since(start).Seconds()
	r.judge()
	return r, nil
}

func (b *bench) state() string { return filepath.Join(b.root, "state") }

func (b *bench) dir(workload, who string) string {
	return filepath.Join(b.root, workload, strings.ReplaceAll(who, " ", "-"))
}

// job measures one thing after all that was written before is written back.
func (b *bench) job(who, op, dir string) (sample, error) {
	f, err := os.Open(b.root)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(unix.Syncfs(int(f.Fd())), f.Close()); err != nil {
		return nil, err
	}
	s, err := job{Peer: who, Op: op, Dir: dir, State: b.state(), Size: b.plan.Size, Seed: b.seed}.do()
	if err != nil {
		return nil, err
	}
	s[colRate.name] = float64(b.plan.Size) / s[colSeconds.name] / 1e6
	if n := s[colStored.name]; n > 0 {
		s[colRatio.name] = float64(b.plan.Size) / n
	}
	return s, nil
}

// rounds goes through all competitors in each round, in an order that rotates.
func (b *bench) rounds(what string, do func(peer) error) error {
	for round := range b.plan.Rounds {
		for i := range b.peers {
			p := b.peers[(i+round)%len(b.peers)]
			b.progress.Step(fmt.Sprintf("%s: round %d of %d, %s", what, round+1, b.plan.Rounds, p.name))
			if err := do(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) create() (*result, error) {
	r := newResult(fmt.Sprintf("create a snapshot of %d MiB, durable", b.plan.Size>>20), colSeconds, colRate, colRatio, colCPU, colPeak)
	return r, b.rounds("create", func(p peer) error {
		dir := b.dir("create", p.name)
		s, err := b.job(p.name, opCreate, dir)
		r.add(p.name, s)
		return errors.Join(err, os.RemoveAll(dir))
	})
}

func (b *bench) read() (*result, error) {
	r := newResult(fmt.Sprintf("open and read a snapshot of %d MiB, from the page cache", b.plan.Size>>20), colSeconds, colRate, colCPU, colPeak)
	for _, p := range b.peers {
		b.progress.Step("read: preparing " + p.name)
		if _, err := b.job(p.name, opCreate, b.dir("read", p.name)); err != nil {
			return nil, err
		}
	}
	err := b.rounds("read", func(p peer) error {
		s, err := b.job(p.name, opRead, b.dir("read", p.name))
		r.add(p.name, s)
		return err
	})
	return r, errors.Join(err, os.RemoveAll(filepath.Join(b.root, "read")))
}

// peak writes and reads a state that is much larger, once.
func (b *bench) peak() (*result, error) {
	r := newResult(fmt.Sprintf("peak memory of the process with %d MiB of state", b.plan.Large>>20), colPeak, colReadPeak)
	for _, who := range []string{ownZstd, ownNone, ownLZ4} {
		dir := b.dir("peak", who)
		s := sample{}
		for _, step := range []struct {
			op string
			c  column
		}{{opCreate, colPeak}, {opRead, colReadPeak}} {
			b.progress.Step("peak: " + step.op + " " + who)
			got, err := job{Peer: who, Op: step.op, Dir: dir, State: b.state(), Size: b.plan.Large, Seed: b.seed}.do()
			if err != nil {
				return nil, err
			}
			s[step.c.name] = got[colPeak.name]
		}
		r.add(who, s)
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func newResult(title string, columns ...column) *result {
	return &result{Title: title, Samples: map[string][]sample{}, columns: columns}
}
