package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/vfs"
)

// segment is one file of the log. It consists of written blocks: the frames
// reach to end, and what follows up to written is zeros, or the remains of
// another segment, none of which verifies.
type segment struct {
	// Set before anybody else can find the segment, and never again. The file
	// stays open while there are users.
	seq  uint64
	salt uint64
	seed uint32
	name string
	f    vfs.File

	users   sync.WaitGroup // reads under way
	durable atomic.Int64   // synced up to here

	// Guarded by Store.mu. Who alone changes a field reads it without: the leader
	// end and written of the active segment; maintenance written, index, toIndex
	// and sealed of one that has ended. Nobody changes ended once the segment is
	// not the last one, nor written once it is sealed: who has seen that under
	// the lock reads them without.
	end       int64      // of the acknowledged frames
	written   int64      // size of the file
	live      int64      // entries that a group refers to
	liveBytes int64      // that they occupy
	ended     fileEnd    // how it ends, once it does
	index     *index     // of its entries, while it is not sealed or in the cache
	toIndex   []indexRun // what goes into the index
	sealed    bool       // the index is in the file, durably
	keep      bool       // its live remains cannot be read: they are not moved
}

func (g *segment) hold(n, bytes int64) {
	g.live += n
	g.liveBytes += bytes
}

// tail is where the next frame goes. Only the leader touches it.
type tail struct {
	seg   *segment
	head  int64  // where header and checkpoint end
	end   int64  // of the last frame
	seq   uint64 // of the next frame
	sum   uint32 // head of the last frame
	last  int64  // where the last frame begins
	limit int64  // entries belong into the next segment from here on, less the reserve
	block [block]byte
}

// rest is the part of the last block that holds frames.
func (t *tail) rest() []byte { return t.block[:t.end%block] }

// fileEnd says how the segment ends if nothing more is written to it.
func (t *tail) fileEnd() fileEnd {
	return fileEnd{seq: t.seg.seq, salt: t.seg.salt, end: t.end, next: t.seq, sum: t.sum}
}

// newSegment makes a segment that holds a header, a checkpoint and the frames
// that more adds, durable under its name when it returns. Until then the file
// has another name, so that a segment is never found half made. checkpoint and
// more encode for places that they are told.
func (s *Store) newSegment(h header, checkpoint func([]byte) []byte, more func(b []byte, t *tail) []byte) (*tail, error) {
	h.salt = s.salt
	seg := &segment{seq: h.seq, salt: h.salt, seed: h.id.seed(h.seq, h.salt), name: segmentName(h.seq)}
	t := &tail{seg: seg, last: firstFrame}
	b := make([]byte, firstFrame, blocks(firstFrame))
	b, f := appendFrame(b, frameHead{kind: kindCheckpoint, seq: h.firstSeq, durableTo: firstFrame, prev: h.prevSum}, seg.seed, firstFrame, checkpoint)
	t.end, t.seq, t.sum = int64(len(b)), h.firstSeq+1, f.head
	t.head = t.end
	if more != nil {
		b = more(b, t)
	}
	h.headEnd = t.end
	copy(b, h.append(nil))
	copy(t.block[:], b[t.end/block*block:])
	b = append(b, make([]byte, blocks(t.end)-t.end)...)
	t.limit = s.limit(t.head)
	size := blocks(t.end + s.reserve())
	if more != nil {
		size = 0 // a recovery makes do without the reserve, so that a full disk can be opened
	}
	if err := s.publish(seg, b, size); err != nil {
		return nil, err
	}
	seg.end = t.end
	seg.durable.Store(t.end)
	return t, nil
}

// limit is where a segment is full: SegmentSize behind a small head, and
// otherwise so far that the head is a sixteenth of it.
func (s *Store) limit(head int64) int64 {
	if head > block {
		return max(s.o.SegmentSize, 16*head)
	}
	return s.o.SegmentSize + head
}

// reserve is what entries leave free at the end of the segment: a full disk
// must not keep votes from being saved, nor compaction from making room.
func (s *Store) reserve() int64 { return min(64<<10, s.o.SegmentSize/8) }

// publish makes b the start of a segment's file: a spare, or else a new one. Both
// consist of written blocks up to size at least. A failure before the rename
// changes nothing.
func (s *Store) publish(seg *segment, b []byte, size int64) error {
	sp, err := s.takeSpare(seg.name + vfs.TempSuffix)
	if err != nil {
		return &unchangedError{err}
	}
	if n := size - int64(len(b)); n > 0 && size > sp.size {
		b = append(b, make([]byte, n)...)
	}
	if _, err = sp.f.WriteAt(b, 0); err != nil {
		s.putBack(sp)
		return &unchangedError{err}
	}
	if err := sp.f.Sync(); err != nil {
		return errors.Join(&syncError{err}, sp.f.Close())
	}
	if err := s.fs.Rename(sp.name, seg.name); err != nil {
		return errors.Join(err, sp.f.Close())
	}
	if err := s.fs.SyncDir("."); err != nil {
		return errors.Join(&syncError{err}, sp.f.Close())
	}
	seg.f, seg.written = sp.f, max(sp.size, int64(len(b)))
	return nil
}

// newFile makes an empty file for a segment or spare.
func (s *Store) newFile(name string) (spare, error) {
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return spare{}, err
	}
	f, err := s.fs.Create(name)
	return spare{name: name, f: f}, err
}

// zeros is what unused blocks are written with; nobody changes it.
var zeros [256 << 10]byte

// fill writes zeros to f[from:to).
func fill(f vfs.File, from, to int64) error {
	for from < to {
		n := min(to-from, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// Growth of a segment that was not filled before its time.
const (
	growMin = 128 << 10
	growMax = 1 << 20
)

// ensure makes the active segment have written blocks up to end and for the
// reserve behind it. Votes make do without the reserve.
func (s *Store) ensure(t *tail, end int64, class class) error {
	seg := t.seg
	need := blocks(end + s.reserve())
	if need <= seg.written {
		return nil
	}
	grow := min(max(seg.written, growMin), growMax)
	to := max(need, min(seg.written+grow, blocks(t.limit)))
	if err := fill(seg.f, seg.written, to); err != nil {
		if vfs.IsFull(err) && end <= seg.written-s.leave(class) {
			return nil
		}
		return fmt.Errorf("extend %s: %w", seg.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.written = to
	return nil
}

// class is how far a frame may go into the reserve.
type class uint8

const (
	classStable  class = iota // stable keys only
	classTrim                 // truncation, compaction, reset, removal
	classEntries              // entries
)

// leave is how much of the reserve a class does not touch.
func (s *Store) leave(c class) int64 {
	switch c {
	case classStable:
		return 0
	case classTrim:
		return s.reserve() / 2
	default:
		return s.reserve()
	}
}

// syncError marks the failure of a sync, after which nothing may be
// acknowledged whatever its cause.
type syncError struct{ err error }

func (e *syncError) Error() string { return e.err.Error() }
func (e *syncError) Unwrap() error { return e.err }

// unchangedError marks a failure that left the log as it was.
type unchangedError struct{ err error }

func (e *unchangedError) Error() string { return e.err.Error() }
func (e *unchangedError) Unwrap() error { return e.err }
