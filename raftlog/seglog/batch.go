package seglog

import (
	"sync/atomic"

	"github.com/trimarandb/trimaran/raftlog"
)

// headRoom is what a batch's buffer has before its records: room for the block
// that the frame begins in, and for the frame's header.
const headRoom = block + frameSize

// batch is what one commit carries. Requests are encoded into it as they come,
// while the commit before is under way.
type batch struct {
	records
	reqs  []*request
	class class
	sync  bool  // somebody needs a sync, whatever the policy
	base  int64 // place of the payload, once written
	seg   *segment

	// The first caller that has to wait does so on turn: true hands it the lead,
	// false says that the batch is settled. Others wait for done.
	waiter bool
	turn   chan bool
	done   chan struct{}
	users  atomic.Int32 // who still looks at the results

	err     error // of the writes
	syncErr error // of requests that only wanted a sync
}

// request is one submission on its way through a commit.
type request struct {
	ops  []op
	sync bool // needs a sync whatever the policy
	done func(error)
}

func (r *request) entries() (n int) {
	for i := range r.ops {
		n += len(r.ops[i].batch.Entries)
	}
	return n
}

// class is that of the most demanding op.
func (r *request) class() class {
	c := classStable
	for i := range r.ops {
		b := &r.ops[i].batch
		switch {
		case len(b.Entries) > 0:
			return classEntries
		case r.ops[i].remove || b.Reset != nil || b.TruncateFrom != 0 || b.CompactTo != 0:
			c = classTrim
		}
	}
	return c
}

// room is at least what the request takes when it is encoded.
func (r *request) room() (n int64) {
	for i := range r.ops {
		n += opRoom(&r.ops[i])
	}
	return n
}

// add encodes r at the end of b.
func (b *batch) add(r *request) {
	b.grow(r.room())
	for i := range r.ops {
		if o := &r.ops[i]; o.remove || !o.batch.IsZero() {
			b.records.add(o)
		}
	}
	b.reqs = append(b.reqs, r)
	b.class = max(b.class, r.class())
	b.sync = b.sync || r.sync
}

// grow makes room for n more bytes, and for the zeros that fill the last block.
func (r *records) grow(n int64) {
	want := len(r.b) + int(n) + block
	if cap(r.b) >= want {
		return
	}
	b := make([]byte, len(r.b), max(want, 2*cap(r.b)))
	copy(b, r.b)
	r.b = b
}

// result is what the request r of b is told.
func (b *batch) result(r *request) error {
	if len(r.ops) == 0 {
		return b.syncErr
	}
	return b.err
}

// keepBytes bounds the memory that is kept from one commit to the next.
const keepBytes = 2 << 20

// newBatch returns an empty batch. Store.order is held.
func (s *Store) newBatch() *batch {
	var b *batch
	if n := len(s.spent); n > 0 {
		b = s.spent[n-1]
		s.spent = s.spent[:n-1]
	} else {
		b = &batch{turn: make(chan bool, 1)}
		b.b = make([]byte, headRoom, 4*block)
	}
	b.b = b.b[:headRoom]
	b.reset(headRoom)
	b.users.Store(1) // the leader
	return b
}

// spend keeps a batch that nobody uses any more for the next commit.
func (s *Store) spend(b *batch) {
	if b.users.Add(-1) > 0 {
		return
	}
	clear(b.reqs)
	b.reqs = b.reqs[:0]
	b.class, b.sync, b.seg, b.waiter, b.done, b.err, b.syncErr = 0, false, nil, false, nil, nil, nil
	if cap(b.b) > keepBytes {
		b.b = make([]byte, headRoom, 4*block)
	}
	if cap(b.locs) > keepBytes/32 {
		b.locs = nil
	}
	s.order.Lock()
	defer s.order.Unlock()
	if len(s.spent) < 3 {
		s.spent = append(s.spent, b)
	}
}

// newRequest returns an empty request.
func (s *Store) newRequest() *request {
	if r, ok := s.requests.Get().(*request); ok {
		return r
	}
	return &request{}
}

// forget keeps r, which nobody knows any more, for a later submission.
func (s *Store) forget(r *request) {
	clear(r.ops)
	*r = request{ops: r.ops[:0]}
	s.requests.Put(r)
}

// fits reports whether r may join b.
func (s *Store) fits(b *batch, r *request) bool {
	return s.o.Sync != SyncAlways && len(b.locs)+r.entries() <= s.o.BufferSize && b.size() < commitBytes && b.size()+r.room() <= maxSubmission
}

// commitBytes bounds the memory of what one commit takes beyond its first
// request.
const commitBytes = 8 << 20

// maxSubmission bounds what is let into one frame: the bytes of its entries and
// keys, without the few that encoding adds.
const maxSubmission = raftlog.MaxBatchBytes + raftlog.MaxBatchBytes/4
