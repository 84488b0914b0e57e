// Command kv compares Trimaran's key-value store with the engines below it,
// bare and under the same options, and with other stores, all in one run, and
// says which of its targets are met.
//
//	go run ./kv -dir /var/tmp              two minutes
//	go run ./kv -dir /var/tmp -quick       in seconds, to see that it works
//	go run ./kv -dir /var/tmp -full        2 million keys
//	go run -tags rocksdb ./kv              with RocksDB
//	go run ./kv -workloads 'get|scan' -stores 'pebble|badger' -o json
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
	"github.com/trimarandb/trimaran/bench/kv/engine"
)

// settings are what the flags say.
type settings struct {
	dir, output       string
	workloads, stores *regexp.Regexp
	plan              plan
	child             string // of which store to measure the memory, in this process
}

func main() {
	s, err := parse(os.Args[1:])
	if err == nil && s.child != "" {
		err = child(s)
	} else if err == nil {
		p := sheet.NewProgress(os.Stderr, time.Now())
		var r *report
		r, err = compare(s, p)
		p.End()
		if err == nil {
			r.Command = "go run " + engine.Tags + "./kv " + strings.Join(os.Args[1:], " ")
			err = r.write(os.Stdout, s.output)
		}
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "kv:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	s := settings{plan: standard}
	flags := flag.NewFlagSet("kv", flag.ContinueOnError)
	var workloads, stores string
	flags.StringVar(&s.dir, "dir", ".", "directory of a real file system; everything is made in a new one below it and removed")
	flags.StringVar(&workloads, "workloads", "", "regular expression; the workloads whose name matches")
	flags.StringVar(&stores, "stores", "", "regular expression; the stores whose name matches, besides trimaran's")
	flags.StringVar(&s.output, "o", "text", "text, md or json")
	flags.StringVar(&s.child, "child", "", "for the program itself: measure one store's memory")
	small := flags.Bool("quick", false, "very few keys, done in seconds")
	large := flags.Bool("full", false, "2 million keys")
	keys := flags.Int("keys", 0, "instead of the plan's number")
	rounds := flags.Int("rounds", 0, "instead of the plan's number")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unknown argument %q", flags.Arg(0))
	case s.output != "text" && s.output != "md" && s.output != "json":
		return s, fmt.Errorf("-o %q: want text, md or json", s.output)
	case *small && *large:
		return s, errors.New("-quick and -full: want one of them")
	case *keys < 0 || *keys > 0 && *keys < quick.Keys || *rounds < 0:
		return s, fmt.Errorf("-keys %d -rounds %d: want %d keys or more and a positive number of rounds", *keys, *rounds, quick.Keys)
	case *small:
		s.plan = quick
	case *large:
		s.plan = full
	}
	if *keys > 0 {
		s.plan.Keys = *keys
	}
	if *rounds > 0 {
		s.plan.Rounds, s.plan.Heavy = *rounds, *rounds
	}
	var err error
	if s.workloads, err = regexp.Compile(workloads); err != nil {
		return s, fmt.Errorf("-workloads: %w", err)
	}
	if s.stores, err = regexp.Compile(stores); err != nil {
		return s, fmt.Errorf("-stores: %w", err)
	}
	return s, nil
}

// compare runs what the settings select, in a new directory that it removes.
func compare(s settings, p *sheet.Progress) (_ *report, err error) {
	b := newBench(s, p)
	if b.root, err = os.MkdirTemp(s.dir, "trimaran-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.root)) }()
	r := newReport(b)
	for _, w := range workloads() {
		if !s.workloads.MatchString(w.name) {
			continue
		}
		res, err := b.run(w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		r.add(w, res)
	}
	if len(r.Results) == 0 {
		return nil, fmt.Errorf("-workloads %q matches none", s.workloads)
	}
	if err := b.close(); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(r.Started).Seconds()
	return r, nil
}
