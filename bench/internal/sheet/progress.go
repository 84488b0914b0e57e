package sheet

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Progress says on a terminal what is being done. A nil Progress says nothing.
type Progress struct {
	out   *os.File
	start time.Time
}

// NewProgress returns nil where out is no terminal.
func NewProgress(out *os.File, start time.Time) *Progress {
	if _, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return &Progress{out: out, start: start}
}

// Step replaces what is shown.
func (p *Progress) Step(what string) {
	if p != nil {
		fmt.Fprintf(p.out, "\r\x1b[K%4.0f s  %s", time.Since(p.start).Seconds(), what)
	}
}

// End clears the line.
func (p *Progress) End() {
	if p != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
