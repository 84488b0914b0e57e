package doctor_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/doctor"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// The files of the two snapshots.
const (
	oldest = "snapshots/*-0000000000000014-*"
	newest = "snapshots/*-0000000000000028-*"
)

// damages are things that happen to nodes.
var damages = []struct {
	name   string
	do     func(d *disk)
	want   doctor.State
	broken string // in what the first broken invariant says, or in how the open went
	steps  string // what the repair does, in order
}{
	{"none", func(*disk) {}, doctor.Sound, "", ""},
	{"stray files", func(d *disk) {
		for _, name := range []string{"log/x.tmp", "snapshots/.pending-7", "data/x.tmp"} {
			d.check(vfs.WriteFile(d.fs, name, []byte("left behind")))
		}
	}, doctor.Sound, "", ""},
	{"killed", killed, doctor.Sound, "", ""},
	{"killed in a restore", killedInRestore, doctor.Recovers, "finishes a restore of index 100", ""},
	{"data gone", func(d *disk) { d.remove("data") }, doctor.Recovers, "restores snapshot", ""},
	{"newest snapshot damaged", func(d *disk) { d.flip(d.one(newest), 300) },
		doctor.Repairable, "the snapshots open", "remove, open, take"},
	{"newest snapshot cut", func(d *disk) { d.cut(d.one(newest), 100) },
		doctor.Repairable, "the snapshots open", "remove, open, take"},
	{"all snapshots damaged", damageSnapshots, doctor.Repairable, "the snapshots open", "remove, remove, open, take"},
	{"snapshots gone", func(d *disk) { d.remove("snapshots") }, doctor.Repairable, "a whole snapshot reaches", "open, take"},
	{"snapshots of another node", func(d *disk) { d.copy(newDisk(d.t, 9), "snapshots") },
		doctor.Repairable, "the snapshots belong to node", "set the snapshots, open, take"},
	{"data says nothing", func(d *disk) { d.flip("data/GENERATION", 20) }, doctor.Repairable, "the data opens", "set the data, open"},
	{"data without a file", func(d *disk) { d.remove("data/GENERATION") }, doctor.Repairable, "the data opens", "set the data, open"},
	{"data table damaged", func(d *disk) {
		for _, name := range d.match("data/gen-00000001/*.sst") {
			d.flip(name, 30)
		}
	}, doctor.Repairable, "the data opens", "set the data, open"},
	{"data manifest damaged", func(d *disk) { d.flip(d.one("data/gen-00000001/MANIFEST-*"), 20) }, doctor.Repairable, "the data opens", "set the data, open"},
	{"data of another node", func(d *disk) { d.copy(newDisk(d.t, 9), "data") }, doctor.Repairable, "the data belong to node", "set the data, open"},
	{"data from a backup", func(d *disk) { older(d, "data") }, doctor.Repairable, "the data are of epoch 1", "set the data, open"},
	{"snapshots from a backup", func(d *disk) { older(d, "snapshots") }, doctor.Repairable, "the snapshots are of epoch 1", "set the snapshots, open, take"},
	{"data and newest snapshot damaged", func(d *disk) {
		d.remove("data/GENERATION")
		d.flip(d.one(newest), 300)
	}, doctor.Repairable, "the snapshots open", "set the data, remove, open"},
	{"applied entry damaged", func(d *disk) { d.flipEntry(30) }, doctor.Repairable, "every entry of it verifies", "open, compact the log up to 30"},
	{"applied entries damaged behind no snapshot", func(d *disk) { d.flipEntry(43); d.flipEntry(50) },
		doctor.Repairable, "every entry of it verifies", "open, take, compact the log up to 50"},
	{"newest applied entry damaged", func(d *disk) { d.flipEntry(applied) },
		doctor.Repairable, "entry 60 cannot be read", "open, take, compact the log up to 60, begin a new segment"},
	{"checkpoint damaged", func(d *disk) {
		all := d.match("log/0*.seg")
		d.flip(all[len(all)-1], 100)
	}, doctor.Repairable, "after a crash the log could not be opened", "open, begin a new segment"},
	{"entry damaged that is not applied", func(d *disk) { d.flipEntry(last) }, doctor.Beyond, "entry 64 of the log is damaged and not applied here", ""},
	{"data and an entry in the snapshot damaged", func(d *disk) { d.remove("data/GENERATION"); d.flipEntry(30) },
		doctor.Repairable, "every entry of it verifies", "set the data, open, compact the log up to 30"},

	{"data and an entry after the snapshot damaged", func(d *disk) { d.remove("data/GENERATION"); d.flipEntry(50) },
		doctor.Beyond, "damaged at entry 50", ""},
	{"data and all snapshots damaged", func(d *disk) { d.remove("data/GENERATION"); damageSnapshots(d) },
		doctor.Beyond, "nothing holds what the entries up to 20 did", ""},
	{"data and snapshots gone", func(d *disk) { d.remove("data"); d.remove("snapshots") },
		doctor.Beyond, "nothing that is here holds what the compacted entries did", ""},
	{"log gone", func(d *disk) { d.remove("log") }, doctor.Beyond, "it was replaced or lost", ""},
	{"log of another node", func(d *disk) { d.copy(newDisk(d.t, 9), "log") }, doctor.Beyond, "the log belongs to node", ""},
	{"log from a backup", func(d *disk) { older(d, "log") }, doctor.Beyond, "the log is of epoch 1", ""},
	{"last segment gone", func(d *disk) {
		all := d.match("log/0*.seg")
		d.remove(all[len(all)-1])
	}, doctor.Beyond, "the log cannot be opened", ""},
	{"segment header damaged", func(d *disk) {
		all := d.match("log/0*.seg")
		d.flip(all[len(all)-1], 10)
	}, doctor.Beyond, "the log cannot be opened", ""},
	{"stored term behind", func(d *disk) {
		s := d.open()
		d.check(s.Log().Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: termKey, Value: binary.BigEndian.AppendUint64(nil, 1)}}}))
		d.check(s.Close())
	}, doctor.Beyond, "the stored term is 1, the last entry's 2", ""},
}

// Each damage has its verdict; looking changes nothing; a repair leaves a node
// that opens with all that it had, and keeps every byte that it replaced.
func TestDamages(t *testing.T) {
	whole := content(newDisk(t, 1))
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk(t, 1)
			c.do(d)
			before := d.files(".")
			r, err := doctor.Examine(t.Context(), d.options())
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(d.files("."), before) {
				t.Error("Examine changed the node")
			}
			if said := strings.Join(all(r), "\n"); r.State != c.want || !strings.Contains(said, c.broken) {
				t.Fatalf("state %s, want %s and %q in:\n%s", r.State, c.want, c.broken, said)
			}
			checkSteps(t, r, c.steps)
			if r.State == doctor.Beyond {
				if _, err := doctor.Apply(t.Context(), d.options(), r); !errors.Is(err, fault.ErrInvalid) || !maps.Equal(d.files("."), before) {
					t.Errorf("Apply = %v, want that there is nothing to apply, and no change", err)
				}
				return
			}
			if r.State == doctor.Repairable {
				mend(t, d, r, before)
			}
			if got := content(d); c.name != "killed in a restore" && got != whole {
				t.Errorf("the node has\n%s\nwant\n%s", got, whole)
			}
		})
	}
}

// all is what a report says.
func all(r *doctor.Report) (lines []string) {
	for _, c := range r.Checks {
		if c.State != doctor.Holds {
			lines = append(lines, string(c.State)+": "+c.Rule+": "+c.Found)
		}
	}
	lines = slices.Concat(lines, r.Opening, r.Advice)
	for _, s := range r.Repair {
		lines = append(lines, s.Do)
	}
	return lines
}

func checkSteps(t *testing.T, r *doctor.Report, want string) {
	t.Helper()
	var steps []string
	if want != "" {
		steps = strings.Split(want, ", ")
	}
	if !slices.EqualFunc(r.Repair, steps, func(s doctor.Step, want string) bool { return strings.HasPrefix(s.Do, want) }) {
		t.Fatalf("steps are %v, want %s", r.Repair, want)
	}
}

func mend(t *testing.T, d *disk, r *doctor.Report, before map[string]string) {
	t.Helper()
	kept, err := doctor.Apply(t.Context(), d.options(), r)
	if err != nil {
		t.Fatal(err)
	}
	now := d.files(".")
	for name, content := range before {
		layer, below, _ := strings.Cut(name, "/")
		aside := layer + ".doctor-19700101T000000Z"
		if now[name] != content && (now[aside+"/"+below] != content || !slices.Contains(kept, aside)) {
			t.Errorf("%s changed, and is not kept; kept are %v", name, kept)
		}
	}
	again, err := doctor.Examine(t.Context(), d.options())
	if err != nil || again.State != doctor.Sound {
		t.Fatalf("after the repair: %v, %v", again, err)
	}
}

// content opens a node, replays what it lacks, and says what it has.
func content(d *disk) string {
	d.t.Helper()
	s := d.open()
	mark, err := s.KV().Mark(d.t.Context())
	d.check(err)
	if mark.Index < applied {
		for e, err := range s.Log().Entries(mark.Index+1, applied+1) {
			d.check(err)
			if want := entry(e.Index); string(e.Data) != string(want.Data) {
				d.t.Fatalf("entry %d of the log is %q", e.Index, e.Data)
			}
		}
		d.check(apply(d.t.Context(), s, mark.Index+1, applied+1))
	}
	digest, err := s.KV().Digest(d.t.Context(), kv.Range{})
	d.check(err)
	b, err := s.Log().Bounds()
	d.check(err)
	d.check(s.Close())
	return fmt.Sprint(digest, b.Last, b.LastTerm)
}

// killed leaves the node as a crash does: nothing is closed.
func killed(d *disk) {
	c := d.clone()
	s := c.open()
	c.check(s.Log().Append(entry(last + 1)))
	crashed := c.clone()
	c.check(s.Close())
	d.fs = crashed.fs
	s = d.open()
	d.check(s.Log().TruncateFrom(last + 1))
	crashed = d.clone()
	d.check(s.Close())
	d.fs = crashed.fs
}

// killedInRestore leaves a node whose data is the state at 100, and whose log
// does not follow.
func killedInRestore(d *disk) {
	other := newDisk(d.t, 9)
	s := other.open()
	other.write(s, last+1, 101)
	other.check(apply(d.t.Context(), s, applied+1, 101))
	meta, err := s.Snapshot(d.t.Context(), 0)
	other.check(err)
	container, err := s.Snapshots().Stream(d.t.Context(), meta.ID)
	other.check(err)
	b, err := io.ReadAll(container)
	other.check(errors.Join(err, container.Close(), s.Close()))

	s = d.open()
	meta, err = s.Snapshots().Install(d.t.Context(), strings.NewReader(string(b)), nil)
	d.check(err)
	r, err := s.Snapshots().Open(d.t.Context(), meta.ID)
	d.check(err)
	p, err := s.BeginRestore(d.t.Context(), meta.Info, &trimaran.RestoreOptions{Force: true})
	d.check(err)
	d.check(p.Load(d.t.Context(), r))
	d.check(p.Switch(d.t.Context()))
	d.check(errors.Join(r.Close(), p.Abort(), s.Close()))
}

func damageSnapshots(d *disk) {
	for _, name := range append(d.match(oldest), d.match(newest)...) {
		d.flip(name, 300)
	}
}

// older brings back a layer as it was before the last open.
func older(d *disk, dir string) {
	backup := d.clone()
	d.check(d.open().Close())
	d.copy(backup, dir)
}

func (d *disk) cut(name string, n int64) {
	d.t.Helper()
	f, err := d.fs.OpenWrite(name)
	d.check(err)
	size, err := f.Size()
	d.check(err)
	d.check(f.Truncate(size - n))
	d.check(f.Close())
}

func TestNodeThatRuns(t *testing.T) {
	d := newDisk(t, 1)
	s := d.open()
	if _, err := doctor.Examine(t.Context(), d.options()); !errors.Is(err, fault.ErrLocked) {
		t.Errorf("Examine = %v, want that it runs", err)
	}
	d.check(s.Close())
	d.remove("snapshots")
	r, err := doctor.Examine(t.Context(), d.options())
	d.check(err)
	d.check(vfs.MkdirAll(d.fs, "snapshots"))
	l, err := d.fs.Lock("data/LOCK")
	d.check(err)
	before := d.files(".")
	if _, err := doctor.Apply(t.Context(), d.options(), r); !errors.Is(err, fault.ErrLocked) || !maps.Equal(d.files("."), before) {
		t.Errorf("Apply = %v, want that it runs, and no change", err)
	}
	d.check(l.Close())
}

func TestNoNode(t *testing.T) {
	d := &disk{t, vfs.NewMem(), 1}
	if _, err := doctor.Examine(t.Context(), d.options()); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Examine = %v, want that there is none", err)
	}
	if _, err := doctor.Examine(t.Context(), &doctor.Options{}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Examine without options = %v", err)
	}
}
