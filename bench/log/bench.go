package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
	"github.com/trimarandb/trimaran/bench/log/peer"
)

// bench is one run.
type bench struct {
	plan     plan
	kinds    []peer.Kind
	root     string // everything is below it; removed at the end
	seed     uint64
	env      *environment
	progress *sheet.Progress
	current  string          // the workload's name
	built    map[string]bool // shared logs
}

// newBench selects the competitors.
func newBench(s settings, env *environment, p *sheet.Progress) *bench {
	b := &bench{plan: s.plan, seed: s.seed, env: env, progress: p, built: map[string]bool{}}
	for _, k := range peer.All() {
		if k.Name == subjectName || k.Limit || s.peers.MatchString(k.Name) {
			b.kinds = append(b.kinds, k)
		}
	}
	return b
}

// dir is a directory of one competitor in the current workload; name tells
// several apart.
func (b *bench) dir(k peer.Kind, name ...string) string {
	return filepath.Join(append([]string{b.root, plain(b.current), plain(k.Name)}, name...)...)
}

// plain is s as a file name.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/ ,", r) {
			return '-'
		}
		return r
	}, s)
}

// result is what one workload gave.
type result struct {
	Name    string              `json:"name"`
	Title   string              `json:"title"`
	Seconds float64             `json:"seconds"` // with what had to be built
	Samples map[string][]sample `json:"samples"` // by competitor, round by round
	columns []column
	kinds   []peer.Kind
}

func (r *result) column(name string) column {
	i := slices.IndexFunc(r.columns, func(c column) bool { return c.name == name })
	return r.columns[i]
}

// values are one competitor's, round by round.
func (r *result) values(kind, col string) []float64 {
	var v []float64
	for _, s := range r.Samples[kind] {
		if f, ok := s[col]; ok {
			v = append(v, f)
		}
	}
	return v
}

// run does one workload: each round goes through all competitors, in an order
// that is rotated from round to round.
func (b *bench) run(w workload) (*result, error) {
	b.current = w.name
	r := &result{Name: w.name, Title: w.title, Samples: map[string][]sample{}, columns: w.columns}
	for _, k := range b.kinds {
		if (k.Limit && w.logsOnly) || (k.Name != subjectName && w.subjectOnly) {
			continue
		}
		r.kinds = append(r.kinds, k)
	}
	start := time.Now()
	sessions, err := b.open(w, r.kinds)
	if err == nil {
		err = b.rounds(w, r, sessions)
	}
	for _, k := range r.kinds {
		if s := sessions[k.Name]; s != nil {
			if cerr := s.close(); cerr != nil && err == nil {
				err = fmt.Errorf("%s, %s: close: %w", w.name, k.Name, cerr)
			}
		}
	}
	if rerr := os.RemoveAll(filepath.Join(b.root, plain(w.name))); err == nil {
		err = rerr
	}
	r.Seconds = time.Since(start).Seconds()
	return r, err
}

// open starts the sessions of those that have what the workload asks for.
func (b *bench) open(w workload, kinds []peer.Kind) (map[string]*session, error) {
	sessions := map[string]*session{}
	for _, k := range kinds {
		b.progress.Step(w.name + ": opening " + k.Name)
		s, err := w.start(b, k)
		if unsupported(err) {
			continue
		} else if err != nil {
			return sessions, fmt.Errorf("%s, %s: %w", w.name, k.Name, err)
		}
		sessions[k.Name] = s
	}
	return sessions, nil
}

func (b *bench) rounds(w workload, r *result, sessions map[string]*session) error {
	rounds := b.plan.Rounds
	if w.rounds != nil {
		rounds = w.rounds(b.plan)
	}
	for round := range rounds {
		for i := range r.kinds {
			k := r.kinds[(i+round)%len(r.kinds)]
			s := sessions[k.Name]
			if s == nil {
				continue
			}
			b.progress.Step(fmt.Sprintf("%s: round %d of %d, %s", w.name, round+1, rounds, k.Name))
			if err := syncAll(b.root); err != nil {
				return err
			}
			got, err := s.round()
			if unsupported(err) {
				delete(sessions, k.Name)
				if err := s.close(); err != nil {
					return err
				}
				continue
			} else if err != nil {
				return fmt.Errorf("%s, %s: %w", w.name, k.Name, err)
			}
			r.Samples[k.Name] = append(r.Samples[k.Name], got)
		}
	}
	return nil
}
