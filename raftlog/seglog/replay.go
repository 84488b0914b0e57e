package seglog

import (
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// replay is what one segment says, which is all that is to be known of the log
// at its end: the state that its checkpoint tells, and what its frames did to
// it.
type replay struct {
	state
	w   *walker
	seg *segment

	durable int64   // the frames themselves say that they were synced up to here
	last    int64   // where the last frame begins
	marks   []place // ends of frames beyond durable, the first at durable
}

// place is the end of a frame.
type place struct {
	off int64
	seq uint64
	sum uint32
}

// newReplay reads the checkpoint of a segment with that header. Its frames are
// looked for up to limit.
func (s *Store) newReplay(seg *segment, h header, limit int64) (*replay, error) {
	r := &replay{seg: seg, w: &walker{f: seg.f, seed: seg.seed, off: firstFrame, limit: limit, seq: h.firstSeq, sum: h.prevSum}}
	f, err := r.w.next()
	if err == nil && f.kind != kindCheckpoint {
		err = fmt.Errorf("frame of kind %d where the checkpoint belongs", f.kind)
	}
	var rest []byte
	if err == nil {
		r.state, rest, err = parseCheckpoint(f.body)
	}
	if err == nil && (len(rest) >= alignment || !zero(rest) || r.segs[seg.seq] != nil) {
		err = errRecord
	}
	if err != nil {
		return nil, s.verdict(seg, firstFrame, err)
	}
	r.segs[seg.seq] = seg
	r.last = firstFrame
	r.durable = h.headEnd
	return r, nil
}

// verdict says of what reading failed with that it is damage, unless the disk
// failed.
func (s *Store) verdict(seg *segment, off int64, err error) error {
	var none *bad
	switch {
	case errors.As(err, &none):
		return s.damaged(seg.name, none.off, fault.Committed, none.err)
	case errors.Is(err, io.EOF):
		return s.damage(seg, off, "the frames end here")
	case errors.Is(err, errRecord), errors.Is(err, errRefused):
		return s.damage(seg, off, err.Error())
	}
	return err
}

// run applies frames until there is none: it returns io.EOF at the limit, *bad
// before it. A seal ends it too, with errSealed.
func (r *replay) run() error {
	r.marks = append(r.marks, place{r.w.off, r.w.seq, r.w.sum})
	for {
		f, err := r.w.next()
		switch {
		case err != nil:
			return err
		case f.kind == kindSeal:
			return errSealed
		case f.kind != kindBatch:
			return &bad{f.off, fmt.Errorf("frame of kind %d where none belongs", f.kind)}
		}
		if err := r.apply(f.ops, f.base(), f.locs); err != nil {
			return &bad{f.off, err}
		}
		r.last = f.off
		r.reached(f.durableTo)
		r.marks = append(r.marks, place{r.w.off, r.w.seq, r.w.sum})
	}
}

// reached forgets the ends of frames below what was durable, but for the last.
func (r *replay) reached(durable int64) {
	r.durable = max(r.durable, durable)
	n := 0
	for n+1 < len(r.marks) && r.marks[n+1].off <= r.durable {
		n++
	}
	r.marks = append(r.marks[:0], r.marks[n:]...)
}

var (
	errSealed  = errors.New("the segment is sealed")
	errRefused = errors.New("a record breaks the rules that it was submitted under")
)

// apply applies recovered ops, which must keep the rules they were submitted
// under.
func (r *replay) apply(ops []op, base int64, locs []loc) error {
	for i := range ops {
		o := &ops[i]
		g := r.groups[o.name]
		if g == nil {
			g = newGroup()
			r.groups[o.name] = g
		}
		if o.from == 0 {
			if err := errors.Join(o.batch.Validate(raftlog.MaxBatchBytes), g.shape.Check(&o.batch)); err != nil {
				return fmt.Errorf("%w: %w", errRefused, err)
			}
		}
		if err := g.apply(o, r.seg, base, locs[o.at:o.at+o.n]); err != nil {
			return err
		}
	}
	return nil
}

// indexRuns lists where the entries lie that lived at the end, of those in the
// segment itself.
func (r *replay) indexRuns() (runs []indexRun) {
	for name, g := range r.groups {
		for i := range g.extents {
			if e := &g.extents[i]; e.seg == r.seg && e.locs != nil {
				runs = append(runs, indexRun{name: name, first: e.first, locs: e.locs})
			}
		}
	}
	return runs
}
