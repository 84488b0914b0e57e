package seglog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/vfs"
)

// spare is a file of written blocks outside the numbering: a segment that was
// freed, or one filled with zeros. It is no part of the log.
type spare struct {
	name string
	f    vfs.File
	size int64
	was  was // for those found at open
}

// was is the segment that a spare held last. It tells files apart.
type was struct{ seq, salt uint64 }

// maxSpares is how many freed segments are kept: a snapshot frees many at once,
// and a new file costs the device twice what is then written to it. What is
// beyond is removed.
const maxSpares = 4

// keeps reports whether a freed file of that size is worth keeping: one that is
// as large as segments are, while there are fewer than maxSpares. Where heads
// are so large that segments exceed SegmentSize by far, there are two.
func (s *Store) keeps(size int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, sum := len(s.spares), size
	for _, sp := range s.spares {
		sum += sp.size
	}
	return s.large(size) && n < maxSpares && (n < 2 || sum <= (maxSpares+1)*s.o.SegmentSize)
}

// roomInSpare reports whether the next segment is begun in a spare that takes a
// frame of n bytes.
func (s *Store) roomInSpare(n int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.spares) > 0 && s.spares[0].size >= blocks(s.tail.head+n+s.reserve())
}

// takeSpare returns a file to begin a segment in: a spare, or else a new one of
// that name.
func (s *Store) takeSpare(name string) (spare, error) {
	s.mu.Lock()
	if n := len(s.spares); n > 0 {
		sp := s.spares[0]
		s.spares = slices.Delete(s.spares, 0, 1)
		s.mu.Unlock()
		return sp, nil
	}
	s.mu.Unlock()
	return s.newFile(name)
}

// putBack keeps a spare that could not be used. A new file goes.
func (s *Store) putBack(sp spare) {
	if sp.size == 0 {
		if err := errors.Join(sp.f.Close(), s.fs.Remove(sp.name)); err != nil {
			s.o.Logger.Warn("unfinished segment not removed", "dir", s.dir, "file", sp.name, "error", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spares = append(s.spares, sp)
}

// openSpares finds the spares that an earlier open left. A file with two names
// is the remainder of a rename: only a name goes. The header that was in the
// file last tells.
func (s *Store) openSpares(n names) error {
	for _, number := range n.spares {
		s.lastSpare = max(s.lastSpare, number)
		sp := &spare{name: spareName(number)}
		var err error
		if sp.f, err = s.fs.OpenWrite(sp.name); err != nil {
			return err
		}
		if sp.size, err = sp.f.Size(); err != nil {
			return errors.Join(err, sp.f.Close())
		}
		taken, err := s.taken(sp)
		if err != nil {
			return errors.Join(err, sp.f.Close())
		}
		if !taken && s.keeps(sp.size) {
			s.spares = append(s.spares, *sp)
			continue
		}
		if err := sp.f.Close(); err != nil {
			return err
		}
		s.trash = append(s.trash, removal{sp.name, sp.size})
	}
	return nil
}

// taken reports whether a segment of the log, or another spare, has or may have
// the same file.
func (s *Store) taken(sp *spare) (bool, error) {
	var b [firstFrame]byte
	got, err := sp.f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	h, err := parseHeader(b[:got])
	if err != nil {
		return !zero(b[:got]), nil // torn while it became a segment: not worth a risk
	}
	sp.was = was{h.seq, h.salt}
	if slices.ContainsFunc(s.spares, func(other spare) bool { return other.was == sp.was }) {
		return true, nil
	}
	// A later number: it was about to become a segment, and holds frames for it.
	later := h.seq > s.segs[len(s.segs)-1].seq
	return later || h.id != s.id || slices.ContainsFunc(s.segs, func(seg *segment) bool { return seg.seq == h.seq }), nil
}

// recycle makes a spare of a segment in which nothing lives any more. Its name
// is gone, durably, before anybody writes to it: else the log could find
// another segment under it.
func (s *Store) recycle(seg *segment) error {
	s.lastSpare++
	sp := spare{name: spareName(s.lastSpare), f: seg.f, size: seg.written}
	if err := s.fs.Rename(seg.name, sp.name); vfs.IsFull(err) {
		s.discard(seg) // there is no room for another name
		return nil
	} else if err != nil {
		return errors.Join(err, seg.f.Close()) // the next open finds it dead
	}
	if err := s.fs.SyncDir("."); err != nil {
		return errors.Join(&syncError{fmt.Errorf("recycle %s: %w", seg.name, err)}, seg.f.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spares = append(s.spares, sp)
	return nil
}

// How a spare is filled: in pieces, with time between them for the log, unless
// the log is about to need it.
const (
	fillPiece = 1 << 20
	fillPause = 5 * time.Millisecond
)

// makeSpare fills a new file with zeros, before it is needed.
func (s *Store) makeSpare() error {
	s.lastSpare++
	name := spareName(s.lastSpare)
	sp, err := s.newFile(name + vfs.TempSuffix)
	if err != nil {
		return &unchangedError{err}
	}
	size := blocks(s.o.SegmentSize)
	for sp.size < size && err == nil && s.stopped.Err() == nil {
		to := min(size, sp.size+fillPiece)
		if err = fill(sp.f, sp.size, to); err == nil {
			err = sp.f.SyncData()
			sp.size = to
		}
		s.mu.RLock()
		hurry := s.segs[len(s.segs)-1].end > sp.size
		s.mu.RUnlock()
		if !hurry {
			s.pause(fillPause)
		}
	}
	if err == nil && sp.size == size {
		if err = sp.f.Sync(); err == nil {
			err = s.fs.Rename(sp.name, name)
		}
	}
	if err != nil || sp.size < size {
		return &unchangedError{errors.Join(err, sp.f.Close(), s.fs.Remove(sp.name))}
	}
	sp.name = name
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spares = append(s.spares, sp)
	return nil
}

// pause waits, where the program runs background work beside the log.
func (s *Store) pause(d time.Duration) {
	if s.o.Background != nil {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stopped.Done():
	}
}
