package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Open opens the log in dir and makes it if need be; every name and byte that
// it relies on is durable when it returns. Errors to test for: fault.ErrLocked
// while another process, or another Store of this one, has it open;
// fs.ErrPermission; fault.ErrUnsupported for a newer format; and
// *fault.Corruption when acknowledged bytes are damaged or missing. What a
// crash cut off before it was acknowledged is no error.
func Open(dir string, o *Options) (*Store, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	root, err := vfs.At(opts.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	s := &Store{fs: root, dir: dir, o: opts, groups: make(map[raftlog.Group]*group)}
	if err := s.open(); err != nil {
		if vfs.IsFull(err) {
			err = fmt.Errorf("%w: %w", fault.ErrFull, err)
		}
		return nil, fmt.Errorf("open log %s: %w", dir, errors.Join(err, s.release()))
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if opts.Sync == SyncInterval {
		s.background.Go(func() { s.flushEvery(ctx, opts.FlushInterval) })
	}
	return s, nil
}

func (s *Store) open() error {
	lock, err := s.fs.Lock(lockName)
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %w", fault.ErrLocked, err)
	}
	if err != nil {
		return err
	}
	s.lock = lock
	seqs, err := s.list()
	if err != nil {
		return err
	}
	b, err := vfs.ReadFile(s.fs, identityName, 1<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.createLog(seqs)
	case err != nil:
		return err
	}
	if s.id, err = parseIdentity(b); err != nil {
		return s.damaged(identityName, 0, fault.Committed, err)
	}
	return s.recover(seqs)
}

// damaged makes an error of what parsing found: another version is not damage.
func (s *Store) damaged(name string, off int64, class fault.Class, err error) error {
	if errors.Is(err, fault.ErrUnsupported) {
		return fmt.Errorf("%s: %w", s.where(name), err)
	}
	return &fault.Corruption{Path: s.where(name), Offset: off, Class: class, Err: err}
}

// list removes what an earlier process had not finished and returns the
// sequences of the segments, in order.
func (s *Store) list() ([]uint64, error) {
	infos, err := s.fs.List(".")
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, info := range infos {
		if strings.HasSuffix(info.Name, vfs.TempSuffix) {
			if err := s.fs.Remove(info.Name); err != nil {
				return nil, err
			}
		} else if seq, ok := parseSegmentName(info.Name); ok {
			seqs = append(seqs, seq)
		}
	}
	// What an earlier process renamed or removed may be visible and not durable.
	// Nothing may be built on names that a power cut can still take back.
	return seqs, s.fs.SyncDir(".")
}

// createLog makes a log where there is none. The identity comes last, so that
// its absence means that creation never finished and nothing was acknowledged.
// A segment that holds more than a new one proves the opposite.
func (s *Store) createLog(seqs []uint64) error {
	if _, err := s.fs.Stat(cleanName); err == nil {
		return s.missing(identityName, "the log was closed cleanly, so it had one")
	}
	for _, seq := range seqs {
		if err := s.checkUnused(seq); err != nil {
			return err
		}
		if err := s.fs.Remove(segmentName(seq)); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(s.o.Rand, s.id[:]); err != nil {
		return fmt.Errorf("make an identity: %w", err)
	}
	var err error
	if s.tail, err = s.create(header{id: s.id, seq: 1}, s.checkpoint); err != nil {
		return fmt.Errorf("make the first segment: %w", err)
	}
	s.segs = []*segment{s.tail.seg}
	if err := vfs.WriteFile(s.fs, identityName, s.id.append(nil)); err != nil {
		return fmt.Errorf("write %s: %w", identityName, err)
	}
	return nil
}

// checkUnused fails unless a segment found without an identity is what the
// creation of a log leaves behind.
func (s *Store) checkUnused(seq uint64) (err error) {
	seg, h, err := s.openSegment(seq)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seg.f.Close()) }()
	w := walker{f: seg.f, seed: seg.seed, off: firstFrame, limit: seg.size, seq: h.firstSeq, sum: h.prevSum}
	if _, err := w.next(); err == nil && seq == 1 {
		if _, err := w.next(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	return s.missing(identityName, fmt.Sprintf("%s has content, so there was one", seg.name))
}

// openSegment opens a segment's file and reads its header.
func (s *Store) openSegment(seq uint64) (*segment, header, error) {
	name := segmentName(seq)
	f, err := s.fs.OpenWrite(name)
	if err != nil {
		return nil, header{}, err
	}
	seg := &segment{seq: seq, name: name, f: f}
	if seg.size, err = f.Size(); err != nil {
		return nil, header{}, errors.Join(err, f.Close())
	}
	h, err := s.readHeader(seg)
	if err != nil {
		return nil, header{}, errors.Join(err, f.Close())
	}
	seg.seed = h.id.seed(seq)
	return seg, h, nil
}

func (s *Store) readHeader(seg *segment) (h header, err error) {
	var b [firstFrame]byte
	n, err := seg.f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	if h, err = parseHeader(b[:n]); err != nil {
		return h, s.damaged(seg.name, 0, fault.Committed, err)
	}
	if h.seq != seg.seq {
		return h, &fault.Corruption{Path: s.where(seg.name), Offset: 0, Class: fault.Foreign, Reason: fmt.Sprintf("it is segment %d of log %v", h.seq, h.id)}
	}
	return h, nil
}
