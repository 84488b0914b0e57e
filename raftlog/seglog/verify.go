package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/pace"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Verify implements raftlog.Verifier: it reads every frame of every segment
// from the files, up to what was acknowledged when it began. It counts entries
// that are in the files, also those that no group refers to any more. Writes
// and reads go on beside it.
func (s *Store) Verify(ctx context.Context, o *raftlog.VerifyOptions) (raftlog.VerifyReport, error) {
	if err := s.enter("verify"); err != nil {
		return raftlog.VerifyReport{}, err
	}
	defer s.gate.Leave()
	if o == nil {
		o = &raftlog.VerifyOptions{}
	}
	v := verification{s: s, progress: o.Progress, pace: pace.New(o.BytesPerSecond)}
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	sizes := make([]int64, len(segs))
	for i, seg := range segs {
		seg.users.Add(1)
		sizes[i] = seg.size
		v.total += seg.size
	}
	s.mu.RUnlock()
	err := v.identity()
	for i, seg := range segs {
		if err == nil {
			err = v.segment(ctx, seg, sizes[i])
		}
		seg.users.Done()
	}
	return v.report, err
}

type verification struct {
	s        *Store
	pace     *pace.Pacer
	progress func(done, total int64)
	total    int64
	report   raftlog.VerifyReport
	last     *walker // where the segment before ended, nil if that is not known
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
	if err == nil && h.id != v.s.id {
		err = &fault.Corruption{Path: v.s.where(seg.name), Offset: 0, Class: fault.Foreign, Reason: fmt.Sprintf("it belongs to log %v, this is log %v", h.id, v.s.id)}
	}
	if w := v.last; err == nil && w != nil && (h.prevEnd != w.off || h.prevSum != w.sum || h.firstSeq != w.seq) {
		err = v.s.damage(seg, 0, "it does not continue the segment before it")
	}
	v.last = nil
	return h, err
}

func (v *verification) segment(ctx context.Context, seg *segment, size int64) error {
	h, err := v.header(seg)
	if damage, ok := errors.AsType[*fault.Corruption](err); ok {
		v.report.Damage = append(v.report.Damage, damage)
		return v.account(ctx, size) // without a header no frame verifies
	}
	if err != nil {
		return err
	}
	w := newWalker(seg, h, size)
	start := int64(0)
	for {
		f, err := w.next()
		var none *bad
		switch {
		case errors.Is(err, io.EOF):
			v.last = w
			return v.account(ctx, size-start)
		case errors.As(err, &none):
			if err := v.skip(w, seg, none); err != nil {
				return err
			}
		case err != nil:
			return err
		case f.kind == kindBatch:
			v.frame(f, seg)
		}
		if err := v.account(ctx, w.off-start); err != nil {
			return err
		}
		start = w.off
	}
}

// frame counts the entries of an intact frame; each is verified once more by
// the checksum that reads rely on.
func (v *verification) frame(f found, seg *segment) {
	ops, err := parseOps(f.body, seg, f.bodyOff)
	if err != nil {
		v.damage(seg, f.off, f.bodyOff+int64(len(f.body)), err)
		return
	}
	for i := range ops {
		v.report.Entries += uint64(len(ops[i].batch.Entries))
	}
}

// skip reports a bad place and goes on behind it, at the next intact frame.
func (v *verification) skip(w *walker, seg *segment, none *bad) error {
	for off := none.off + alignment; off < w.limit; off += alignment {
		_, c, _, err := w.frameAt(off)
		if _, ok := errors.AsType[*bad](err); ok {
			continue
		}
		if err != nil {
			return err
		}
		v.damage(seg, none.off, off, none.err)
		w.off, w.seq, w.sum = off, c.seq, c.prev
		return nil
	}
	v.damage(seg, none.off, w.limit, none.err)
	w.off = w.limit
	return nil
}

// damage reports seg[from:to), with the first live entry that lies there.
func (v *verification) damage(seg *segment, from, to int64, err error) {
	c := &fault.Corruption{Path: v.s.where(seg.name), Offset: from, Class: fault.Committed, Err: err}
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	for _, g := range v.s.groups {
		for i, l := range g.locs {
			if l.seg == seg && l.off+int64(l.n) > from && l.off < to {
				if index := g.origin() + uint64(i); c.Index == 0 || index < c.Index {
					c.Index = index
				}
				break
			}
		}
	}
	v.report.Damage = append(v.report.Damage, c)
}

func (v *verification) account(ctx context.Context, n int64) error {
	v.report.Bytes += n
	if v.progress != nil {
		v.progress(v.report.Bytes, v.total)
	}
	return v.pace.Wait(ctx, int(n))
}
