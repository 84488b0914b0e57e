package hashiraft

import (
	"fmt"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// sink takes the payload of one snapshot. Close and Cancel may be called in any
// order and twice, as raft and state machines do: the first one decides.
type sink struct {
	s *SnapshotStore
	w *snapshot.Writer

	mu    sync.Mutex
	own   bool // written by this node's state machine
	ended bool
	id    snapshot.ID
	err   error // of the first Close or Cancel
}

// Write takes the next bytes of the payload.
func (s *sink) Write(p []byte) (int, error) { return s.w.Write(p) }

// SetEntries says how many rows the payload holds.
func (s *sink) SetEntries(n uint64) { s.w.SetEntries(n) }

// ID is the snapshot's name once Close has published it, and empty before.
func (s *sink) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id.IsZero() {
		return ""
	}
	return s.id.String()
}

// Close publishes the snapshot; it is durable and was read back on return.
// After a Cancel it says that there is none.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return s.err
	}
	s.ended = true
	meta, err := s.w.Commit()
	if err != nil {
		s.err = err
		return err
	}
	s.id = meta.ID
	s.s.told(meta, s.own)
	return nil
}

// Cancel discards the snapshot unless it was published.
func (s *sink) Cancel() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	s.err = fmt.Errorf("close snapshot: it was cancelled: %w", fault.ErrClosed)
	return s.w.Close()
}

func (a *Adapter) published(m snapshot.Meta, own bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Index >= a.newest.Index {
		a.newest = raftlog.Position{Index: m.Index, Term: m.Term}
	}
	if !own {
		a.received = m.ID
	}
}
