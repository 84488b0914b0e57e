// Command snapshot compares Trimaran's snapshots with those of hashicorp/raft
// and etcd, with stream encoders of zstd and with the zstd tool, all in one
// run, and says which of its targets are met.
//
//	go run ./snapshot -dir /var/tmp            512 MiB of state, five rounds
//	go run ./snapshot -dir /var/tmp -quick     the same at a smaller size, in a minute
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

func main() {
	if job := os.Getenv(jobVariable); job != "" {
		exit(work(job, os.Stdout))
	}
	s, err := parse(os.Args[1:])
	if err == nil {
		s.command = "go run ./snapshot " + strings.Join(os.Args[1:], " ")
		var r *report
		p := sheet.NewProgress(os.Stderr, time.Now())
		r, err = compare(s, p)
		p.End()
		if err == nil {
			err = r.write(os.Stdout, s.output)
		}
	}
	exit(err)
}

func exit(err error) {
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// settings are what the flags say.
type settings struct {
	dir, output, command string
	only                 *regexp.Regexp
	plan                 plan
	seed                 uint64
}

// plan is how much a run does.
type plan struct {
	Name   string
	Size   int64 // of the state
	Large  int64 // of the state whose peak memory is measured
	Rounds int
}

var (
	full  = plan{Name: "full", Size: 512 << 20, Large: 4 << 30, Rounds: 5}
	quick = plan{Name: "quick", Size: 64 << 20, Large: 256 << 20, Rounds: 3}
	// tiny is for the tests: everything runs, nothing is measured.
	tiny = plan{Name: "tiny", Size: 3 << 20, Large: 6 << 20, Rounds: 1}
)

func (p plan) String() string {
	return fmt.Sprintf("%s, %d MiB of state, %d MiB for peak memory, %d rounds", p.Name, p.Size>>20, p.Large>>20, p.Rounds)
}

func parse(args []string) (settings, error) {
	s := settings{plan: full}
	flags := flag.NewFlagSet("snapshot", flag.ContinueOnError)
	var only string
	flags.StringVar(&s.dir, "dir", ".", "directory of a real file system; everything is made in a new one below it and removed")
	flags.StringVar(&only, "only", "", "regular expression; the workloads whose name matches: create, read, peak, transfer")
	flags.StringVar(&s.output, "o", "text", "text, md or json")
	flags.Uint64Var(&s.seed, "seed", 1, "of the state")
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
		s.plan.Rounds = *rounds
	}
	var err error
	if s.only, err = regexp.Compile(only); err != nil {
		return s, fmt.Errorf("-only: %w", err)
	}
	return s, nil
}
