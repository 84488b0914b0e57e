package seglog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Inspector reads a log without opening it: it takes no lock, and changes and
// makes no file. It says what the log was when Inspect looked. All methods may
// be called by several goroutines.
type Inspector struct {
	s      *Store // whose directory is read only; it is never written to
	spares []SegmentInfo
	live   bool
	holder int
}

// ErrMoved: a process writes to the log, and has given the file of a segment
// away since Inspect looked. Inspect again.
var ErrMoved = errors.New("the log has moved on since it was looked at")

// errNoLog says that Open would make a log here.
var errNoLog = fmt.Errorf("there is no log: %w", fs.ErrNotExist)

// How often Inspect looks at a log that changes meanwhile, and how long it
// waits in between.
const (
	lookTries = 200
	lookPause = time.Millisecond
)

// Inspect reads what the log in dir is: one that was closed, one that a process
// left behind when it died, or one that a process writes to. Of options only
// FS, IndexCache and Logger count.
//
// Of a log that nobody holds it finds what Open would find, and says in Info
// what Open would do about its end. Of one that somebody writes to it finds a
// state that the log was in between the call and the return: every write up to
// some write, the last of which may not be acknowledged yet, nor ever where the
// disk has no room for all of it and it is taken back; what SyncInterval
// and SyncNever still have in memory is not there. What looks like damage is
// damage only if it is seen again while no name changes.
//
// Errors to test for: fs.ErrNotExist where there is no log, nor a beginning of
// one; fs.ErrPermission; fault.ErrUnsupported for a newer format; and
// *fault.Corruption where Open would fail with it.
func Inspect(dir string, o *Options) (*Inspector, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("inspect log %s: %w", dir, err)
	}
	opts.Sync, opts.TailCache = SyncBatch, -1
	var before error
	for range lookTries {
		i, still, err := look(dir, opts)
		if err == nil {
			return i, nil
		}
		if !mayPass(err) || still && sameFinding(before, err) {
			return nil, fmt.Errorf("inspect log %s: %w", dir, err)
		}
		if before = err; !still {
			before = nil
		}
		time.Sleep(lookPause)
	}
	return nil, fmt.Errorf("inspect log %s: it changes faster than it can be read", dir)
}

// mayPass reports whether another look may find something else, because
// somebody writes to the log.
func mayPass(err error) bool {
	return !errors.Is(err, errNoLog) && (errors.Is(err, fault.ErrCorrupt) || errors.Is(err, errVanished))
}

// errVanished says that a file was listed and is not there.
var errVanished = errors.New("a file is gone since it was listed")

func sameFinding(a, b error) bool {
	x, ok := errors.AsType[*fault.Corruption](a)
	y, also := errors.AsType[*fault.Corruption](b)
	if ok && also {
		return x.Path == y.Path && x.Offset == y.Offset
	}
	return errors.Is(a, errVanished) && errors.Is(b, errVanished)
}

// look reads the log once. still says that the names were the same when it was
// done.
func look(dir string, o Options) (_ *Inspector, still bool, err error) {
	root, err := atReadOnly(o.FS, dir)
	if err != nil {
		return nil, false, err
	}
	i := &Inspector{s: newStore(root, dir, o)}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.s.release())
		}
	}()
	if err := i.hold(); err != nil {
		return nil, false, err
	}
	n, err := i.s.list()
	if err != nil {
		return nil, false, err
	}
	err = i.s.look(n)
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoLog) {
		err = fmt.Errorf("%w: %w", errVanished, err)
	}
	if err == nil {
		i.spares, err = i.s.spareFiles(n)
	}
	if err == nil {
		err = i.hold() // who began to write meanwhile is found as well
	}
	after, failed := i.s.list()
	still = slices.Equal(n.segs, after.segs) && n.mark == after.mark
	return i, still, errors.Join(err, failed)
}

// hold finds out who holds the log. Where nobody can tell, nobody does.
func (i *Inspector) hold() error {
	pid, held, err := vfs.LockHolder(i.s.fs, lockName)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if held {
		i.live, i.holder = true, pid
	}
	return err
}

// look makes s what recover would, and changes nothing.
func (s *Store) look(n names) error {
	if !n.identity {
		if err := s.checkUnmade(n); err != nil {
			return err
		}
		return errNoLog
	}
	if err := s.readIdentity(); err != nil {
		return err
	}
	headers, err := s.openSegments(n.segs)
	if err != nil {
		return err
	}
	var m *cleanMark
	if n.mark {
		if m, err = s.readMark(); err != nil {
			return err
		}
	}
	if s.recovery.Clean = m != nil; s.recovery.Clean {
		if err = s.openClean(m, headers); err == nil {
			err = s.adopt(m.state)
		}
	} else {
		err = s.lookAtLast(headers[len(headers)-1])
	}
	if err != nil {
		return err
	}
	return s.checkSeals()
}

// lookAtLast makes s what the last segment says, as after a crash.
func (s *Store) lookAtLast(h header) error {
	r, _, err := s.readLast(h)
	if err != nil {
		return err
	}
	s.tail = &tail{seg: r.seg, head: h.headEnd, end: r.w.off, seq: r.w.seq, sum: r.w.sum, last: r.last}
	return s.adopt(r.state)
}

// spareFiles lists the spares that are still there.
func (s *Store) spareFiles(n names) (all []SegmentInfo, err error) {
	for _, number := range n.spares {
		info, err := s.fs.Stat(spareName(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, SegmentInfo{Name: info.Name, State: Spare, Size: info.Size})
	}
	return all, nil
}

// Bounds is that of raftlog.Driver.
func (i *Inspector) Bounds(name raftlog.Group) (raftlog.Bounds, error) { return i.s.Bounds(name) }

// Stable returns a copy of a stable key's value, or fault.ErrNotFound.
func (i *Inspector) Stable(name raftlog.Group, key string) ([]byte, error) {
	return i.s.Stable(name, key)
}

// Read is that of raftlog.Driver, with the same errors, and ErrMoved.
func (i *Inspector) Read(dst []raftlog.Entry, name raftlog.Group, lo, hi, maxBytes uint64) ([]raftlog.Entry, error) {
	es, err := i.s.Read(dst, name, lo, hi, maxBytes)
	if errors.Is(err, fault.ErrCorrupt) {
		if moved, failed := i.moved(); moved || failed != nil {
			return es, errors.Join(ErrMoved, failed)
		}
	}
	return es, err
}

// moved reports whether any segment in use is gone.
func (i *Inspector) moved() (bool, error) {
	for _, seg := range i.s.segs {
		if seg.live == 0 {
			continue
		}
		if gone, err := i.gone(seg); gone || err != nil {
			return gone, err
		}
	}
	return false, nil
}

// gone reports whether the name of a segment does not lead to it any more. Its
// file may then hold another one; no number is ever given to two.
func (i *Inspector) gone(seg *segment) (bool, error) {
	_, err := i.s.fs.Stat(seg.name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// Verify is that of raftlog.Verifier. Segments that the log lets go of meanwhile
// are not told of.
func (i *Inspector) Verify(ctx context.Context, o *raftlog.VerifyOptions) (raftlog.VerifyReport, error) {
	return i.s.verify(ctx, o, i.gone)
}

// Groups lists, in order, the groups that hold anything.
func (i *Inspector) Groups() []GroupInfo {
	all := make([]GroupInfo, 0, len(i.s.groups))
	for _, name := range sortedGroups(i.s.groups) {
		g := i.s.groups[name]
		all = append(all, GroupInfo{
			Group: name, Bounds: g.shape.Bounds(), Terms: slices.Clone(g.shape.Runs()),
			Bytes: g.bytes(), Keys: slices.Sorted(maps.Keys(g.stable)),
		})
	}
	return all
}

// Close lets go of the files.
func (i *Inspector) Close() error {
	i.s.closing.Do(func() {
		i.s.gate.Close()
		i.s.closed = i.s.release()
	})
	return i.s.closed
}
