package seglog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// lazyBytes is how much SyncInterval and SyncNever keep in memory before they
// write it.
const lazyBytes = 256 << 10

// lazy reports that entries are acknowledged before they are written.
func (s *Store) lazy() bool { return s.o.Sync == SyncInterval || s.o.Sync == SyncNever }

// buffer takes one group's batch, which was validated, into what is
// acknowledged and not written, and reports whether it did or refused to: not
// while somebody commits, nor what needs a sync or no longer fits the active
// segment. Such a batch takes the long way, as does everything once the log
// fails or closes.
func (s *Store) buffer(gb *raftlog.GroupBatch) (done bool, err error) {
	s.order.Lock()
	defer s.order.Unlock()
	b := &gb.Batch
	if s.leading || s.marked || s.shut || s.broken != nil || s.failing != nil || len(b.Stable) > 0 {
		return false, nil
	}
	r := &s.short
	r.ops = append(r.ops[:0], op{name: gb.Group, batch: *b})
	defer clear(r.ops)
	o := &r.ops[0]
	t := s.tail
	n, base := opRoom(o), t.end+frameSize
	end := base + s.unwritten.size() + n + s.reserve()
	if s.unwritten.size()+n > lazyBytes || end > t.limit || end > t.seg.written {
		return false, nil
	}
	if err := s.admit(r); err != nil {
		return true, err
	}
	s.unwrittenSeg, s.unwrittenAt = t.seg, base
	s.unwritten.grow(n)
	from := len(s.unwritten.runs)
	if !b.IsZero() {
		s.unwritten.add(o)
	}
	s.unwritten.placeFrom(from, t.seg.seed, base)
	s.mu.Lock()
	s.apply(o, t.seg, base, &s.unwritten)
	s.stats.unsynced += uint64(len(b.Entries))
	s.mu.Unlock()
	s.letGo(r, false)
	return true, nil
}

// flush writes the buffer, as one frame.
func (s *Store) flush() error {
	if s.unwritten.size() == 0 {
		return nil
	}
	if err := s.writeFrame(&s.unwritten); err != nil {
		return err
	}
	// From here on readers find it in the file.
	s.order.Lock()
	defer s.order.Unlock()
	s.unwrittenSeg = nil
	s.unwritten.b = s.unwritten.b[:headRoom]
	s.unwritten.reset(headRoom)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.seg.end = s.tail.end
	return nil
}

// readUnwritten fills p from the end with what of seg[off:] is still in memory,
// and returns what is left to be read from the file.
func (s *Store) readUnwritten(p []byte, seg *segment, off int64) []byte {
	s.order.Lock()
	defer s.order.Unlock()
	base := s.unwrittenAt
	if s.unwrittenSeg != seg || off+int64(len(p)) <= base {
		return p
	}
	from := max(off, base)
	copy(p[from-off:], s.unwritten.b[headRoom+from-base:])
	return p[:from-off]
}

// flushEvery writes the buffer now and then, and under SyncInterval syncs it,
// beside whoever writes on.
func (s *Store) flushEvery(ctx context.Context, interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			err := s.run(s.newRequest())
			if err == nil && s.o.Sync == SyncInterval {
				err = s.syncWritten()
			}
			if errors.Is(err, fault.ErrPoisoned) || errors.Is(err, fault.ErrClosed) {
				return // every write reports it
			}
		}
	}
}

// syncWritten makes durable what is written. Writes go on meanwhile.
func (s *Store) syncWritten() error {
	s.mu.RLock()
	seg := s.segs[len(s.segs)-1]
	end := seg.end
	seg.users.Add(1)
	s.mu.RUnlock()
	defer seg.users.Done()
	if seg.durable.Load() >= end {
		return nil
	}
	if err := s.sync(seg, end); err != nil {
		return s.explain(&syncError{fmt.Errorf("sync %s: %w", seg.name, err)})
	}
	return nil
}
