package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress says on a terminal what is being done. A nil progress says nothing.
type progress struct {
	out   *os.File
	start time.Time
}

func newProgress(out *os.File, now time.Time) *progress {
	if _, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return &progress{out: out, start: now}
}

func (p *progress) step(what string) {
	if p != nil {
		fmt.Fprintf(p.out, "\r\x1b[K%4.0f s  %s", time.Since(p.start).Seconds(), what)
	}
}

func (p *progress) end() {
	if p != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
