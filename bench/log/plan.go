package main

import (
	"fmt"
	"time"
)

// plan is how much a run does.
type plan struct {
	Name   string
	Cell   time.Duration // of one timed cell
	Rounds int           // of cells
	Heavy  int           // rounds of what reads a whole log
	Copies int           // rounds of what changes a whole log, and copies it before
	Big    int           // entries of 1 KiB in the log that is read, opened and cut
	Many   int           // small entries in the log whose heap is measured
	Groups [2]int
	Space  int           // bytes whose price on the device is measured
	Pause  time.Duration // after a drop, until space has to be back
}

var (
	full = plan{
		Name: "full", Cell: 150 * time.Millisecond, Rounds: 9, Heavy: 3, Copies: 2, Big: 1 << 20, Many: 10_000_000,
		Groups: [2]int{1000, 10_000}, Space: 128 << 20, Pause: 2 * time.Second,
	}
	quick = plan{
		Name: "quick", Cell: 30 * time.Millisecond, Rounds: 5, Heavy: 2, Copies: 2, Big: 48 << 10, Many: 500_000,
		Groups: [2]int{1000, 10_000}, Space: 16 << 20, Pause: 300 * time.Millisecond,
	}
	// tiny is for the tests: everything runs, nothing is measured.
	tiny = plan{
		Name: "tiny", Cell: time.Millisecond, Rounds: 1, Heavy: 1, Copies: 1, Big: 512, Many: 2000,
		Groups: [2]int{100, 200}, Space: 1 << 20, Pause: time.Millisecond,
	}
)

func (p plan) String() string {
	return fmt.Sprintf("%s, cells of %v, %d rounds, %d where a whole log is read, %d where it is copied first",
		p.Name, p.Cell, p.Rounds, p.Heavy, p.Copies)
}

func (p plan) bigLog() string { return mib(int64(p.Big)*bigEntry) + " of 1 KiB entries" }

func mib(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// disk is about what the run needs at once, in bytes.
func (p plan) disk(kinds int) int64 {
	return int64(p.Big)*bigEntry*int64(kinds)*3 + int64(p.Space)*int64(kinds)*2 + 4<<30
}
