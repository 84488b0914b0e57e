package raftlog

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats is the state of one log in numbers.
type Stats struct {
	Bounds             // first, last and count of entries
	Writes     uint64  // batches acknowledged through this Log
	Compacted  uint64  // entries at or below the base, which are not there any more
	Throughput float64 // acknowledged entries a second, over the last 10 seconds
	AvgSize    float64 // bytes an entry occupies on average
	Size               // from the driver; zero where it cannot tell
}

// Size is what a log and the store below it occupy.
type Size struct {
	Bytes uint64 // what the group's entries occupy

	// Of the store, all groups together.
	Segments   int           // files
	LiveBytes  uint64        // entries that can be read
	DeadBytes  uint64        // the rest of the files
	Spares     int           // files kept for later segments
	SpareBytes uint64        // that they occupy
	Syncs      uint64        // since open
	SyncTime   time.Duration // spent in them
	SyncMax    time.Duration // the longest
	SyncTimes  Histogram     // how long they took, in microseconds
	SyncSizes  Histogram     // how many entries each made durable
	Synced     uint64        // entries they made durable
	Poisoned   error         // why writes fail, nil if they do not
	SyncPolicy string        // as configured; empty for a volatile store

	TrustsMemory bool // what this process put into memory is not verified again when it is read
}

// EntriesPerSync is how many entries share a sync on average.
func (s Size) EntriesPerSync() float64 {
	if s.Syncs == 0 {
		return 0
	}
	return float64(s.Synced) / float64(s.Syncs)
}

// Stats returns the state of the log in numbers.
func (l *Log) Stats() (Stats, error) {
	if err := l.enter("stats"); err != nil {
		return Stats{}, err
	}
	defer l.gate.Leave()
	b, err := l.d.Bounds(l.g)
	if err != nil {
		return Stats{}, err
	}
	st := Stats{Bounds: b, Writes: l.writes.Load(), Compacted: b.Base.Index, Throughput: l.rate.perSecond()}
	if s, ok := As[Sizer](l.d); ok {
		if st.Size, err = s.Size(l.g); err != nil {
			return Stats{}, err
		}
		if n := b.Count(); n > 0 {
			st.AvgSize = float64(st.Bytes) / float64(n)
		}
	}
	return st, nil
}

// rate counts events in one-second slots and averages the last full window.
type rate struct {
	calls atomic.Uint64 // of add, in this second
	fresh atomic.Int64  // events that are in no slot yet
	now   func() time.Time
	start time.Time

	mu    sync.Mutex
	slots [rateWindow + 1]struct{ second, n int64 }
}

const rateWindow = 10 // seconds

func (r *rate) begin(now func() time.Time) { r.now, r.start = now, now() }

func (r *rate) second() int64 { return int64(r.now().Sub(r.start) / time.Second) }

// A log that is written to more than manyCalls times a second has its clock
// looked at once in fewCalls only: it costs as much as a write to memory.
const (
	manyCalls = 1000
	fewCalls  = 32
)

func (r *rate) add(n int) {
	r.fresh.Add(int64(n))
	if calls := r.calls.Add(1); calls < manyCalls || calls%fewCalls == 0 {
		r.settle(r.second())
	}
}

// settle counts what is fresh for the second that it is.
func (r *rate) settle(sec int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := &r.slots[sec%int64(len(r.slots))]
	if slot.second != sec {
		slot.second, slot.n = sec, 0
		r.calls.Store(0)
	}
	slot.n += r.fresh.Swap(0)
}

// perSecond averages the last ten full seconds, or all of a shorter life.
func (r *rate) perSecond() float64 {
	elapsed := r.now().Sub(r.start).Seconds()
	sec := r.second()
	r.settle(sec)
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int64
	for _, s := range r.slots {
		if s.second > sec-rateWindow && s.second <= sec {
			n += s.n
		}
	}
	window := min(elapsed, rateWindow)
	if window < 1 {
		window = 1
	}
	return float64(n) / window
}
