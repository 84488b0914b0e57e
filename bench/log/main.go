// Command log compares Trimaran's log with other logs for Raft and with the
// device below them, all in one run, and says which of its targets are met.
//
//	go run ./log -dir /var/tmp            every workload, under 15 minutes
//	go run ./log -dir /var/tmp -quick     the same at a smaller size, in a minute
//	go run ./log -workloads append -peers 'raft-wal|etcd' -o json
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

// settings are what the flags say.
type settings struct {
	dir, output      string
	workloads, peers *regexp.Regexp
	plan             plan
	seed             uint64
}

func main() {
	s, err := parse(os.Args[1:])
	if err == nil {
		start := time.Now()
		p := sheet.NewProgress(os.Stderr, start)
		var r *report
		r, err = compare(s, p, start)
		p.End()
		if err == nil {
			r.Command = "go run ./log " + strings.Join(os.Args[1:], " ")
			err = r.write(os.Stdout, s.output)
		}
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "log:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	s := settings{plan: full}
	flags := flag.NewFlagSet("log", flag.ContinueOnError)
	var workloads, peers string
	flags.StringVar(&s.dir, "dir", ".", "directory of a real file system; everything is made in a new one below it and removed")
	flags.StringVar(&workloads, "workloads", "", "regular expression; the workloads whose name matches")
	flags.StringVar(&peers, "peers", "", "regular expression; the competitors whose name matches, besides trimaran and raw")
	flags.StringVar(&s.output, "o", "text", "text, md or json")
	flags.Uint64Var(&s.seed, "seed", 1, "of payloads and random positions")
	rounds := flags.Int("rounds", 0, "instead of the plan's number")
	small := flags.Bool("quick", false, "smaller sizes, done in a minute")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if s.output != "text" && s.output != "md" && s.output != "json" {
		return s, fmt.Errorf("-o %q: want text, md or json", s.output)
	}
	if *small {
		s.plan = quick
	}
	if *rounds < 0 {
		return s, fmt.Errorf("-rounds %d: want a positive number", *rounds)
	} else if *rounds > 0 {
		s.plan.Rounds, s.plan.Heavy, s.plan.Copies = *rounds, *rounds, *rounds
	}
	var err error
	if s.workloads, err = regexp.Compile(workloads); err != nil {
		return s, fmt.Errorf("-workloads: %w", err)
	}
	if s.peers, err = regexp.Compile(peers); err != nil {
		return s, fmt.Errorf("-peers: %w", err)
	}
	return s, nil
}

// compare runs what the settings select, in a new directory that it removes.
func compare(s settings, p *sheet.Progress, start time.Time) (_ *report, err error) {
	env, err := examine(s.dir)
	if err != nil {
		return nil, err
	}
	b := newBench(s, env, p)
	if need := s.plan.disk(len(b.kinds)); env.free < need {
		return nil, fmt.Errorf("%s has %s free, the run may need %s", s.dir, mib(env.free), mib(need))
	}
	todo := selected(workloads(s.plan), s.workloads.MatchString)
	if len(todo) == 0 {
		return nil, fmt.Errorf("-workloads %q matches none", s.workloads)
	}
	if b.root, err = os.MkdirTemp(s.dir, "trimaran-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.root)) }()
	r := newReport(b, start)
	for _, w := range todo {
		res, err := b.run(w)
		if err != nil {
			return nil, err
		}
		r.add(w, res)
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

func (r *report) write(w io.Writer, format string) error {
	all := sheet.Sheet{Title: "The log, beside its peers and the device", Notes: r.notes(), Targets: r.verdictTable(), Data: r}
	for _, res := range r.Results {
		all.Parts = append(all.Parts, sheet.Part{Title: res.Title, Table: res.table()})
	}
	return all.Write(w, format)
}
