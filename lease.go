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

// KeepLog keeps the log from index from on, for limit at most or until release
// is called, so that whoever is sent a snapshot finds the entries that follow
// it. fault.ErrCompacted says that from is gone already. It binds the
// composite's own compaction; a library that owns the log decides itself.
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

// leased is the index up to which leases let the log be compacted.
func (s *Storage) leased() uint64 {
	now := s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	to := uint64(math.MaxUint64)
	for l := range s.leases {
		switch {
		case now.After(l.until):
			delete(s.leases, l)
		case l.from > 0:
			to = min(to, l.from-1)
		}
	}
	return to
}
