package trimaran

import (
	"context"
	"sync/atomic"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

// Metrics are counters since New, and the state of the layers in numbers.
type Metrics struct {
	SnapshotsCreated  uint64
	SnapshotsRestored uint64
	LogCompactions    uint64
	TotalOperations   uint64 // acknowledged log batches plus applied batches

	AppliedBatches uint64
	AppliedEntries uint64
	AppliedIndex   uint64

	Leases      int    // that keep log now
	LeasesEnded uint64 // before they were released

	DiskUsed int64 // bytes, by the last round of Maintain; 0 without a disk budget
	Full     bool  // Admit refuses

	Log  raftlog.Stats
	Data kv.Stats
}

type counters struct {
	snapshotsCreated, snapshotsRestored, logCompactions atomic.Uint64
	appliedBatches, appliedEntries, leasesEnded         atomic.Uint64
}

func (c *counters) applied(entries uint64) {
	c.appliedBatches.Add(1)
	c.appliedEntries.Add(entries)
}

// Metrics reads the counters. It is cheap. Numbers of a layer that cannot tell
// them are zero; Health says why.
func (s *Storage) Metrics() Metrics {
	m := Metrics{
		SnapshotsCreated:  s.metrics.snapshotsCreated.Load(),
		SnapshotsRestored: s.metrics.snapshotsRestored.Load(),
		LogCompactions:    s.metrics.logCompactions.Load(),
		AppliedBatches:    s.metrics.appliedBatches.Load(),
		AppliedEntries:    s.metrics.appliedEntries.Load(),
		LeasesEnded:       s.metrics.leasesEnded.Load(),
		DiskUsed:          s.used.Load(),
		Full:              s.Admit() != nil,
	}
	s.mu.Lock()
	m.Leases = len(s.leases)
	s.mu.Unlock()
	if st, err := s.log.Stats(); err == nil {
		m.Log = st
	}
	if st, err := s.data.Stats(); err == nil {
		m.Data = st
	}
	if mark, err := s.data.Mark(context.Background()); err == nil {
		m.AppliedIndex = mark.Index
	}
	m.TotalOperations = m.Log.Writes + m.AppliedBatches
	return m
}
