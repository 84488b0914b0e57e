package seglog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
)

// Open opens the log in dir and makes it if need be; every name and byte that
// it relies on is durable when it returns. Errors to test for: fault.ErrLocked
// while another process, or another Store of this one, has it open;
// fs.ErrPermission; fault.ErrUnsupported for a newer format; fault.ErrFull; and
// *fault.Corruption when acknowledged bytes are damaged or missing. What a
// crash cut off before it was acknowledged is no error: see Recovered.
func Open(dir string, o *Options) (*Store, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	root, err := vfs.At(opts.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	s := newStore(root, dir, opts)
	if err := s.open(); err != nil {
		if vfs.IsFull(err) {
			err = fmt.Errorf("%w: %w", fault.ErrFull, err)
		}
		return nil, fmt.Errorf("open log %s: %w", dir, errors.Join(err, s.release()))
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stopped, s.stop = ctx, stop
	if s.lazy() {
		s.background.Go(func() { s.flushEvery(ctx, opts.FlushInterval) })
	}
	s.work.Store(true)
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
	names, err := s.list()
	if err != nil {
		return err
	}
	for _, name := range names.temps {
		if number, ok := parseSpareName(strings.TrimSuffix(name, vfs.TempSuffix)); ok {
			// Large, and its name is not used again: it can wait.
			s.lastSpare = max(s.lastSpare, number)
			s.trash = append(s.trash, removal{name, s.o.SegmentSize})
			continue
		}
		if err := s.fs.Remove(name); err != nil {
			return err
		}
	}
	if !names.mark {
		// What an earlier process renamed or removed may be visible and not durable.
		// Nothing may be built on names that a power cut can still take back.
		if err := s.fs.SyncDir("."); err != nil {
			return err
		}
	}
	if err := s.draw(); err != nil {
		return err
	}
	if !names.identity {
		return s.createLog(names)
	}
	if err := s.readIdentity(); err != nil {
		return err
	}
	return s.recover(names)
}

func (s *Store) readIdentity() error {
	b, err := vfs.ReadFile(s.fs, identityName, 1<<10)
	if err != nil {
		return err
	}
	if s.id, err = parseIdentity(b); err != nil {
		return s.damaged(identityName, 0, fault.Committed, err)
	}
	return nil
}

// draw makes the salt of the segments that this open begins.
func (s *Store) draw() error {
	var b [8]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return fmt.Errorf("draw a salt: %w", err)
	}
	s.salt = binary.LittleEndian.Uint64(b[:])
	return nil
}

// names are what a directory holds.
type names struct {
	segs     []uint64 // in order
	spares   []uint64
	torn     []string
	temps    []string // what an earlier process had not finished
	mark     bool
	identity bool
}

// list sorts what is there.
func (s *Store) list() (n names, err error) {
	infos, err := s.fs.List(".")
	if err != nil {
		return n, err
	}
	for _, info := range infos {
		if seq, ok := parseSegmentName(info.Name); ok {
			n.segs = append(n.segs, seq)
		} else if seq, ok := parseSpareName(info.Name); ok {
			n.spares = append(n.spares, seq)
		}
		switch {
		case strings.HasSuffix(info.Name, vfs.TempSuffix):
			n.temps = append(n.temps, info.Name)
		case strings.HasSuffix(info.Name, tornExt):
			n.torn = append(n.torn, info.Name)
		}
		n.mark = n.mark || info.Name == cleanName
		n.identity = n.identity || info.Name == identityName
	}
	return n, nil
}

// createLog makes a log where there is none. The identity comes last, so that
// its absence means that creation never finished and nothing was acknowledged.
func (s *Store) createLog(n names) error {
	if err := s.checkUnmade(n); err != nil {
		return err
	}
	for _, seq := range n.segs {
		if err := s.fs.Remove(segmentName(seq)); err != nil {
			return err
		}
	}
	if len(n.segs) > 0 {
		// Durable before another one takes the name.
		if err := s.fs.SyncDir("."); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(s.o.Rand, s.id[:]); err != nil {
		return fmt.Errorf("make an identity: %w", err)
	}
	t, err := s.newSegment(header{id: s.id, seq: 1}, func(b []byte) []byte { return appendCheckpoint(b, nil, nil) }, nil)
	if err != nil {
		return fmt.Errorf("make the first segment: %w", err)
	}
	s.tail, s.segs = t, []*segment{t.seg}
	if err := vfs.WriteFile(s.fs, identityName, s.id.append(nil)); err != nil {
		return fmt.Errorf("write %s: %w", identityName, err)
	}
	return nil
}

// checkUnmade fails unless files without an identity are none, or what the
// creation of a log leaves behind. The mark, or a segment that holds more than a
// new one, proves the opposite.
func (s *Store) checkUnmade(n names) error {
	if n.mark {
		return s.missing(identityName, "the log was closed cleanly, so it had one")
	}
	for _, seq := range n.segs {
		if err := s.checkUnused(seq); err != nil {
			return err
		}
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
	w := walker{f: seg.f, seed: seg.seed, off: firstFrame, limit: seg.written, seq: h.firstSeq, sum: h.prevSum}
	if _, err := w.next(); err == nil && seq == 1 {
		var none *bad
		if _, err := w.next(); errors.Is(err, io.EOF) || errors.As(err, &none) {
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
	if seg.written, err = f.Size(); err != nil {
		return nil, header{}, errors.Join(err, f.Close())
	}
	h, err := s.readHeader(seg)
	if err != nil {
		return nil, header{}, errors.Join(err, f.Close())
	}
	seg.seed = h.id.seed(seq, h.salt)
	seg.salt = h.salt
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

// damaged makes an error of what parsing found: another version is not damage.
func (s *Store) damaged(name string, off int64, class fault.Class, err error) error {
	if errors.Is(err, fault.ErrUnsupported) {
		return fmt.Errorf("%s: %w", s.where(name), err)
	}
	return &fault.Corruption{Path: s.where(name), Offset: off, Class: class, Err: err}
}

func (s *Store) damage(seg *segment, off int64, reason string) error {
	return s.damaged(seg.name, off, fault.Committed, errors.New(reason))
}

func (s *Store) missing(name, reason string) error {
	return &fault.Corruption{Path: s.where(name), Offset: -1, Class: fault.Missing, Reason: reason}
}

// newStore returns a store that has not opened anything.
func newStore(root vfs.FS, dir string, o Options) *Store {
	s := &Store{fs: root, dir: dir, o: o, groups: make(map[raftlog.Group]*group), stop: func() {}}
	s.requests, s.plans = new(sync.Pool), new(sync.Pool)
	s.indexes.limit, s.indexes.held = o.IndexCache, make(map[*segment]*held)
	s.recent.size = min(int64(o.TailCache), blocks(o.SegmentSize))
	s.unwritten.b = make([]byte, headRoom)
	s.unwritten.reset(headRoom)
	return s
}
