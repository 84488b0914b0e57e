package seglog

import (
	"errors"
	"io"

	"github.com/trimarandb/trimaran/fault"
)

// checkSeals finds out which of the segments in use have an index, and makes
// one for those that a crash left without.
func (s *Store) checkSeals() error {
	for _, seg := range s.segs[:len(s.segs)-1] {
		if seg.live == 0 || len(seg.toIndex) > 0 {
			continue
		}
		_, err := s.sealOf(seg)
		var none *bad
		switch {
		case err == nil:
			seg.sealed = true
		case !errors.As(err, &none):
			return err
		default:
			if seg.index, err = s.rebuildIndex(seg); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealOf reads the header of a segment's seal: *bad if there is none.
func (s *Store) sealOf(seg *segment) (frameHead, error) {
	e := seg.ended
	var b [frameSize]byte
	n, err := seg.f.ReadAt(b[:], e.end)
	if err != nil && !errors.Is(err, io.EOF) {
		return frameHead{}, err
	}
	h, err := parseFrameHead(b[:n], seg.seed, e.end)
	if err == nil && (h.kind != kindSeal || h.seq != e.next || h.prev != e.sum || h.end(e.end) > seg.written) {
		err = errChain
	}
	if err != nil {
		return h, &bad{e.end, err}
	}
	return h, nil
}

// indexOf returns the index of a segment whose entries' places are not in
// memory. One that is damaged is made anew from the frames.
func (s *Store) indexOf(seg *segment) (*index, error) {
	s.mu.RLock()
	x := seg.index
	s.mu.RUnlock()
	if x != nil {
		return x, nil
	}
	if x = s.indexes.get(seg); x != nil {
		return x, nil
	}
	x, err := s.loadIndex(seg)
	if _, damaged := errors.AsType[*bad](err); damaged {
		s.o.Logger.Warn("index of a segment damaged, made anew", "dir", s.dir, "segment", seg.name, "error", err)
		x, err = s.rebuildIndex(seg)
	}
	if err != nil {
		return nil, err
	}
	s.indexes.put(seg, x)
	return x, nil
}

func (s *Store) loadIndex(seg *segment) (*index, error) {
	h, err := s.sealOf(seg)
	if err != nil {
		return nil, err
	}
	off := seg.ended.end
	x := &index{make([]byte, h.len)}
	if n, err := seg.f.ReadAt(x.b, off+frameSize); n < len(x.b) {
		if errors.Is(err, io.EOF) {
			err = &bad{off, err}
		}
		return nil, err
	}
	if sumPayload(seg.seed, off, x.b) != h.sum {
		return nil, &bad{off, errFramePayload}
	}
	if err := x.check(); err != nil {
		return nil, &bad{off, err}
	}
	return x, nil
}

// rebuildIndex reads a segment that has ended from its start.
func (s *Store) rebuildIndex(seg *segment) (*index, error) {
	h, err := s.readHeader(seg)
	if err != nil {
		return nil, err
	}
	e := seg.ended
	alone := &segment{seq: seg.seq, seed: seg.seed, name: seg.name, f: seg.f}
	r, err := s.newReplay(alone, h, e.end)
	if err != nil {
		return nil, err
	}
	if err := r.run(); !errors.Is(err, io.EOF) {
		return nil, s.verdict(seg, r.w.off, err)
	}
	if r.w.sum != e.sum || r.w.seq != e.next {
		return nil, s.damaged(seg.name, r.w.off, fault.Committed, errChain)
	}
	return &index{buildIndex(r.indexRuns())}, nil
}
