package crashtest_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// all tries every call that can fail, in every way.
func all() *crashtest.Options { return &crashtest.Options{Faults: -1, Stride: 1} }

func TestCampaignPassesACorrectStore(t *testing.T) {
	r, err := crashtest.Run(t.Context(), all(), toyWorkload(bugs{}))
	t.Log(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Distinct < 300 || r.Nested == 0 || r.Kills == 0 || r.Faulty == 0 || r.Checks < r.Distinct || r.Rounds != 1 {
		t.Errorf("did too little: %+v", r)
	}
}

func TestCampaignCatchesEachBug(t *testing.T) {
	for name, b := range map[string]bugs{
		"no sync of the directory": {noSyncDir: true},
		"ack before sync":          {ackEarly: true},
		"ignores a failed sync":    {ignoreSync: true},
		"repeats a failed sync":    {retrySync: true},
		"trusts the length":        {trustLength: true},
		"keeps the tail":           {keepTail: true},
		"pointer before the sync":  {pointFirst: true},
		"pointer in place":         {rawPointer: true},
		"resurrects":               {resurrect: true},
		"panics":                   {panics: true},
		"recovery in place":        {unpoints: true},
		"extends without sync":     {extendUnsaved: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := all()
			o.Save = vfs.NewMem()
			_, err := crashtest.Run(t.Context(), o, toyWorkload(b))
			var f, again *crashtest.Failure
			if !errors.As(err, &f) {
				t.Fatalf("got %v, want a failure", err)
			}
			t.Log(f)
			if b.unpoints && (len(f.Cuts) < 2 || f.Cuts[1].After != crashtest.AfterPart) {
				t.Errorf("cuts %v, want one within a recovery", f.Cuts)
			}
			if b.extendUnsaved && f.Stage != crashtest.StageKept {
				t.Errorf("stage %s", f.Stage)
			}
			for _, id := range []string{f.ID(), f.Saved} {
				err = crashtest.Replay(t.Context(), o, id, toyWorkload(b))
				if !errors.As(err, &again) || again.Digest != f.Digest || again.Seed != f.Seed || again.Stage != f.Stage || again.Want.String() != f.Want.String() {
					t.Errorf("replay %s: %v", id, err)
				}
			}
		})
	}
}

// Whatever the workers, a round is the same each time.
func TestCampaignRepeats(t *testing.T) {
	var first crashtest.Report
	for i, workers := range []int{1, 1, 2, 2} {
		o := &crashtest.Options{Seed: 3, Workers: workers, Stride: 1}
		r, err := crashtest.Run(t.Context(), o, toyWorkload(bugs{}))
		if err != nil {
			t.Fatal(err)
		}
		r.Took = 0
		if i == 0 {
			first = r
		}
		if r != first {
			t.Errorf("run %d with %d workers: %+v, the first was %+v", i, workers, r, first)
		}
	}
}

// With one worker the first failure is the same one too.
func TestFailureRepeats(t *testing.T) {
	var ids [2]string
	for i := range ids {
		o := all()
		o.Workers = 1
		_, err := crashtest.Run(t.Context(), o, toyWorkload(bugs{keepTail: true}))
		var f *crashtest.Failure
		if !errors.As(err, &f) {
			t.Fatal(err)
		}
		ids[i] = f.ID()
	}
	if ids[0] != ids[1] {
		t.Errorf("failures %s and %s", ids[0], ids[1])
	}
}

func TestCampaignEnds(t *testing.T) {
	t.Run("with enough images", func(t *testing.T) {
		r, err := crashtest.Run(t.Context(), &crashtest.Options{States: 2000, Stride: 1}, toyWorkload(bugs{}))
		if err != nil || r.Distinct < 2000 || r.Rounds < 2 {
			t.Errorf("%v %+v", err, r)
		}
	})
	t.Run("when there are no more images", func(t *testing.T) {
		empty := crashtest.Workload{Name: "empty", New: func(uint64) crashtest.Script { return nothing{} }}
		_, err := crashtest.Run(t.Context(), &crashtest.Options{States: 2, Stride: 1}, empty)
		if err == nil || !strings.Contains(err.Error(), "there are 1, not 2") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("after some time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, err := crashtest.Run(t.Context(), &crashtest.Options{Time: time.Minute, Stride: 1}, slow(time.Second))
			if err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := toyWorkload(bugs{})
		made := 0
		inner := w.New
		w.New = func(seed uint64) crashtest.Script {
			if made++; made == 3 {
				cancel()
			}
			return inner(seed)
		}
		_, err := crashtest.Run(ctx, &crashtest.Options{States: 1e9, Workers: 1, Stride: 1}, w)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// nothing does nothing.
type nothing struct{}

func (nothing) Run(vfs.FS, *crashtest.Recorder) error       { return nil }
func (nothing) Check(vfs.FS, crashtest.Expect) (int, error) { return 0, nil }
func (nothing) Extend(vfs.FS, int) error                    { return crashtest.ErrNoExtension }

// slow is a toy whose calls take so long.
func slow(d time.Duration) crashtest.Workload {
	w := toyWorkload(bugs{})
	inner := w.New
	w.New = func(seed uint64) crashtest.Script {
		s := inner(seed).(*script)
		s.hook = func() { time.Sleep(d) }
		return s
	}
	return w
}

func TestProgressIsForTerminals(t *testing.T) {
	for mode, want := range map[fs.FileMode]bool{fs.ModeDevice | fs.ModeCharDevice: true, 0: false} {
		synctest.Test(t, func(t *testing.T) {
			term := &terminal{mode: mode}
			_, err := crashtest.Run(t.Context(), &crashtest.Options{Time: 20 * time.Second, States: 1e6, Output: term, Stride: 1}, slow(300*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			got := term.b.String()
			if shown := strings.Contains(got, " of 1000000 disk images, ") && strings.Contains(got, "s left") && strings.HasSuffix(got, "\r\x1b[K"); shown != want {
				t.Errorf("mode %v: wrote %q", mode, got)
			}
		})
	}
}

// terminal is an output that says what it is.
type terminal struct {
	fs.FileInfo
	mode fs.FileMode
	b    strings.Builder
}

func (t *terminal) Write(p []byte) (int, error) { return t.b.Write(p) }
func (t *terminal) Stat() (fs.FileInfo, error)  { return t, nil }
func (t *terminal) Mode() fs.FileMode           { return t.mode }

// A state of one script says nothing about a state of another, though it has
// the same number and the disk is the same. The campaign once asked only the
// first of them.
func TestEachScriptIsAsked(t *testing.T) {
	lost := crashtest.Workload{Name: "lost", New: func(uint64) crashtest.Script { return complains{} }}
	empty := crashtest.Workload{Name: "empty", New: func(uint64) crashtest.Script { return nothing{} }}
	_, err := crashtest.Run(t.Context(), &crashtest.Options{Workers: 1, Stride: 1}, empty, lost)
	var f *crashtest.Failure
	if !errors.As(err, &f) || f.Workload != "lost" {
		t.Errorf("got %v, want a failure of the second workload", err)
	}
}

type complains struct{ nothing }

func (complains) Check(vfs.FS, crashtest.Expect) (int, error) { return 0, errors.New("lost") }

// An acknowledgement of what was never begun would be forgotten, and its loss
// with it.
func TestAckNeedsBegin(t *testing.T) {
	w := crashtest.Workload{Name: "w", New: func(uint64) crashtest.Script { return acksTooMuch{} }}
	_, err := crashtest.Run(t.Context(), nil, w)
	var f *crashtest.Failure
	if !errors.As(err, &f) || f.Stage != crashtest.StageRun {
		t.Errorf("got %v, want a failure of the run", err)
	}
	if err := crashtest.Replay(t.Context(), nil, f.ID(), w); err == nil {
		t.Error("the failure of a run does not replay")
	}
}

type acksTooMuch struct{ nothing }

func (acksTooMuch) Run(_ vfs.FS, r *crashtest.Recorder) error { r.Ack(7); return nil }

// After Refuse only the state that it names is allowed; before, both are.
func TestRefuse(t *testing.T) {
	for undo, want := range map[bool]bool{true: true, false: false} {
		w := crashtest.Workload{Name: "refuses", New: func(uint64) crashtest.Script { return refuses{undo: undo} }}
		_, err := crashtest.Run(t.Context(), &crashtest.Options{Stride: 1}, w)
		if _, failed := errors.AsType[*crashtest.Failure](err); failed == want {
			t.Errorf("undo %v: %v", undo, err)
		}
	}
}

// refuses makes a file and takes it back, or does not.
type refuses struct {
	nothing
	undo bool
}

func (s refuses) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	r.Begin(1)
	err := vfs.WriteFile(fsys, "f", nil)
	if s.undo {
		err = errors.Join(err, fsys.Remove("f"), fsys.SyncDir("."))
	}
	r.Refuse(0)
	return err
}

func (s refuses) Check(fsys vfs.FS, want crashtest.Expect) (int, error) {
	_, err := fsys.Stat("f")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return 1, errors.Join(err, fsys.SyncDir("."))
}

// Each call that can fail does, once and for ever.
func TestFaults(t *testing.T) {
	runs := map[string]int{}
	w := crashtest.Workload{Name: "counts", Faults: true, New: func(uint64) crashtest.Script { return counts{runs: runs} }}
	o := all()
	o.Workers = 1
	if _, err := crashtest.Run(t.Context(), o, w); err != nil {
		t.Fatal(err)
	}
	// Each line is what came of a mkdir, a syncdir and a remove. Two runs have no
	// fault: that of the crashes and that which counts the calls. A mkdir fails
	// with EIO or ENOSPC, and the remove after it; only EIO fails a syncdir too.
	want := map[string]int{"...": 2, "x.x": 3, "xxx": 1, ".x.": 1, ".xx": 1, "..x": 2}
	if !maps.Equal(runs, want) {
		t.Errorf("runs %v, want %v", runs, want)
	}
}

// counts notes which of its calls fail.
type counts struct {
	nothing
	runs map[string]int
}

func (s counts) Run(fsys vfs.FS, _ *crashtest.Recorder) error {
	line := ""
	for _, err := range []error{fsys.Mkdir("d"), fsys.SyncDir("."), fsys.Remove("d")} {
		if err == nil {
			line += "."
		} else {
			line += "x"
		}
	}
	s.runs[line]++
	return nil
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := crashtest.Run(t.Context(), &crashtest.Options{Only: "("}, toyWorkload(bugs{})); err == nil {
		t.Error("a bad expression is taken")
	}
	if _, err := crashtest.Run(t.Context(), &crashtest.Options{Only: "other"}, toyWorkload(bugs{})); err == nil {
		t.Error("no workload is left, and nobody says so")
	}
	r, err := crashtest.Run(t.Context(), &crashtest.Options{Only: "^t", Samples: -1, Depth: -1, Stride: 1}, toyWorkload(bugs{}), crashtest.Workload{Name: "other"})
	if err != nil || r.Nested != 0 || r.Kills == 0 {
		t.Errorf("%v %+v", err, r)
	}
}

func TestBadIDs(t *testing.T) {
	for _, id := range []string{
		"",
		"toy",
		"toy/x/none/1:all/open/0",
		"toy/1/what/1:all/open/0",
		"toy/1/0:eio:once/1:all/open/0",
		"toy/1/1:fire:once/1:all/open/0",
		"toy/1/none/all/open/0",
		"toy/1/none/-1:all/open/0",
		"toy/1/none/1:most/open/0",
		"toy/1/none/1:nth:x/open/0",
		"toy/1/none/1:all/later/0",
		"toy/1/none/1:all/open/zz",
		"toy/1/none/open/0",
		"toy/1/none/1:all/open/0",
		"toy/1/none/9999:all/open/0",
		"other/1/none/1:all/open/0",
	} {
		var f *crashtest.Failure
		if err := crashtest.Replay(t.Context(), nil, id, toyWorkload(bugs{})); err == nil || errors.As(err, &f) {
			t.Errorf("replay %q: %v", id, err)
		}
	}
}
