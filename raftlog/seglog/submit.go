package seglog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// request is one submission on its way through a commit.
type request struct {
	ops  []op
	sync bool // needs a sync whatever the policy
	err  error

	// Who is told. With done nil a caller waits on wake: true hands it the
	// lead, false says that err is final.
	done func(error)
	wake chan bool
}

func (r *request) entries() int {
	n := 0
	for i := range r.ops {
		n += len(r.ops[i].batch.Entries)
	}
	return n
}

// Submit implements raftlog.Driver.
func (s *Store) Submit(batches []raftlog.GroupBatch, done func(error)) error {
	if err := s.enter("write"); err != nil {
		return err
	}
	r := &request{ops: make([]op, len(batches)), done: done}
	for i := range batches {
		if err := batches[i].Batch.Validate(raftlog.MaxBatchBytes); err != nil {
			s.gate.Leave()
			return fmt.Errorf("write to group %v: %w", batches[i].Group, err)
		}
		r.ops[i] = op{group: batches[i].Group, batch: batches[i].Batch}
		r.sync = r.sync || len(batches[i].Batch.Stable) > 0
	}
	if done == nil {
		defer s.gate.Leave()
		return s.run(r)
	}
	lead, err := s.enqueue(r)
	if err != nil {
		s.gate.Leave()
		return err
	}
	if lead {
		go s.lead(nil)
	}
	return nil
}

// Remove implements raftlog.Driver.
func (s *Store) Remove(name raftlog.Group) error {
	if err := s.enter("remove group"); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.run(&request{ops: []op{{group: name, remove: true}}, sync: true})
}

// run submits r and returns when it is committed. A caller that finds nobody
// committing does it itself, so a lone writer never changes goroutines.
func (s *Store) run(r *request) error {
	r.wake = make(chan bool, 1)
	lead, err := s.enqueue(r)
	if err != nil {
		return err
	}
	if lead || <-r.wake {
		s.lead(r)
	}
	return r.err
}

// enqueue fixes the place of r in the order of writes, if it may follow what
// is there. It reports whether the caller must lead.
func (s *Store) enqueue(r *request) (lead bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return false, s.poisoned()
	}
	if s.failing != nil {
		return false, s.failing
	}
	if err := s.admit(r.ops); err != nil {
		return false, err
	}
	s.queue = append(s.queue, r)
	lead = !s.leading
	s.leading = true
	return lead, nil
}

func (s *Store) poisoned() error {
	return fmt.Errorf("write: log %s: %w: %w", s.dir, fault.ErrPoisoned, s.broken)
}

// admit checks all of ops before it moves any group's submitted shape.
func (s *Store) admit(ops []op) error {
	size := int64(0)
	for i := range ops {
		o := &ops[i]
		if slices.ContainsFunc(ops[:i], func(p op) bool { return p.group == o.group }) {
			return fmt.Errorf("write: group %v appears twice: %w", o.group, fault.ErrInvalid)
		}
		var next raftlog.Shape
		if g := s.groups[o.group]; g != nil {
			next = g.next
		}
		if err := next.Check(&o.batch); err != nil {
			return err
		}
		if size += o.batch.Size(); size > maxSubmission {
			return fmt.Errorf("write: over %d bytes in one submission, split it: %w", int64(maxSubmission), fault.ErrInvalid)
		}
	}
	for i := range ops {
		g := s.group(ops[i].group)
		if ops[i].remove {
			g.next = raftlog.Shape{}
		}
		g.next.Apply(&ops[i].batch)
	}
	return nil
}

// lead commits what is queued, own first if there is one, and hands the lead
// on when own is done or, without own, when the queue is empty.
func (s *Store) lead(own *request) {
	for {
		reqs := s.take()
		s.settle(own, reqs, s.commit(reqs))
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.leading = false
			s.mu.Unlock()
			return
		}
		next := s.queue[0]
		s.mu.Unlock()
		switch {
		case next.done == nil:
			next.wake <- true
			return
		case own != nil:
			go s.lead(nil)
			return
		}
	}
}

// commitBytes bounds the memory of what one commit takes beyond its first
// request.
const commitBytes = 8 << 20

// take removes from the queue what the next commit carries. When the last
// commit had company, its callers are about to come back: yielding twice lets
// them join, else commits alternate between one request and all the others.
func (s *Store) take() []*request {
	if s.company {
		runtime.Gosched()
		runtime.Gosched()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, entries, size := 0, 0, int64(0)
	for n < len(s.queue) && (n == 0 || entries < s.o.BufferSize && size < commitBytes && s.o.Sync != SyncAlways) {
		for i := range s.queue[n].ops {
			size += s.queue[n].ops[i].batch.Size()
		}
		entries += s.queue[n].entries()
		n++
	}
	reqs := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.company = n > 1
	return reqs
}

// settle makes a committed group visible, or takes back a failed one together
// with everything submitted after it, which had relied on it. Then it tells
// the callers, in order; until all of them know, nothing new is accepted, for
// it might still rely on what failed.
func (s *Store) settle(own *request, reqs []*request, err error) {
	s.mu.Lock()
	if err == nil {
		for _, r := range reqs {
			s.apply(r.ops)
		}
		s.retire()
	} else {
		s.failing = err
		reqs = append(reqs, s.queue...)
		s.queue = nil
		for _, g := range s.groups {
			g.next = g.shape.Clone()
		}
	}
	s.mu.Unlock()
	for _, r := range reqs {
		r.err = err
		switch {
		case r.done != nil:
			r.done(err)
			s.gate.Leave()
		case r != own:
			r.wake <- false
		}
	}
	if err != nil {
		s.mu.Lock()
		s.failing = nil
		s.mu.Unlock()
	}
}

// apply makes ops visible. A group that holds nothing, and of which nothing is
// submitted, is forgotten; it comes back with the next op. Store.mu is held.
func (s *Store) apply(ops []op) {
	for i := range ops {
		o := &ops[i]
		g := s.group(o.group)
		g.apply(o)
		if g.empty() && g.next.Bounds() == (raftlog.Bounds{}) {
			delete(s.groups, o.group)
		}
	}
}

func (s *Store) group(name raftlog.Group) *group {
	g := s.groups[name]
	if g == nil {
		g = newGroup()
		s.groups[name] = g
	}
	return g
}

// flushEvery is the background sync of SyncInterval.
func (s *Store) flushEvery(ctx context.Context, interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := s.Sync(); errors.Is(err, fault.ErrPoisoned) || errors.Is(err, fault.ErrClosed) {
				return // every write reports it
			}
		}
	}
}
