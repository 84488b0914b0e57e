// Command node compares a whole Raft node on Trimaran with nodes on other
// stores, and with a ceiling, all on hashicorp/raft and in one run, and says
// which of its targets are met.
//
//	go run ./node -dir /var/tmp            everything, in about five minutes
//	go run ./node -dir /var/tmp -quick     the same at a smaller size, in a minute
//	go run ./node -workloads commit -o md
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// plan is how much a run does.
type plan struct {
	Name    string
	Cell    time.Duration // of one competitor in one round
	Rounds  int
	Clients int
	Entries int // of 1 KiB, in the large state
}

var (
	full  = plan{"full", time.Second, 7, 64, 1 << 20}
	quick = plan{"quick", 400 * time.Millisecond, 5, 64, 100_000}
	tiny  = plan{"tiny", 5 * time.Millisecond, 1, 4, 400} // for the test
)

// settings are what the flags say.
type settings struct {
	dir, output string
	workloads   *regexp.Regexp
	plan        plan
}

func main() {
	s, err := parse(os.Args[1:])
	if err == nil {
		err = where(s.dir)
	}
	if err == nil {
		var r *report
		if r, err = compare(s); err == nil {
			r.Command = "go run ./node " + strings.Join(os.Args[1:], " ")
			err = r.write(os.Stdout, s.output)
		}
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	s := settings{plan: full}
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", ".", "directory of a real file system; everything is made in a new one below it and removed")
	flags.StringVar(&s.output, "o", "text", "text, md or json")
	workloads := flags.String("workloads", "", "regular expression; the workloads whose name matches")
	rounds := flags.Int("rounds", 0, "instead of the plan's number")
	small := flags.Bool("quick", false, "smaller sizes, done in a minute")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if *small {
		s.plan = quick
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unknown argument %q", flags.Arg(0))
	case s.output != "text" && s.output != "md" && s.output != "json":
		return s, fmt.Errorf("-o %q: want text, md or json", s.output)
	case *rounds < 0:
		return s, fmt.Errorf("-rounds %d: want a positive number", *rounds)
	case *rounds > 0:
		s.plan.Rounds = *rounds
	}
	var err error
	if s.workloads, err = regexp.Compile(*workloads); err != nil {
		return s, fmt.Errorf("-workloads: %w", err)
	}
	return s, nil
}

// where refuses a directory in memory, where a sync costs nothing.
func where(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("%s is in memory, where a sync costs nothing: name a directory of a real file system with -dir", dir)
	}
	return nil
}

// compare runs what the settings select, in a new directory that it removes.
func compare(s settings) (_ *report, err error) {
	root, err := os.MkdirTemp(s.dir, "trimaran-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	r := &report{Plan: s.plan, Go: runtime.Version(), CPUs: runtime.NumCPU()}
	start := time.Now()
	for _, w := range []struct {
		name string
		run  func(plan, string) (*result, error)
	}{
		{"commit-1", func(p plan, dir string) (*result, error) { return commits(p, dir, 1) }},
		{"commit-3", func(p plan, dir string) (*result, error) { return commits(p, dir, 3) }},
		{"large", large},
	} {
		if !s.workloads.MatchString(w.name) {
			continue
		}
		res, err := w.run(s.plan, root+"/"+w.name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		r.Results = append(r.Results, res)
	}
	if len(r.Results) == 0 {
		return nil, fmt.Errorf("-workloads %q matches none", s.workloads)
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}
