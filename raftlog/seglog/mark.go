package seglog

import (
	"encoding/binary"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Frozen: part of format v1. The mark of a clean close is a frame of
// internal/frame; it says where and how the log ended, and what is to be known
// of it, so that the next open reads no frames.
//
//	identity 16 | segment u64 | end u64 | last u64 | next seq u64 | head u32 |
//	state u32 | checkpoint | index of the active segment
//
// last is where the last frame begins and head its checksum; state is the
// length of the checkpoint.
const markSize = 16 + 8*4 + 4 + 4

// cleanMark says how a log ended when it was closed in order.
type cleanMark struct {
	id    logID
	ended fileEnd
	last  int64
	state state
	index index
}

func appendMark(b []byte, id logID, t *tail, checkpoint, index []byte) []byte {
	start := len(b)
	b = append(frame.Begin(b), id[:]...)
	for _, v := range [...]uint64{t.seg.seq, uint64(t.end), uint64(t.last), t.seq} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, t.sum)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(checkpoint)))
	b = append(append(b, checkpoint...), index...)
	frame.Finish(b, start, kindClean, placeless)
	return b
}

func parseMark(b []byte) (m cleanMark, err error) {
	p, err := unwrap(b, kindClean, len(b)-frame.HeaderSize)
	if err != nil {
		return m, err
	}
	if len(p) < markSize {
		return m, frame.ErrShort
	}
	copy(m.id[:], p)
	m.ended = fileEnd{
		seq:  binary.LittleEndian.Uint64(p[16:]),
		end:  int64(binary.LittleEndian.Uint64(p[24:])),
		next: binary.LittleEndian.Uint64(p[40:]),
		sum:  binary.LittleEndian.Uint32(p[48:]),
	}
	m.last = int64(binary.LittleEndian.Uint64(p[32:]))
	n := binary.LittleEndian.Uint32(p[52:])
	if uint64(n) > uint64(len(p)-markSize) {
		return m, frame.ErrShort
	}
	var rest []byte
	if m.state, rest, err = parseCheckpoint(p[markSize : markSize+n]); err == nil && len(rest) > 0 {
		err = errRecord
	}
	m.index = index{p[markSize+n:]}
	if err == nil {
		err = m.index.check()
	}
	return m, err
}

// readMark returns the mark of a clean close, or nil where there is none. One
// that does not verify is as good as none: the log is then read as after a
// crash, which needs no mark.
func (s *Store) readMark() (*cleanMark, error) {
	info, err := s.fs.Stat(cleanName)
	if err != nil {
		return nil, err
	}
	b, err := vfs.ReadFile(s.fs, cleanName, info.Size)
	if err != nil {
		return nil, err
	}
	m, err := parseMark(b)
	if err != nil || m.id != s.id {
		s.o.Logger.Warn("mark of a clean close ignored", "dir", s.dir, "error", err)
		return nil, nil
	}
	return &m, nil
}

// leaveMark writes down how the log ended, which is durable. Everybody else is
// gone.
func (s *Store) leaveMark() error {
	var runs []indexRun
	for name, g := range s.groups {
		for i := range g.extents {
			if e := &g.extents[i]; e.seg == s.tail.seg {
				runs = append(runs, indexRun{name: name, first: e.first, locs: e.locs})
			}
		}
	}
	ends := append(s.ends(), s.tail.fileEnd())
	b := appendMark(nil, s.id, s.tail, appendCheckpoint(nil, ends, s.groups), buildIndex(runs))
	if err := vfs.WriteFile(s.fs, cleanName, b); err != nil {
		return fmt.Errorf("everything is durable, but the mark of a clean close is not: %w", err)
	}
	return nil
}

// removeMark removes the mark, durably, before the first write after it.
func (s *Store) removeMark() error {
	if !s.marked {
		return nil
	}
	err := vfs.RemoveAll(s.fs, cleanName)
	if err != nil {
		return &unchangedError{fmt.Errorf("remove the mark of the last close: %w", err)}
	}
	if err := s.fs.SyncDir("."); err != nil {
		return &syncError{fmt.Errorf("remove the mark of the last close: %w", err)}
	}
	s.order.Lock()
	defer s.order.Unlock()
	s.marked = false
	return nil
}

// openClean makes the log what the mark says, if the last segment ends as it
// does.
func (s *Store) openClean(m *cleanMark, headers []header) error {
	seg := s.segs[len(s.segs)-1]
	h := headers[len(headers)-1]
	e := m.ended
	if e.seq > seg.seq {
		return s.missing(segmentName(e.seq), "the log was closed cleanly with this as its last segment")
	}
	w := walker{f: seg.f, seed: seg.seed, limit: seg.written}
	last, err := w.headAt(m.last)
	if err == nil && (e.seq != seg.seq || last.head != e.sum || last.end(m.last) != e.end || last.end(m.last) > seg.written || last.seq+1 != e.next) {
		err = &bad{m.last, errChain}
	}
	if err != nil {
		if damage := s.verdict(seg, m.last, err); damage != nil {
			err = damage
		}
		return fmt.Errorf("the log was closed cleanly at %d of %s: %w", e.end, segmentName(e.seq), err)
	}
	t := &tail{seg: seg, head: m.last, end: e.end, seq: e.next, sum: e.sum, last: m.last}
	t.head = min(h.headEnd, e.end)
	t.limit = s.limit(t.head)
	if n, err := seg.f.ReadAt(t.rest(), e.end/block*block); n < len(t.rest()) {
		return err
	}
	seg.durable.Store(e.end)
	for name, g := range m.state.groups {
		if err := s.places(name, g, m); err != nil {
			return err
		}
	}
	s.tail, s.marked = t, true
	return nil
}

// places turns the index of the active segment in the mark into the form of a
// segment that grows.
func (s *Store) places(name raftlog.Group, g *group, m *cleanMark) error {
	for i := range g.extents {
		e := &g.extents[i]
		if e.seg.seq != m.ended.seq {
			continue
		}
		p, ok := m.index.find(name, e.first, e.n)
		if !ok {
			return s.damaged(cleanName, 0, fault.Committed, errIndex)
		}
		e.locs = make([]loc, e.n)
		for j := range e.locs {
			e.locs[j] = p.loc(e.first - p.first + uint64(j))
		}
	}
	return nil
}
