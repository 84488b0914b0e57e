package snaptest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// crashPlayer plays a script once.
type crashPlayer struct {
	*crashScript
	disk   vfs.FS
	r      *crashtest.Recorder
	rng    *rand.Rand
	now    time.Time // an hour later for each label
	opened uint64    // how often

	site   *site
	freeze func() // ends the process that has the site open
	ids    map[int]snapshot.ID
	set    int // what the disk has: what is listed, and what is hidden while it is held
	hidden int
	next   [2]int // the next label to write, and to get from elsewhere

	// Until the bucket is opened anew:
	unsure   bool // a removal or publication is durable or not
	littered bool // a file could not be removed

	readers []crashReader
	pins    []crashPin
	writers []crashWriter
	recv    *snapshot.Receiver
	half    int   // label that is being received, 0 if none is
	staged  []int // the chunks of it that were put
}

var (
	errSpent = errors.New("all labels are used") // ends a script
	errGone  = errors.New("the disk does not come back")
)

// Run implements crashtest.Script.
func (s *crashScript) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	p := &crashPlayer{
		crashScript: s, disk: fsys, r: r, now: crashEpoch,
		rng: rand.New(rand.NewPCG(s.seed, 0x9c)), next: [2]int{0, 1},
	}
	err := p.step((*crashPlayer).start)
	for i, step := range s.profile.steps(p.rng) {
		if err == nil {
			if err = p.step(step); err != nil && !errors.Is(err, errGone) && !errors.Is(err, errSpent) {
				err = fmt.Errorf("step %d: %w", i, err)
			}
		}
	}
	if p.site != nil {
		if cerr := p.close(); err == nil && !ofDisk(cerr) {
			err = cerr
		}
	}
	if errors.Is(err, errGone) || errors.Is(err, errSpent) {
		return nil
	}
	return err
}

// ofDisk reports that a call failed because the disk did.
func ofDisk(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, fault.ErrFull) || errors.Is(err, fault.ErrPoisoned)
}

// step takes one step. Where the disk failed a call, it is taken again, and has
// to succeed unless the disk still fails.
func (p *crashPlayer) step(fn func(*crashPlayer) error) error {
	err := fn(p)
	if !ofDisk(err) {
		return err
	}
	if err = p.recover(err); err == nil {
		err = fn(p)
	}
	if ofDisk(err) {
		if perr := p.probe(); perr != nil {
			return errGone
		}
		return fmt.Errorf("the disk works again, the store does not: %w", err)
	}
	return err
}

// probeFile is no file of the bucket.
const probeFile = "probe.tmp"

// probe writes to the disk what a large snapshot takes.
func (p *crashPlayer) probe() error {
	f, err := p.disk.Create(probeFile)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, 32<<10), 0)
	err = errors.Join(err, f.Sync(), f.Close())
	return errors.Join(err, p.disk.Remove(probeFile), p.disk.SyncDir("."))
}

// recover does what a user would after an error: gives up what was open, and
// opens anew where the bucket asks for it.
func (p *crashPlayer) recover(err error) error {
	if p.site == nil {
		return nil // it was about to be opened
	}
	cerr := p.letGo()
	if cerr != nil && !ofDisk(cerr) {
		return cerr
	}
	err = errors.Join(err, cerr)
	p.littered = p.littered || errors.Is(err, syscall.EIO) // a file that could not be removed stays until the next open
	if errors.Is(err, fault.ErrFull) && !p.littered {
		if err := p.freed(); err != nil {
			return err
		}
	}
	if !errors.Is(err, fault.ErrPoisoned) {
		return nil
	}
	if cerr := p.close(); cerr != nil && !ofDisk(cerr) {
		return cerr
	}
	err = p.start()
	if ofDisk(err) {
		err = p.start()
	}
	return err
}

// freed makes sure that what could not be finished takes no room.
func (p *crashPlayer) freed() error {
	got, err := p.site.left(p.disk)
	if err != nil {
		return err
	}
	objects := 0
	for _, err := range p.site.objects.List(context.Background()) {
		if err != nil {
			return err
		}
		objects++
	}
	want, err := p.cleanFiles(objects)
	if err == nil && got > want {
		err = fmt.Errorf("after ErrFull %d files are there, a clean bucket of %d objects has %d:%s", got, objects, want, filesOf(p.disk, "."))
	}
	return err
}

// start opens the store. What it then lists is durable.
func (p *crashPlayer) start() error {
	p.opened++
	fsys, freeze := crashtest.Freezable(p.disk)
	o := p.profile.options
	o.Now = func() time.Time { return p.now }
	site, err := openSite(p.open, fsys, p.seed<<8+p.opened, o)
	if err != nil {
		return err
	}
	p.site, p.freeze, p.hidden, p.littered = site, freeze, 0, false
	if p.set, p.ids, err = site.found(p.crashScript); err != nil {
		return err
	}
	p.unsure = false
	p.r.Refuse(p.set)
	return p.logged()
}

// logged returns what was logged.
func (p *crashPlayer) logged() error { return p.site.log.take() }

// close closes the store, which deletes what was removed while it was held.
func (p *crashPlayer) close() error {
	p.begin(0, p.hidden)
	err := errors.Join(p.site.Close(), p.logged(), p.site.staging.Close())
	p.unsure = p.unsure || err != nil
	if !p.unsure {
		p.set &^= p.hidden
		p.r.Refuse(p.set)
	}
	p.gone()
	return err
}

// reopen closes the store and opens it again, with the same in it.
func (p *crashPlayer) reopen() error {
	if p.site != nil {
		if err := p.close(); err != nil {
			return err
		}
	}
	return p.again()
}

// kill ends the process and begins another one.
func (p *crashPlayer) kill() error {
	if p.site != nil {
		p.freeze()
		_ = p.site.close() // it changes nothing any more
		p.gone()
	}
	return p.again()
}

func (p *crashPlayer) gone() {
	p.site, p.hidden = nil, 0
	p.readers, p.pins, p.writers, p.recv = nil, nil, nil, nil
}

func (p *crashPlayer) again() error {
	before, unsure := p.set, p.unsure
	err := p.start()
	if err == nil && p.set != before && !unsure && !p.site.Volatile() {
		err = fmt.Errorf("opened with state %d, want %d", p.set, before)
	}
	return err
}

// begin says that those may be removed, each on its own, and after add was
// published if that is anything.
func (p *crashPlayer) begin(add, gone int) {
	for sub := 0; ; sub = (sub - gone) & gone {
		if state := (p.set | add) &^ sub; state != p.set {
			p.r.Begin(state)
		}
		if sub == gone {
			return
		}
	}
}

// change makes a call that publishes add and may remove gone, and settles what
// came of it.
func (p *crashPlayer) change(add, gone int, call func() error) error {
	p.begin(add, gone)
	err := call()
	refused := errors.Is(err, fault.ErrFull) && !errors.Is(err, fault.ErrPoisoned)
	err = errors.Join(err, p.logged())
	before := p.set
	set, ids, ferr := p.site.found(p.crashScript)
	if ferr != nil {
		return errors.Join(ferr, err)
	}
	p.set, p.ids = set|p.hidden, ids
	came, went := p.set&^before, before&^p.set
	undone := add &^ p.set
	if add == 0 {
		undone = gone & p.set // by retention they may go, by a call they have to
	}
	switch {
	case came&^add != 0 || went&^gone != 0 || went != 0 && add&^p.set != 0 || set&p.hidden != 0 ||
		err == nil && undone != 0 || refused && came|went != 0:
		return fmt.Errorf("state %#x became %#x where %#x was to come and %#x may go, and the call = %v", before, p.set, add, gone, err)
	case errors.Is(err, fault.ErrPoisoned):
		p.unsure = true
	default:
		p.r.Refuse(p.set) // for good, whatever came of the call
	}
	return err
}

// publish makes a call that publishes label n, and maybe removes others by
// retention.
func (p *crashPlayer) publish(n int, call func() error) error {
	gone := 0
	if p.profile.retains() {
		gone = p.set &^ epochBits &^ p.hidden
	}
	return p.change(1<<n, gone, call)
}

// label returns the next one: which is 0 for those written here, 1 for those
// that come from elsewhere.
func (p *crashPlayer) label(which int) (n int, l *label, err error) {
	n = p.next[which]
	if n >= labels {
		return 0, nil, errSpent
	}
	p.next[which] += 2
	p.now = p.now.Add(time.Hour)
	return n, p.labels[n], nil
}
