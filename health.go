package trimaran

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// State is how well a part is.
type State uint8

// From best to worst.
const (
	Healthy State = iota
	Degraded
	Unhealthy
)

func (s State) String() string {
	switch s {
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	}
	return "unhealthy"
}

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error {
	for _, known := range []State{Healthy, Degraded, Unhealthy} {
		if known.String() == string(b) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("state %q: want healthy, degraded or unhealthy: %w", b, fault.ErrInvalid)
}

// Status is the state of one part. Reason is empty when it is healthy.
type Status struct {
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Health says how the three layers are, and what is around them. Overall is the
// worst of all.
type Health struct {
	Log         Status        `json:"log"`
	Snapshots   Status        `json:"snapshots"`
	Data        Status        `json:"data"`
	Maintenance Status        `json:"maintenance"`
	Room        Status        `json:"room"` // degraded while Admit refuses
	Overall     State         `json:"overall"`
	MayVote     bool          `json:"may_vote"`     // a vote would be durable
	SnapshotAge time.Duration `json:"snapshot_age"` // of the newest valid one; 0 without one
	SyncMax     time.Duration `json:"sync_max"`     // the longest sync of the log
	CatchUp     uint64        `json:"catch_up"`     // entries before the newest snapshot: so far behind it a follower may be and need none
	DiskFree    int64         `json:"disk_free"`    // bytes; 0 where Options.Space does not tell
	DiskUsed    int64         `json:"disk_used"`    // bytes, of the disk budget

	base, newest uint64 // indices, of log and newest snapshot
}

// Health asks each layer, and waits Options.ProbeTimeout for each at most. It
// never fails: what goes wrong is in the answer.
func (s *Storage) Health(ctx context.Context) Health {
	late := Status{Unhealthy, fmt.Sprintf("no answer within %v", s.o.ProbeTimeout)}
	h := probe(ctx, s.o.ProbeTimeout, Health{Log: late}, s.logHealth)
	snaps := probe(ctx, s.o.ProbeTimeout, Health{Snapshots: late}, s.snapshotHealth)
	h.Snapshots, h.SnapshotAge = snaps.Snapshots, snaps.SnapshotAge
	h.CatchUp = max(snaps.newest, h.base) - h.base
	h.Data = probe(ctx, s.o.ProbeTimeout, late, s.dataHealth)
	room := probe(ctx, s.o.ProbeTimeout, Health{Room: late}, s.roomHealth)
	h.Room, h.DiskFree, h.DiskUsed = room.Room, room.DiskFree, room.DiskUsed
	s.mu.Lock()
	if s.lastErr != nil {
		h.Maintenance = Status{Degraded, s.lastErr.Error()}
	}
	s.mu.Unlock()
	h.Overall = max(h.Log.State, h.Snapshots.State, h.Data.State, h.Maintenance.State, h.Room.State)
	return h
}

// probe returns what ask answers, or late if it does not in time.
func probe[T any](ctx context.Context, limit time.Duration, late T, ask func(context.Context) T) T {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan T, 1)
	go func() { answer <- ask(ctx) }()
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		return late
	}
}

// logHealth fills in what it knows of the log.
func (s *Storage) logHealth(context.Context) (h Health) {
	st, err := s.log.Stats()
	h.MayVote = err == nil && st.Poisoned == nil && !s.log.Volatile()
	h.SyncMax, h.base = st.SyncMax, st.Base.Index
	switch {
	case err != nil:
		h.Log = Status{Unhealthy, err.Error()}
	case st.Poisoned != nil:
		h.Log = Status{Unhealthy, "writes fail until it is reopened: " + st.Poisoned.Error()}
	case s.log.Volatile():
		h.Log = Status{Degraded, "in memory: entries and votes do not survive the process"}
	case st.SyncPolicy == "interval" || st.SyncPolicy == "never":
		h.Log = Status{Degraded, "sync policy " + st.SyncPolicy + ": acknowledged entries may not survive a power cut"}
	case st.TrustsMemory:
		h.Log = Status{Degraded, "checksum validation is off: entries in memory are not verified again when they are read"}
	}
	return h
}

// snapshotHealth fills in what it knows of the snapshots.
func (s *Storage) snapshotHealth(ctx context.Context) (h Health) {
	meta, err := s.snaps.Latest(ctx)
	switch {
	case errors.Is(err, fault.ErrNotFound):
	case errors.Is(err, fault.ErrCorrupt):
		h.Snapshots = Status{Degraded, "the newest snapshot is damaged: " + err.Error()}
	case err != nil:
		h.Snapshots = Status{Unhealthy, err.Error()}
	default:
		h.SnapshotAge, h.newest = max(0, s.o.Now().Sub(meta.Created)), meta.Index
	}
	return h
}

// roomHealth fills in what it knows of the disk and the budget.
func (s *Storage) roomHealth(context.Context) (h Health) {
	h.DiskUsed = s.used.Load()
	if err := s.Admit(); err != nil {
		h.Room = Status{Degraded, err.Error()}
	}
	if s.o.Space == nil {
		return h
	}
	free, err := s.o.Space()
	if h.DiskFree = free; err != nil && h.Room.State == Healthy {
		h.Room = Status{Degraded, err.Error()}
	}
	return h
}

func (s *Storage) dataHealth(ctx context.Context) Status {
	if _, err := s.data.Mark(ctx); err != nil {
		return Status{Unhealthy, err.Error()}
	}
	if behind := s.behind.Load(); behind != nil {
		return Status{Unhealthy, (*behind).Error()}
	}
	st, err := s.data.Stats()
	switch {
	case err != nil:
		return Status{Unhealthy, err.Error()}
	case st.Poisoned != nil:
		return Status{Unhealthy, "writes fail until it is reopened: " + st.Poisoned.Error()}
	case st.ClockBehind:
		return Status{Degraded, "a command's clock was more than an hour ahead and was held back"}
	}
	return Status{}
}

// Watch yields the health now and then every so often, until ctx is over or
// the loop is left.
func (s *Storage) Watch(ctx context.Context, every time.Duration) iter.Seq[Health] {
	return func(yield func(Health) bool) {
		t := time.NewTicker(every)
		defer t.Stop()
		for yield(s.Health(ctx)) {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	}
}
