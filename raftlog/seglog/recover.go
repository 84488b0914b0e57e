package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// recover reads the whole log. What it decides rests on evidence only:
//
//   - The segments follow one another without a hole, each header repeats how
//     the one before ended, and each checkpoint says what the frames before it
//     add up to. Anything else is damage to acknowledged bytes.
//   - In the last segment the frames end where the first one fails. A frame
//     behind that place that was written after the place had been synced
//     proves damage; otherwise the rest was never acknowledged and is cut off.
//   - After a clean close the mark says where the log ends; any other end is
//     damage.
//
// Opening twice decides the same as opening once.
func (s *Store) recover(seqs []uint64) error {
	headers, err := s.openSegments(seqs)
	if err != nil {
		return err
	}
	last := len(s.segs) - 1
	for i, seg := range s.segs[:last] {
		w := newWalker(seg, headers[i], headers[i+1].prevEnd)
		if w.limit > seg.size {
			return s.damage(seg, seg.size, fmt.Sprintf("file ends before %d, where the next segment continues from", w.limit))
		}
		if err := s.replay(w, seg); err != nil {
			return err
		}
		if w.sum != headers[i+1].prevSum || w.seq != headers[i+1].firstSeq {
			return s.damage(seg, w.off, "the next segment continues from another frame")
		}
		seg.size = w.limit
	}
	end, err := s.findEnd(s.segs[last], headers[last])
	if err != nil {
		return err
	}
	if err := s.checkMark(&end); err != nil {
		return err
	}
	return s.resume(end, headers[last])
}

func newWalker(seg *segment, h header, limit int64) *walker {
	return &walker{f: seg.f, seed: seg.seed, off: firstFrame, limit: limit, seq: h.firstSeq, sum: h.prevSum}
}

func (s *Store) openSegments(seqs []uint64) ([]header, error) {
	if len(seqs) == 0 {
		return nil, s.missing(segmentName(1), "the log has an identity and no segment")
	}
	headers := make([]header, len(seqs))
	for i, seq := range seqs {
		if want := seqs[0] + uint64(i); seq != want {
			return nil, s.missing(segmentName(want), "later segments are there")
		}
		seg, h, err := s.openSegment(seq)
		if err != nil {
			return nil, err
		}
		s.segs = append(s.segs, seg)
		headers[i] = h
		if h.id != s.id {
			return nil, &fault.Corruption{Path: s.where(seg.name), Offset: 0, Class: fault.Foreign,
				Reason: fmt.Sprintf("it belongs to log %v, this is log %v", h.id, s.id)}
		}
	}
	return headers, nil
}

// replay applies the frames from w.off to w.limit, all of which must be there.
func (s *Store) replay(w *walker, seg *segment) error {
	for {
		f, err := w.next()
		var none *bad
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &none):
			return s.damaged(seg.name, none.off, fault.Committed, none.err)
		case err != nil:
			return err
		}
		if err := s.applyFrame(f, seg); err != nil {
			return s.damaged(seg.name, f.off, fault.Committed, err)
		}
	}
}

func (s *Store) applyFrame(f found, seg *segment) error {
	switch {
	case (f.kind == kindCheckpoint) != (f.off == firstFrame):
		return fmt.Errorf("frame of kind %d: a segment begins with its checkpoint and has one", f.kind)
	case f.kind == kindCheckpoint && seg == s.segs[0]:
		groups, err := parseCheckpoint(f.body)
		s.groups = groups
		return err
	case f.kind == kindCheckpoint:
		if !bytes.Equal(f.body, appendCheckpoint(nil, s.groups)) {
			return errors.New("checkpoint says something else than the frames before it")
		}
		return nil
	case f.kind != kindBatch:
		return fmt.Errorf("frame of kind %d where none belongs", f.kind)
	}
	ops, err := parseOps(f.body, seg, f.bodyOff)
	if err != nil {
		return err
	}
	return s.applyOps(ops)
}

// applyOps applies recovered ops, which must keep the rules they were
// submitted under.
func (s *Store) applyOps(ops []op) error {
	for i := range ops {
		o := &ops[i]
		g := s.group(o.group)
		if err := errors.Join(o.batch.Validate(raftlog.MaxBatchBytes), g.shape.Check(&o.batch)); err != nil {
			return err
		}
		g.apply(o)
	}
	return nil
}

// readMark returns the mark of a clean close, or nil where there is none. One
// that does not verify is as good as none: the log is then read as after a
// crash, which needs no mark.
func (s *Store) readMark() (*cleanMark, error) {
	b, err := vfs.ReadFile(s.fs, cleanName, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := parseCleanMark(b)
	if err != nil || m.id != s.id {
		s.o.Logger.Warn("mark of a clean close ignored", "dir", s.dir, "error", err)
		return nil, nil
	}
	return &m, nil
}

func (s *Store) damage(seg *segment, off int64, reason string) error {
	return s.damaged(seg.name, off, fault.Committed, errors.New(reason))
}

func (s *Store) missing(name, reason string) error {
	return &fault.Corruption{Path: s.where(name), Offset: -1, Class: fault.Missing, Reason: reason}
}
