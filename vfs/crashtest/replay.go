package crashtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Replay makes the image of a failure again and looks at it once more. id is
// that of the failure, or the name of its file in o.Save. The error is the
// *Failure, or says why the image could not be made again; nil means that the
// image is the same and the store keeps its word on it now.
func Replay(ctx context.Context, o *Options, id string, workloads ...Workload) error {
	c := newCampaign(ctx, o)
	if c.o.Save != nil {
		if _, err := c.o.Save.Stat(id); err == nil {
			return c.replaySaved(id, workloads)
		}
	}
	f, err := parseID(id)
	if err != nil {
		return err
	}
	w, err := find(workloads, f.Workload)
	if err != nil {
		return err
	}
	var hook func(vfs.Op) error
	if f.Fault.Call > 0 {
		hook = f.Fault.hook()
	}
	p, err := c.start(w, f.Seed, f.Fault, hook)
	if err != nil || f.Stage == StageRun {
		return err
	}
	return p.replay(f)
}

func find(ws []Workload, name string) (*Workload, error) {
	i := slices.IndexFunc(ws, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("replay: no workload is called %q", name)
	}
	return &ws[i], nil
}

// replay goes through the cuts as the campaign did.
func (p *play) replay(f *Failure) error {
	if len(f.Cuts) == 0 {
		return errors.New("replay: the failure has no cut")
	}
	from, want := p.d, p.rec.after(f.Cuts[0].Ops)
	var err error
	for i, cut := range f.Cuts {
		if i > 0 {
			if want, err = p.before(cut, from, want); err != nil {
				return fmt.Errorf("replay: before cut %v: %w", cut, err)
			}
		}
		if cut.Ops > from.Ops() {
			return fmt.Errorf("replay: %d operations were made, the cut is after %d", from.Ops(), cut.Ops)
		}
		if i == len(f.Cuts)-1 {
			f.Want = want
			return p.finish(f, from)
		}
		from, _ = cut.apply(from)
	}
	return nil
}

// before does on a disk what the campaign did before the cut, and returns what
// is allowed after it.
func (p *play) before(cut Cut, d *simdisk.Disk, want Expect) (Expect, error) {
	if cut.After == AfterExtend {
		went, err := p.goOn(d, want)
		if err == nil && !went {
			err = ErrNoExtension
		}
		want.Extended = true
		return want, err
	}
	found, err := p.check(d, want)
	if cut.After == AfterCheck {
		want = Expect{States: []int{found}}
	}
	return want, err
}

// apply returns what the cut leaves of the disk.
func (c Cut) apply(d *simdisk.Disk) (left *simdisk.Disk, digest uint64) {
	pt := d.Point(c.Ops)
	m := pt.Crash(c.Choice)
	if c.Kill {
		return pt.Kill(nil), m.Digest()
	}
	return m.Disk(nil), m.Digest()
}

// finish makes the last cut and does that which failed.
func (p *play) finish(f *Failure, from *simdisk.Disk) error {
	d, digest := f.Cuts[len(f.Cuts)-1].apply(from)
	if digest != f.Digest {
		return fmt.Errorf("replay: the image has digest %016x, that of the failure was %016x: the store or the script changed, or its goroutines do not repeat themselves", digest, f.Digest)
	}
	var err error
	if f.Stage == StageExtend {
		_, err = p.goOn(d, f.Want)
	} else {
		_, err = p.check(d, f.Want)
	}
	if err != nil {
		return p.failure(f.Stage, from, f.Cuts, digest, f.Want, err)
	}
	return nil
}
