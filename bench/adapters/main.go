// Command adapters compares clusters of one Raft library on the log that its
// users pair it with and on Trimaran's, in one run, and with a log that does
// nothing but pwrite and fdatasync of the same bytes.
//
//	go run ./adapters -dir /var/tmp            in two minutes
//	go run ./adapters -dir /var/tmp -quick     in half a minute
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/logger"
	"golang.org/x/sys/unix"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/bench/internal/sheet"
)

// plan is how much a run does.
type plan struct {
	Cell   time.Duration // of one competitor in one round
	Rounds int
}

var (
	full  = plan{time.Second, 9}
	quick = plan{400 * time.Millisecond, 5}
)

// most is the number of clients of the larger workload; the other has one.
const most = 64

func main() {
	logger.SetLoggerFactory(dragonboat.NewLoggerFactory(slog.New(slog.DiscardHandler)))
	if err := run(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "adapters:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("adapters", flag.ContinueOnError)
	dir := flags.String("dir", ".", "directory of a real file system; everything is made in a new one below it and removed")
	output := flags.String("o", "text", "text, md or json")
	small := flags.Bool("quick", false, "fewer and shorter rounds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	case !slices.Contains([]string{"text", "md", "json"}, *output):
		return fmt.Errorf("-o %q: want text, md or json", *output)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(*dir, &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", *dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("%s is in memory, where a sync costs nothing: name a directory of a real file system with -dir", *dir)
	}
	p := full
	if *small {
		p = quick
	}
	found, err := compare(*dir, p)
	if err != nil {
		return err
	}
	s := found.sheet("go run ./adapters "+strings.Join(args, " "), p)
	return s.Write(os.Stdout, *output)
}

// findings are writes a second, by clients and competitor, round by round.
type findings map[int]map[string][]float64

// compare starts a cluster of each kind and has clients write to one after the
// other, each round in another order.
func compare(dir string, p plan) (_ findings, err error) {
	root, err := os.MkdirTemp(dir, "trimaran-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	clusters := make([]*cluster, len(kinds))
	errs := make([]error, len(kinds))
	var starting sync.WaitGroup // elections take a while
	for i, k := range kinds {
		starting.Go(func() { clusters[i], errs[i] = start(k, filepath.Join(root, k.name)) })
	}
	starting.Wait()
	defer func() {
		for _, c := range clusters {
			c.close()
		}
	}()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	found := findings{1: {}, most: {}}
	for round := -1; round < p.Rounds; round++ { // the first pays for new files, and is not counted
		for _, clients := range []int{1, most} {
			for n := range kinds {
				i := (n + round + 1) % len(kinds)
				runtime.GC()
				rate, err := clusters[i].round(clients, p.Cell)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", kinds[i].name, err)
				}
				if round >= 0 {
					by := found[clients]
					by[kinds[i].name] = append(by[kinds[i].name], rate)
				}
			}
		}
	}
	return found, nil
}

// ratios compares two competitors within each round.
func ratios(a, b []float64) (v []float64) {
	for i := range a {
		v = append(v, a[i]/b[i])
	}
	return v
}

// closed is how much of the way from the better peer to the ceiling we are.
func closed(by map[string][]float64) (v []float64) {
	for i, mine := range by[subject] {
		best := max(by["tan"][i], by["pebble"][i])
		v = append(v, (mine-best)/max(1, by[ceiling][i]-best))
	}
	return v
}

func (f findings) sheet(command string, p plan) sheet.Sheet {
	s := sheet.Sheet{
		Title: "A Raft library's cluster, on several logs",
		Notes: []string{
			fmt.Sprintf("%s, %d CPUs, %d rounds of %v", runtime.Version(), runtime.NumCPU(), p.Rounds, p.Cell),
			"`" + command + "`",
			"medians of the rounds, with the least and the largest; ratios are taken within a round",
		},
		Targets: sheet.Table{{"workload", "target", "limit", "measured", ""}},
		Data:    f,
	}
	for _, k := range kinds {
		s.Notes = append(s.Notes, k.name+": "+k.what)
	}
	target := func(clients int, what string, limit float64, v []float64) {
		met := "met"
		if sheet.Median(v) < limit {
			met = "MISSED"
		}
		s.Targets = append(s.Targets, []string{fmt.Sprintf("dragonboat, clients: %d", clients), what, fmt.Sprintf(">= %g", limit), spread(v), met})
	}
	for _, clients := range []int{1, most} {
		by := f[clients]
		t := sheet.Table{{"", "writes/s", "times ours"}}
		for _, k := range kinds {
			t = append(t, []string{k.name, spread(by[k.name]), spread(ratios(by[k.name], by[subject]))})
		}
		s.Parts = append(s.Parts, sheet.Part{Title: fmt.Sprintf("dragonboat: committed writes of %d bytes, three replicas, clients: %d", commandSize, clients), Table: t})
		for _, other := range []string{"tan", "pebble"} {
			target(clients, "writes/s of "+other+", times", 1, ratios(by[subject], by[other]))
		}
	}
	target(most, "part of the gap between the better peer and the ceiling that is closed", 0.5, closed(f[most]))
	return s
}

// spread is the median, and the least and the largest.
func spread(v []float64) string {
	return fmt.Sprintf("%s (%s-%s)", sheet.Count(sheet.Median(v)), sheet.Count(slices.Min(v)), sheet.Count(slices.Max(v)))
}
