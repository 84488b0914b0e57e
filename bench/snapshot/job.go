package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// jobVariable holds the job of a process that does one measurement: each has
// its own, so that its memory is its own.
const jobVariable = "TRIMARAN_BENCH_JOB"

// job is one measurement.
type job struct {
	Peer  string
	Op    string // create, read or transfer
	Dir   string // where the snapshots are
	State string // file that is read, as often as Size needs it
	Size  int64
	Seed  uint64
}

// sample is what a job gave: columns by name.
type sample map[string]float64

// do runs a job in a process of its own.
func (j job) do() (sample, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", j.Peer, j.Op, err)
	}
	var s sample
	return s, json.Unmarshal(out, &s)
}

// work is the other side of do.
func work(text string, out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	p, err := find(j.Peer)
	if err != nil {
		return err
	}
	before, start := used(), time.Now()
	s, err := p.run(j)
	if err != nil {
		return fmt.Errorf("%s %s: %w", j.Peer, j.Op, err)
	}
	if s == nil {
		s = sample{}
	}
	s[colSeconds.name] = time.Since(start).Seconds()
	s[colCPU.name] = (used() - before).Seconds()
	if s[colPeak.name], err = peak(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(s)
}

// used is the processor time of this process and of those that it waited for.
func used() time.Duration {
	var d time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			d += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return d
}

// peak is the most memory that this process had, in MiB.
func peak() (float64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 64)
	return kib / 1024, err
}

// pump copies as most callers do: 256 KiB at a time, without short cuts.
func pump(w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 256<<10))
}

// feed copies the state to w.
func (j job) feed(w io.Writer) error {
	for left := j.Size; left > 0; {
		f, err := os.Open(j.State)
		if err != nil {
			return err
		}
		n, err := pump(w, io.LimitReader(f, left))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if left -= n; n == 0 {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// drain reads a snapshot and makes sure that it is all there.
func (j job) drain(r io.Reader) error {
	n, err := pump(io.Discard, r)
	if err == nil && n != j.Size {
		err = fmt.Errorf("read %d bytes, want %d", n, j.Size)
	}
	return err
}
