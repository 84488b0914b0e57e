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
	tmp := seg.name + vfs.TempSuffix
	if err := s.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tail{}, err
	}
	enc := newEncoder(tail{seg: seg, end: firstFrame, durable: firstFrame, seq: h.firstSeq, sum: h.prevSum})
	fill(enc)
	h.headEnd = enc.tail().end
	if err := s.publish(seg.name, tmp, append(h.append(nil), enc.buf...)); err != nil {
		return tail{}, err
	}
	var err error
	if seg.f, err = s.fs.OpenWrite(seg.name); err != nil {
		return tail{}, err
	}
	t := enc.tail()
	t.durable = t.end
	seg.size = t.end
	return t, nil
}

// publish writes b under a temporary name, makes it durable and renames it. A
// failure before the rename leaves nothing behind.
func (s *Store) publish(name, tmp string, b []byte) error {
	f, err := s.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		if err = f.Sync(); err != nil {
			err = &syncError{err}
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, s.fs.Remove(tmp))
	}
	if err := s.fs.SyncDir("."); err != nil {
		return &syncError{err}
	}
	return nil
}

// syncError marks the failure of a sync, after which nothing may be
// acknowledged whatever its cause.
type syncError struct{ err error }

func (e *syncError) Error() string { return e.err.Error() }
func (e *syncError) Unwrap() error { return e.err }
