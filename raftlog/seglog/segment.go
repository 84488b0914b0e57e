package seglog

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/trimarandb/trimaran/vfs"
)

// segment is one file of the log. What is written to it is the tail's
// business; a segment knows only how it is read and when it may go.
type segment struct {
	seq   uint64
	seed  uint32
	name  string
	f     vfs.File
	users sync.WaitGroup // reads under way

	// Guarded by Store.mu.
	size      int64 // where the acknowledged frames end
	live      int   // entries that a group still refers to
	liveBytes int64
}

// tail is where the next frame goes. Only the leader touches it.
type tail struct {
	seg     *segment
	head    int64 // where header and checkpoint end
	end     int64
	durable int64  // synced up to here
	seq     uint64 // of the next frame
	sum     uint32 // header checksum of the last frame
}

// create makes a segment that holds a header and what fill encodes, durable
// under its name when it returns. Before that it has a temporary name, so that
// a segment is never found half made.
func (s *Store) create(h header, fill func(*encoder)) (tail, error) {
	seg := &segment{seq: h.seq, seed: h.id.seed(h.seq), name: segmentName(h.seq)}
	enc := newEncoder(tail{seg: seg, end: firstFrame, durable: firstFrame, seq: h.firstSeq, sum: h.prevSum})
	fill(enc)
	h.headEnd = enc.tail().end
	f, err := s.publish(seg.name, append(h.append(nil), enc.buf...))
	if err != nil {
		return tail{}, err
	}
	seg.f, seg.size = f, h.headEnd
	t := enc.tail()
	t.durable, t.head = t.end, t.end
	return t, nil
}

// publish makes a file of b. A failure before the rename changes nothing.
func (s *Store) publish(name string, b []byte) (vfs.File, error) {
	tmp := name + vfs.TempSuffix
	if err := s.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &unchangedError{err}
	}
	f, err := s.fs.Create(tmp)
	if err != nil {
		return nil, &unchangedError{err}
	}
	if _, err = f.WriteAt(b, 0); err != nil {
		err = &unchangedError{err}
	} else if err = f.Sync(); err != nil {
		err = &syncError{err}
	} else if err = s.fs.Rename(tmp, name); err == nil {
		if err = s.fs.SyncDir("."); err == nil {
			return f, nil
		}
		return nil, errors.Join(&syncError{err}, f.Close())
	}
	return nil, errors.Join(err, f.Close(), s.fs.Remove(tmp))
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
