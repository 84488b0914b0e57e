package crashtest

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// savedFailure is what a file in Options.Save begins with; the history of the
// disk follows.
type savedFailure struct {
	Workload string
	Seed     uint64
	Fault    Fault
	Cuts     []Cut
	Stage    Stage
	Digest   uint64
	Want     Expect
}

// maxSaved bounds the file of a failure, in bytes.
const maxSaved = 1 << 30

// save writes the failure of the campaign, if it had one.
func (c *campaign) save() {
	var f *Failure
	if c.o.Save == nil || !errors.As(c.failed, &f) || f.disk == nil {
		return
	}
	name := fmt.Sprintf("%s-%d-%016x.crash", f.Workload, f.Seed, f.Digest)
	if err := f.save(c.o.Save, name); err != nil {
		c.failed = errors.Join(c.failed, fmt.Errorf("save the failure: %w", err))
		return
	}
	f.Saved = name
}

func (f *Failure) save(fsys vfs.FS, name string) error {
	var b bytes.Buffer
	head := savedFailure{f.Workload, f.Seed, f.Fault, f.Cuts, f.Stage, f.Digest, f.Want}
	if err := gob.NewEncoder(&b).Encode(head); err != nil {
		return err
	}
	if err := f.disk.Save(&b, f.Cuts[len(f.Cuts)-1].Ops); err != nil {
		return err
	}
	return vfs.WriteFile(fsys, name, b.Bytes())
}

// replaySaved looks at the image of a saved failure. The script is not played:
// the history is that of the file.
func (c *campaign) replaySaved(name string, ws []Workload) error {
	b, err := vfs.ReadFile(c.o.Save, name, maxSaved)
	if err != nil {
		return err
	}
	r := bytes.NewReader(b)
	var head savedFailure
	if err := gob.NewDecoder(r).Decode(&head); err != nil {
		return fmt.Errorf("replay %s: %w", name, err)
	}
	d, err := simdisk.Load(r)
	if err != nil {
		return fmt.Errorf("replay %s: %w", name, err)
	}
	w, err := find(ws, head.Workload)
	if err != nil {
		return err
	}
	p := &play{c: c, w: w, seed: head.Seed, fault: head.Fault, script: w.New(head.Seed)}
	f := &Failure{Cuts: head.Cuts, Stage: head.Stage, Digest: head.Digest, Want: head.Want}
	return p.finish(f, d)
}
