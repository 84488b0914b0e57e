package etcdraft

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/fault"
)

// task is work for the apply thread: a MsgStorageApply, a snapshot to restore
// once all before it is done, or one to take.
type task struct {
	m        *raftpb.Message
	snap     *raftpb.Snapshot
	restored chan struct{} // closed when snap is
	renew    bool
}

// loop gives out what the node has ready, in its order.
func (r *Runner) loop() {
	var ticks <-chan time.Time
	if r.o.TickInterval > 0 {
		t := time.NewTicker(r.o.TickInterval)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-ticks:
			r.Tick()
		case <-r.ready:
			if rd, ok := r.next(); ok {
				r.give(rd.Messages)
				signal(r.ready)
			}
		}
	}
}

func (r *Runner) next() (rd raft.Ready, ok bool) {
	err := r.with(func(n *raft.RawNode) error {
		if ok = n.HasReady(); ok {
			rd = n.Ready()
			r.answered(rd.ReadStates)
		}
		return nil
	})
	return rd, ok && err == nil
}

// give hands messages to the threads and to the transport.
func (r *Runner) give(messages []*raftpb.Message) {
	var out []*raftpb.Message
	for _, m := range messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			r.appends.push(m)
		case raft.LocalApplyThread:
			r.applies.push(task{m: m})
		default:
			out = append(out, m)
		}
	}
	if len(out) > 0 {
		r.transport.Send(out)
	}
}

// respond delivers what waited for a write. Raft's own errors about messages
// that came too late are no failures.
func (r *Runner) respond(m *raftpb.Message) {
	var out []*raftpb.Message
	for _, resp := range m.GetResponses() {
		if resp.GetTo() != m.GetFrom() {
			out = append(out, resp)
		} else if err := r.Step(resp); err != nil {
			r.o.Logger.Debug("response of storage is not wanted", "type", resp.GetType().String(), "error", err)
		}
	}
	if len(out) > 0 {
		r.transport.Send(out)
	}
}

// appendThread makes durable what raft wants to be, all that waits in one write,
// and then delivers the responses in the order of the messages.
func (r *Runner) appendThread() {
	for {
		messages := r.appends.take(r.ctx)
		if messages == nil {
			return
		}
		for len(messages) > 0 {
			n := 1
			for n < len(messages) && messages[n].GetSnapshot() == nil {
				n++
			}
			if err := r.appendAll(messages[:n]); err != nil {
				r.fail(fmt.Errorf("append: %w", err))
				return
			}
			for _, m := range messages[:n] {
				r.respond(m)
			}
			messages = messages[n:]
		}
	}
}

// appendAll saves several messages as one; only the first may have a snapshot. A
// disk that is full may have room at the next tick.
func (r *Runner) appendAll(messages []*raftpb.Message) error {
	var hs *raftpb.HardState
	var entries []*raftpb.Entry
	snap := messages[0].GetSnapshot()
	for _, m := range messages {
		entries = overwrite(entries, m.GetEntries())
		if m.Term != nil || m.Vote != nil || m.Commit != nil {
			hs = &raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		}
	}
	for {
		err := r.storage.Save(hs, entries, snap)
		if err == nil {
			break
		}
		if !errors.Is(err, fault.ErrFull) {
			return err
		}
		r.o.Logger.Warn("no room to append, trying again", "error", err)
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-r.ticked:
		}
	}
	if raft.IsEmptySnap(snap) {
		return nil
	}
	t := task{snap: snap, restored: make(chan struct{})}
	r.applies.push(t)
	select {
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-t.restored:
		return nil
	}
}

// overwrite is what is left when next is appended after entries, from its first
// index on.
func overwrite(entries, next []*raftpb.Entry) []*raftpb.Entry {
	if len(next) == 0 {
		return entries
	}
	if len(entries) == 0 || next[0].GetIndex() <= entries[0].GetIndex() {
		return next
	}
	keep := min(next[0].GetIndex()-entries[0].GetIndex(), uint64(len(entries)))
	return append(entries[:keep:keep], next...)
}

// applyThread applies what is committed.
func (r *Runner) applyThread() {
	for {
		tasks := r.applies.take(r.ctx)
		if tasks == nil {
			return
		}
		for _, t := range tasks {
			if err := r.perform(t); err != nil {
				r.fail(err)
				return
			}
		}
	}
}

func (r *Runner) perform(t task) error {
	if t.renew {
		return r.renew()
	}
	if t.snap != nil {
		if err := r.restore(t.snap); err != nil {
			return fmt.Errorf("restore snapshot of index %d: %w", t.snap.GetMetadata().GetIndex(), err)
		}
		close(t.restored)
		return nil
	}
	if err := r.apply(t.m.GetEntries()); err != nil {
		return fmt.Errorf("apply from %d: %w", t.m.GetEntries()[0].GetIndex(), err)
	}
	r.respond(t.m)
	return r.snapshotInTime()
}

func (r *Runner) restore(snap *raftpb.Snapshot) error {
	if err := r.machine.Restore(r.ctx, snap); err != nil {
		return err
	}
	r.members.Store(snap.GetMetadata().GetConfState())
	r.snapshotAt = snap.GetMetadata().GetIndex()
	r.advanced(r.snapshotAt)
	return nil
}

func (r *Runner) apply(entries []*raftpb.Entry) error {
	committed, members := make([]Committed, len(entries)), r.members.Load()
	for i, e := range entries {
		committed[i].Entry = e
		if !isConfChange(e) {
			continue
		}
		cc, err := confChange(e)
		if err != nil {
			return err
		}
		if err := r.With(func(n *raft.RawNode) error {
			members = n.ApplyConfChange(cc)
			return nil
		}); err != nil {
			return err
		}
		committed[i].ConfState = members
	}
	if err := r.machine.Apply(r.ctx, committed); err != nil {
		return err
	}
	r.members.Store(members)
	r.advanced(entries[len(entries)-1].GetIndex())
	return nil
}

func confChange(e *raftpb.Entry) (raftpb.ConfChangeI, error) {
	if e.GetType() == raftpb.EntryConfChangeV2 {
		cc := &raftpb.ConfChangeV2{}
		return cc, proto.Unmarshal(e.GetData(), cc)
	}
	cc := &raftpb.ConfChange{}
	return cc, proto.Unmarshal(e.GetData(), cc)
}
