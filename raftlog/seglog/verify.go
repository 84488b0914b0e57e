package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/pace"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Verify implements raftlog.Verifier: it reads every frame of every segment in
// use from the files, up to what was written when it began, and every index. It
// counts entries that are in the files, also those that no group refers to any
// more. Writes and reads go on beside it.
func (s *Store) Verify(ctx context.Context, o *raftlog.VerifyOptions) (raftlog.VerifyReport, error) {
	return s.verify(ctx, o, func(*segment) (bool, error) { return false, nil })
}

// verify is Verify with damage forgotten of segments that are gone by the time
// it is found.
func (s *Store) verify(ctx context.Context, o *raftlog.VerifyOptions, gone func(*segment) (bool, error)) (raftlog.VerifyReport, error) {
	if err := s.enter("verify"); err != nil {
		return raftlog.VerifyReport{}, err
	}
	defer s.gate.Leave()
	if o == nil {
		o = &raftlog.VerifyOptions{}
	}
	if s.lazy() { // what was acknowledged is to be verified in the file
		if err := s.run(s.newRequest()); err != nil && !errors.Is(err, fault.ErrPoisoned) && !errors.Is(err, fault.ErrFull) {
			return raftlog.VerifyReport{}, err
		}
	}
	v := verification{s: s, progress: o.Progress, pace: pace.New(o.BytesPerSecond)}
	v.hold()
	err := v.identity()
	for _, x := range v.segs {
		if err == nil {
			err = v.unlessGone(ctx, x, gone)
		}
		x.seg.users.Done()
	}
	return v.report, err
}

type verification struct {
	s        *Store
	segs     []verified
	pace     *pace.Pacer
	progress func(done, total int64)
	total    int64
	report   raftlog.VerifyReport
	last     *walker // where the segment before ended, nil if that is not known
	lastSeq  uint64  // which one that was
}

// verified is a segment as it was when the verification began.
type verified struct {
	seg    *segment
	end    int64
	sealed bool
}

// hold notes the segments to be read, and keeps them. Those in which nothing
// lives are about to go.
func (v *verification) hold() {
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	for i, seg := range v.s.segs {
		if seg.live == 0 && i < len(v.s.segs)-1 {
			continue
		}
		seg.users.Add(1)
		v.segs = append(v.segs, verified{seg, seg.end, seg.sealed})
		v.total += seg.end
	}
}

// identity checks the file that names the log.
func (v *verification) identity() error {
	b, err := vfs.ReadFile(v.s.fs, identityName, 1<<10)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if id, err := parseIdentity(b); err != nil || id != v.s.id {
		v.report.Damage = append(v.report.Damage, &fault.Corruption{Path: v.s.where(identityName), Offset: 0, Class: fault.Foreign,
			Reason: fmt.Sprintf("it does not name log %v", v.s.id), Err: err})
	}
	return nil
}

// header checks that a segment is of this log and continues the one before.
func (v *verification) header(seg *segment) (header, error) {
	h, err := v.s.readHeader(seg)
	if err == nil && (h.id != v.s.id || h.salt != seg.salt) {
		err = &fault.Corruption{Path: v.s.where(seg.name), Offset: 0, Class: fault.Foreign, Reason: fmt.Sprintf("it belongs to log %v, this is log %v", h.id, v.s.id)}
	}
	if w := v.last; err == nil && w != nil && seg.seq == v.lastSeq+1 && (h.prevEnd != w.off || h.prevSum != w.sum || h.firstSeq != w.seq) {
		err = v.s.damage(seg, 0, "it does not continue the segment before it")
	}
	v.last = nil
	return h, err
}

// unlessGone verifies a segment. What was read of one that is gone may be of
// another that has its file now.
func (v *verification) unlessGone(ctx context.Context, x verified, gone func(*segment) (bool, error)) error {
	before := v.report
	if err := v.segment(ctx, x); err != nil || len(v.report.Damage) == len(before.Damage) {
		return err
	}
	lost, err := gone(x.seg)
	if lost {
		v.report.Damage, v.report.Entries = before.Damage, before.Entries
		v.last = nil
	}
	return err
}

func (v *verification) segment(ctx context.Context, x verified) error {
	seg := x.seg
	h, err := v.header(seg)
	if damage, ok := errors.AsType[*fault.Corruption](err); ok {
		v.report.Damage = append(v.report.Damage, damage)
		return v.account(ctx, x.end) // without a header no frame verifies
	}
	if err != nil {
		return err
	}
	w := &walker{f: seg.f, seed: seg.seed, off: firstFrame, limit: x.end, seq: h.firstSeq, sum: h.prevSum}
	start := int64(0)
	for {
		f, err := w.next()
		var none *bad
		switch {
		case errors.Is(err, io.EOF):
			return errors.Join(v.seal(x, w), v.account(ctx, x.end-start))
		case errors.As(err, &none):
			if err := v.skip(w, seg, none); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			v.report.Entries += uint64(len(f.locs))
		}
		if err := v.account(ctx, w.off-start); err != nil {
			return err
		}
		start = w.off
	}
}

// seal checks the index of a segment whose frames were read.
func (v *verification) seal(x verified, w *walker) error {
	v.last, v.lastSeq = w, x.seg.seq
	if x.sealed {
		_, err := v.s.loadIndex(x.seg)
		if none, damaged := errors.AsType[*bad](err); damaged {
			v.damage(x.seg, none.off, none.off+frameSize, none.err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// skip reports a bad place and goes on behind it, at the next frame that is
// intact on its own.
func (v *verification) skip(w *walker, seg *segment, none *bad) error {
	for off := none.off + alignment; off < w.limit; off += alignment {
		f, err := w.frameAt(off)
		if _, ok := errors.AsType[*bad](err); ok {
			continue
		}
		if err != nil {
			return err
		}
		v.damage(seg, none.off, off, none.err)
		w.off, w.seq, w.sum = off, f.seq, f.prev
		return nil
	}
	v.damage(seg, none.off, w.limit, none.err)
	w.off = w.limit
	return nil
}

// damage reports seg[from:to), with the first live entry that lies there.
func (v *verification) damage(seg *segment, from, to int64, err error) {
	c := &fault.Corruption{Path: v.s.where(seg.name), Offset: from, Class: fault.Committed, Err: err}
	v.report.Damage = append(v.report.Damage, c)
	v.s.mu.RLock()
	sealed := seg.sealed
	v.s.mu.RUnlock()
	var x *index
	failed := error(nil)
	if sealed {
		x, failed = v.s.indexOf(seg)
	}
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	for name, g := range v.s.groups {
		for _, e := range g.extents {
			p := piece{extent: e}
			if e.seg == seg && sealed && failed == nil {
				p.places, p.known = x.find(name, e.first, e.n)
			}
			if e.seg != seg || e.locs == nil && !p.known {
				continue
			}
			for i := e.first; i < e.end(); i++ {
				if at := p.loc(i).start(); from <= at && at < to { // its end may be that of the frame, and more
					if c.Index == 0 || i < c.Index {
						c.Index = i
					}
					break
				}
			}
		}
	}
}

func (v *verification) account(ctx context.Context, n int64) error {
	v.report.Bytes += n
	if v.progress != nil {
		v.progress(v.report.Bytes, v.total)
	}
	return v.pace.Wait(ctx, int(n))
}
