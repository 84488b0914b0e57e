package seglog

import (
	"fmt"
	"runtime"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Submit implements raftlog.Driver.
func (s *Store) Submit(batches []raftlog.GroupBatch, done func(error)) error {
	for i := range batches {
		if err := batches[i].Batch.Validate(raftlog.MaxBatchBytes); err != nil {
			return fmt.Errorf("write to group %v: %w", batches[i].Group, err)
		}
	}
	if s.lazy() && done == nil && len(batches) == 1 {
		if done, err := s.buffer(&batches[0]); done {
			return err
		}
	}
	if err := s.enter("write"); err != nil {
		return err
	}
	r := s.newRequest()
	r.done = done
	for i := range batches {
		r.ops = append(r.ops, op{name: batches[i].Group, batch: batches[i].Batch})
		r.sync = r.sync || len(batches[i].Batch.Stable) > 0
	}
	if done == nil {
		defer s.gate.Leave()
		return s.run(r)
	}
	p, err := s.enqueue(r)
	if err != nil {
		s.gate.Leave()
		return err
	}
	if p.lead {
		s.background.Go(func() { s.lead(nil) })
	}
	return nil
}

// Remove implements raftlog.Driver.
func (s *Store) Remove(name raftlog.Group) error {
	if err := s.enter("remove group"); err != nil {
		return err
	}
	defer s.gate.Leave()
	r := s.newRequest()
	r.ops, r.sync = append(r.ops, op{name: name, remove: true}), true
	return s.run(r)
}

// run submits r and returns when it is committed. A caller that finds nobody
// committing does it itself, so a lone writer never changes goroutines.
func (s *Store) run(r *request) error {
	p, err := s.enqueue(r)
	if err != nil {
		return err
	}
	b := p.b
	switch {
	case p.lead:
		s.lead(b)
	case p.first:
		if <-b.turn {
			s.takeTurn(b)
			s.lead(b)
		}
	default:
		<-p.done
	}
	err = b.result(r)
	s.spend(b)
	s.forget(r)
	s.maintain()
	return err
}

// takeTurn makes room for another caller to wait for the turn of b.
func (s *Store) takeTurn(b *batch) {
	s.order.Lock()
	defer s.order.Unlock()
	b.waiter = false
}

// seat is the place that a request got in the order of writes.
type seat struct {
	b     *batch
	lead  bool // the caller must lead
	first bool // the caller waits for its turn, else for done
	done  chan struct{}
}

// enqueue fixes the place of r in the order of writes, if it may follow what
// is there, and encodes it.
func (s *Store) enqueue(r *request) (p seat, err error) {
	s.order.Lock()
	defer s.order.Unlock()
	if s.broken != nil {
		return p, s.poisoned()
	}
	if s.failing != nil {
		return p, s.failing
	}
	if err := s.admit(r); err != nil {
		return p, err
	}
	n := len(s.queue)
	if n == 0 || !s.fits(s.queue[n-1], r) {
		s.queue = append(s.queue, s.newBatch())
		n++
	}
	p.b = s.queue[n-1]
	p.b.add(r)
	p.lead = !s.leading
	s.leading = true
	if r.done != nil {
		return p, nil
	}
	p.b.users.Add(1)
	if p.lead {
		return p, nil
	}
	if p.first = !p.b.waiter; p.first {
		p.b.waiter = true
		return p, nil
	}
	if p.b.done == nil {
		p.b.done = make(chan struct{})
	}
	p.done = p.b.done
	return p, nil
}

func (s *Store) poisoned() error {
	return fmt.Errorf("write: log %s: %w: %w", s.dir, fault.ErrPoisoned, s.broken)
}

// admit checks all of r before it moves any group's submitted shape.
func (s *Store) admit(r *request) error {
	size := int64(0)
	for i := range r.ops {
		o := &r.ops[i]
		for j := range r.ops[:i] {
			if r.ops[j].name == o.name {
				return fmt.Errorf("write: group %v appears twice: %w", o.name, fault.ErrInvalid)
			}
		}
		if o.from != 0 {
			continue // no shape changes
		}
		var err error
		if o.g = s.groups[o.name]; o.g != nil {
			err = o.g.next.Check(&o.batch)
		} else {
			var unknown raftlog.Shape
			err = unknown.Check(&o.batch)
		}
		if err != nil {
			return err
		}
		if size += o.batch.Size(); size > maxSubmission {
			return fmt.Errorf("write: over %d bytes in one submission, split it: %w", int64(maxSubmission), fault.ErrInvalid)
		}
	}
	for i := range r.ops {
		o := &r.ops[i]
		if o.g == nil {
			o.g = s.group(o.name)
		}
		o.g.queued++
		if o.remove {
			o.g.next = raftlog.Shape{}
		}
		if o.from == 0 {
			o.g.next.Apply(&o.batch)
		}
	}
	return nil
}

// group returns the group of that name and makes it if need be. Store.order is
// held.
func (s *Store) group(name raftlog.Group) *group {
	g := s.groups[name]
	if g == nil {
		g = newGroup()
		s.mu.Lock()
		s.groups[name] = g
		s.mu.Unlock()
	}
	return g
}

// lead commits what is queued, own first if there is one, and hands the lead
// on when own is done or, without own, when the queue is empty.
func (s *Store) lead(own *batch) {
	for {
		b := s.take()
		b.err, b.syncErr = s.commit(b)
		s.settle(b)
		s.order.Lock()
		if len(s.queue) == 0 {
			s.leading = false
			s.order.Unlock()
			break
		}
		next := s.queue[0]
		waiter := next.waiter
		s.order.Unlock()
		switch {
		case waiter:
			next.turn <- true
			return
		case own != nil:
			s.background.Go(func() { s.lead(nil) })
			return
		}
	}
	if own == nil && s.o.Background == nil { // else the order would depend on who runs first
		s.maintain()
	}
}

// take removes from the queue what the next commit carries. When the last
// commit had company, its callers are about to come back: yielding twice lets
// them join, else commits alternate between one request and all the others.
func (s *Store) take() *batch {
	if s.company {
		runtime.Gosched()
		runtime.Gosched()
	}
	s.order.Lock()
	defer s.order.Unlock()
	b := s.queue[0]
	copy(s.queue, s.queue[1:])
	s.queue[len(s.queue)-1] = nil
	s.queue = s.queue[:len(s.queue)-1]
	s.company = len(b.reqs) > 1
	return b
}

// settle makes a committed batch visible, or takes back a failed one together
// with everything submitted after it, which had relied on it. Then it tells
// the callers, in order; until all of them know, nothing new is accepted, for
// it might still rely on what failed.
func (s *Store) settle(b *batch) {
	failed := b.err != nil
	settled := []*batch{b}[:1]
	if !failed {
		s.acknowledge(b)
	}
	s.order.Lock()
	if failed {
		s.failing = b.err
		settled = append(settled, s.queue...)
		clear(s.queue)
		s.queue = s.queue[:0]
	}
	for _, x := range settled {
		x.err, x.syncErr = b.err, b.syncErr
		for _, r := range x.reqs {
			s.letGo(r, failed)
		}
	}
	s.order.Unlock()
	for _, x := range settled {
		s.tell(x)
	}
	if failed {
		s.order.Lock()
		s.failing = nil
		s.order.Unlock()
	}
}

// letGo lets go of the groups of a settled request. A group that holds
// nothing, and of which nothing is submitted, is forgotten; it comes back with
// the next op. Store.order is held.
func (s *Store) letGo(r *request, failed bool) {
	for i := range r.ops {
		g := r.ops[i].g
		g.queued--
		if failed {
			g.next = g.shape.Clone()
		}
		if g.queued == 0 && g.empty() && g.next.Bounds() == (raftlog.Bounds{}) {
			s.mu.Lock()
			if s.groups[r.ops[i].name] == g {
				delete(s.groups, r.ops[i].name)
			}
			s.mu.Unlock()
		}
	}
}

// tell wakes those who wait for b and calls those who do not.
func (s *Store) tell(b *batch) {
	for _, r := range b.reqs {
		if r.done != nil {
			r.done(b.result(r))
			s.gate.Leave()
			s.forget(r)
		}
	}
	s.order.Lock()
	waiter, done := b.waiter, b.done
	s.order.Unlock()
	if waiter {
		b.turn <- false
	}
	if done != nil {
		close(done)
	}
	s.spend(b)
}
