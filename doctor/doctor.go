package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// Examine reads all of a node and says how it is, what its next open would do
// and, if it is damaged, which repair loses nothing. It changes nothing.
//
// Its error says that it could not finish: fault.ErrLocked for a node that
// runs, fault.ErrNotFound where there is none, fault.ErrUnsupported for a part
// that a newer version wrote. Damage is in the report.
func Examine(ctx context.Context, opts *Options) (*Report, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := o.locked(); err != nil {
		return nil, err
	}
	if err := o.there(); err != nil {
		return nil, err
	}
	e := examination{o: o}
	r, err := e.run(ctx)
	if err := errors.Join(err, e.clean()); err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	return r, nil
}

// Apply takes the steps of the report's repair on the node, after a copy of
// every file that they change or remove was made durable; it returns where
// those are. After an error the node is as the steps before left it, which
// Examine tells.
func Apply(ctx context.Context, opts *Options, r *Report) (kept []string, err error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if r.State != Repairable {
		return nil, fmt.Errorf("doctor: the node is %s, there is no repair: %w", r.State, fault.ErrInvalid)
	}
	var locks []io.Closer
	defer func() {
		for _, l := range locks {
			err = errors.Join(err, l.Close())
		}
	}()
	suffix := ".doctor-" + o.Now().UTC().Format("20060102T150405Z")
	layers := o.dirs()
	for _, name := range o.Locks { // nobody starts the node meanwhile
		l, err := o.FS.Lock(name)
		if errors.Is(err, vfs.ErrLocked) {
			return nil, fmt.Errorf("doctor: the node runs: %w: %w", err, fault.ErrLocked)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // nor has it a directory to be locked
		}
		if err != nil {
			return nil, fmt.Errorf("doctor: %w", err)
		}
		locks = append(locks, l)
	}
	steps := r.Repair
	for len(steps) > 0 && steps[0].act.aside != "" { // names only: no part is opened for it
		if err := setAside(o.FS, steps[0].act.aside, steps[0].act.aside+suffix); err != nil {
			return nil, fmt.Errorf("doctor: %s: %w", steps[0].Do, err)
		}
		steps = steps[1:]
	}
	for _, l := range locks {
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("doctor: %w", err)
		}
	}
	locks = nil
	if _, err := repair(ctx, o, newSaver(o.FS, copyAside(o.FS, layers, suffix)), suffix, steps); err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	for _, dir := range layers {
		if _, err := o.FS.Stat(dir + suffix); err == nil {
			kept = append(kept, dir+suffix)
		}
	}
	return kept, nil
}

// there refuses a tree in which no layer is.
func (o *Options) there() error {
	for _, dir := range o.dirs() {
		info, err := o.FS.Stat(dir)
		if err == nil && info.Dir {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	return fmt.Errorf("doctor: no node here: no directory %s: %w", strings.Join(o.dirs(), ", nor "), fault.ErrNotFound)
}

// examination is what Examine does, on one overlay after another.
type examination struct {
	o *Options
	n int // overlays that were made
}

func (e *examination) run(ctx context.Context) (*Report, error) {
	base, err := e.overlay()
	if err != nil {
		return nil, err
	}
	f, err := look(ctx, e.o, base)
	if err != nil {
		return nil, err
	}
	r := &Report{
		Parts: f.parts(e.o), Checks: f.checks(), Lost: f.lost(),
		Repair: []Step{}, Advice: []string{}, Touched: []string{},
	}
	recovered, refused, err := e.rehearseOpen(ctx)
	if err != nil {
		return nil, err
	}
	r.Opening, r.State = opening(recovered, refused), Sound
	if len(r.Opening) > 0 {
		r.State = Recovers
	}
	if refused == nil && !r.broken() {
		return r, nil
	}
	return r, e.mend(ctx, f, r)
}

func (r *Report) broken() bool {
	for _, c := range r.Checks {
		if c.State == Broken {
			return true
		}
	}
	return false
}

// mend finds a repair, and puts it into the report if a rehearsal succeeds.
func (e *examination) mend(ctx context.Context, f *findings, r *Report) error {
	r.State = Beyond
	steps, no := f.plan(e.o)
	if no == "" {
		touched, after, failed, err := e.rehearse(ctx, steps)
		switch {
		case err != nil:
			return err
		case failed == nil && after.broken() == "":
			r.State, r.Repair, r.Touched, r.After = Repairable, steps, touched, after.outcome()
			return nil
		case failed != nil:
			no = "a rehearsal of the repair failed: " + failed.Error()
		default:
			no = "a rehearsal of the repair left this broken: " + after.broken()
		}
	}
	r.Advice = advice(no, f)
	return nil
}

// broken is the first invariant that does not hold, and why.
func (f *findings) broken() string {
	for _, c := range f.checks() {
		if c.State == Broken {
			return c.Rule + ": " + c.Found
		}
	}
	return ""
}

func (f *findings) outcome() string {
	s := fmt.Sprintf("it opened, with %d rows, applied up to %d", f.data.rows, f.data.mark.Index)
	if last := f.log.bounds.Last; last > f.data.mark.Index {
		s += fmt.Sprintf("; the log has entries %d to %d, which the node applies as far as they are committed", f.data.mark.Index+1, last)
	}
	return s
}

// rehearseOpen opens the node as it is. refused is why that failed.
func (e *examination) rehearseOpen(ctx context.Context) (r trimaran.Report, refused, err error) {
	fsys, err := e.overlay()
	if err != nil {
		return r, nil, err
	}
	r, refused = repair(ctx, e.o, fsys, "", []Step{{Do: "open the node", act: action{open: true}}})
	return r, refused, notDamage(ctx, refused)
}

// rehearse takes the steps of a repair, and looks at what comes of it.
func (e *examination) rehearse(ctx context.Context, steps []Step) (touched []string, after *findings, failed, err error) {
	fsys, err := e.overlay()
	if err != nil {
		return nil, nil, nil, err
	}
	touches := newSaver(fsys, func(string) error { return nil })
	if _, failed = repair(ctx, e.o, touches, ".doctor", steps); failed != nil {
		return nil, nil, failed, notDamage(ctx, failed)
	}
	after, err = look(ctx, e.o, fsys)
	return touches.s.names(), after, nil, err
}

// overlay is the node, to be done with as one likes.
func (e *examination) overlay() (vfs.FS, error) {
	e.n++
	name := strconv.Itoa(e.n)
	if err := e.o.Scratch.Mkdir(name); err != nil {
		return nil, err
	}
	scratch, err := e.o.Scratch.Sub(name)
	if err != nil {
		return nil, err
	}
	return vfs.Overlay(e.o.FS, scratch, e.o.dirs()...)
}

// clean removes what the overlays wrote.
func (e *examination) clean() (err error) {
	for i := range e.n {
		err = errors.Join(err, vfs.RemoveAll(e.o.Scratch, strconv.Itoa(i+1)))
	}
	return err
}
