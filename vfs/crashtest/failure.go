package crashtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Failure is a disk image on which a store did not keep its word, and how the
// disk came to it.
type Failure struct {
	Workload string
	Seed     uint64
	Fault    Fault    // the call that failed, if one did
	Cuts     []Cut    // the crashes, each within the recovery from the one before
	Stage    Stage    // what failed
	Digest   uint64   // of the image
	Want     Expect   // what was allowed
	Ops      []string // the operations before the last crash, the last 20 of them
	Err      error
	Saved    string // file with the history, in Options.Save

	disk *simdisk.Disk // whose last cut made the image; nil if Run failed
}

// Stage is what a campaign was doing when something failed.
type Stage string

// The stages, in the order in which they come.
const (
	StageRun    Stage = "run"    // playing the script
	StageOpen   Stage = "open"   // opening what the crash left
	StageAgain  Stage = "again"  // opening a second time
	StageExtend Stage = "extend" // going on
	StageKept   Stage = "kept"   // opening after that
)

// Cut is a crash after the first Ops operations of a disk.
type Cut struct {
	Ops    int
	Choice simdisk.Choice
	Kill   bool // of the process alone
	After  After
}

// After is what was done on a disk before it was cut.
type After byte

// What may have been done before a cut.
const (
	AfterPart   After = ' ' // the script, or a part of what Check does
	AfterCheck  After = '+' // all that Check does
	AfterExtend After = 'x' // that, and all that Extend does
)

func (c Cut) String() string {
	choice := c.Choice.String()
	if c.Kill {
		choice = "kill"
	}
	return strings.TrimSpace(string(rune(c.After))) + strconv.Itoa(c.Ops) + ":" + choice
}

func parseCut(s string) (c Cut, err error) {
	c.After = AfterPart
	if s != "" && strings.ContainsRune("+x", rune(s[0])) {
		c.After, s = After(s[0]), s[1:]
	}
	ops, choice, _ := strings.Cut(s, ":")
	if c.Ops, err = strconv.Atoi(ops); err != nil || c.Ops < 0 {
		return c, fmt.Errorf("cut %q: want OPS:CHOICE", s)
	}
	if choice == "kill" {
		c.Kill = true
		return c, nil
	}
	c.Choice, err = simdisk.ParseChoice(choice)
	return c, err
}

// ID names the failure for Replay.
func (f *Failure) ID() string {
	parts := []string{f.Workload, strconv.FormatUint(f.Seed, 10), f.Fault.String()}
	for _, c := range f.Cuts {
		parts = append(parts, c.String())
	}
	return strings.Join(append(parts, string(f.Stage), fmt.Sprintf("%016x", f.Digest)), "/")
}

func parseID(id string) (*Failure, error) {
	parts := strings.Split(id, "/")
	if len(parts) < 5 {
		return nil, fmt.Errorf("failure %q: want WORKLOAD/SEED/FAULT/CUT.../STAGE/DIGEST", id)
	}
	f := &Failure{Workload: parts[0], Stage: Stage(parts[len(parts)-2])}
	var err error
	if stageSays[f.Stage] == "" {
		return nil, fmt.Errorf("failure %q: unknown stage %q", id, f.Stage)
	}
	if f.Seed, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return nil, fmt.Errorf("failure %q: seed: %w", id, err)
	}
	if f.Fault, err = parseFault(parts[2]); err != nil {
		return nil, fmt.Errorf("failure %q: %w", id, err)
	}
	if f.Digest, err = strconv.ParseUint(parts[len(parts)-1], 16, 64); err != nil {
		return nil, fmt.Errorf("failure %q: digest: %w", id, err)
	}
	for _, s := range parts[3 : len(parts)-2] {
		c, err := parseCut(s)
		if err != nil {
			return nil, fmt.Errorf("failure %q: %w", id, err)
		}
		f.Cuts = append(f.Cuts, c)
	}
	return f, nil
}

func (f *Failure) Unwrap() error { return f.Err }

func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v\n", stageSays[f.Stage], f.Err)
	fmt.Fprintf(&b, "  workload %s, seed %d, failing call: %v\n", f.Workload, f.Seed, f.Fault)
	if f.Stage != StageRun {
		fmt.Fprintf(&b, "  crashes: %v; allowed: %v\n", f.Cuts, f.Want)
		fmt.Fprintf(&b, "  the last operations before the crash:\n")
		for _, op := range f.Ops {
			fmt.Fprintf(&b, "    %s\n", op)
		}
	}
	fmt.Fprintf(&b, "  replay with -crash.replay %s", f.ID())
	if f.Saved != "" {
		fmt.Fprintf(&b, "\n  or, with its history, with -crash.replay %s", f.Saved)
	}
	return b.String()
}

var stageSays = map[Stage]string{
	StageRun:    "play the script",
	StageOpen:   "open after the crash",
	StageAgain:  "open a second time",
	StageExtend: "go on after the crash",
	StageKept:   "open after going on",
}
