package trimaran

import (
	"fmt"
	"math"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// lease keeps the log from one index on.
type lease struct {
	from  uint64
	until time.Time
}

// KeepLog keeps the log from index from on, until release is called, so that
// whoever is sent a snapshot finds the entries that follow it. It ends before
// that, which is logged and counted, after limit, when it holds back more of
// the log than Options.LeaseEntries and LeaseBytes allow, and when the disk
// budget's hard limit is exceeded: the follower is then sent another snapshot.
// fault.ErrCompacted says that from is gone already. It binds the composite's
// own compaction; a library that owns the log decides itself.
func (s *Storage) KeepLog(from uint64, limit time.Duration) (release func(), err error) {
	if err := s.enter("keep log"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	l := &lease{from: from, until: s.o.Now().Add(limit)}
	s.mu.Lock()
	s.leases[l] = struct{}{}
	s.mu.Unlock()
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.leases, l)
	}
	b, err := s.log.Bounds() // after the lease counts, so that none slips between
	if err == nil && from < b.First() {
		err = fmt.Errorf("keep log from %d: first is %d: %w", from, b.First(), fault.ErrCompacted)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// leased is the index up to which leases let the log be compacted, which goes
// to index to without them, with entries of so many bytes on average. Leases
// that hold back too much of that end.
func (s *Storage) leased(to uint64, size float64) uint64 {
	most := s.o.LeaseEntries
	if size > 0 {
		most = min(most, uint64(float64(s.o.LeaseBytes)/size))
	}
	now, bound := s.o.Now(), uint64(math.MaxUint64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		switch {
		case now.After(l.until):
			s.endLease(l, "time is over")
		case l.from <= to && to-l.from+1 > most:
			s.endLease(l, "holds back too much")
		case l.from > 0:
			bound = min(bound, l.from-1)
		}
	}
	return bound
}

// endLeases ends all leases, and reports whether there were any.
func (s *Storage) endLeases(why string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	any := len(s.leases) > 0
	for l := range s.leases {
		s.endLease(l, why)
	}
	return any
}

// endLease ends one; the caller holds mu.
func (s *Storage) endLease(l *lease, why string) {
	delete(s.leases, l)
	s.metrics.leasesEnded.Add(1)
	s.o.Logger.Warn("lease ended", "from", l.from, "reason", why)
}
