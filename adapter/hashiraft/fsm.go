package hashiraft

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

// FSM is the data as raft's state machine. Raft calls it from one goroutine.
type FSM struct {
	a    *Adapter
	seen uint64 // the last entry that raft delivered or restored since the start
}

var _ raft.BatchingFSM = (*FSM)(nil)

// Apply is ApplyBatch of one entry.
func (f *FSM) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies commands and configurations in one transaction, which also
// moves the mark. Entries that the data contains already get a nil response:
// nobody waits for them. Once an entry could not be applied every response is
// the *Halted that says why.
func (f *FSM) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	if len(logs) == 0 {
		return responses
	}
	err := f.a.Err()
	if err == nil {
		if err = f.applyWithRoom(logs, responses); err != nil {
			err = f.a.stop(logs[0].Index, err)
		}
	}
	if err != nil {
		for i := range responses {
			responses[i] = err
		}
		return responses
	}
	f.seen = logs[len(logs)-1].Index
	return responses
}

// applyWithRoom applies what is committed as soon as there is room for it: on a
// full disk raft waits, votes go on, and Storage.Admit refuses what comes. It
// gives up when the adapter is closed.
func (f *FSM) applyWithRoom(logs []*raft.Log, responses []any) error {
	err := f.applyBatch(logs, responses)
	if !errors.Is(err, fault.ErrFull) {
		return err
	}
	f.a.logger.Warn("no room to apply what is committed: waiting for some", "index", logs[0].Index, "error", err)
	again := time.NewTicker(roomLook)
	defer again.Stop()
	for errors.Is(err, fault.ErrFull) {
		select {
		case <-f.a.ctx.Done():
			return err
		case <-again.C:
			err = f.applyBatch(logs, responses)
		}
	}
	return err
}

// roomLook is how often it is tried again.
const roomLook = 100 * time.Millisecond

func (f *FSM) applyBatch(logs []*raft.Log, responses []any) error {
	entries := make([]raftlog.Entry, len(logs))
	for i, l := range logs {
		entries[i] = toEntry(l)
	}
	at := 0
	return f.a.s.Apply(f.a.base, entries, func(tx *kv.WriteTx, e raftlog.Entry) (err error) {
		for logs[at].Index != e.Index { // those in between are configurations, or were skipped
			at++
		}
		responses[at], err = f.a.apply(tx, logs[at])
		return err
	})
}

// Snapshot captures the data, which takes the same time whatever it holds. It is
// raft.ErrNothingNewToSnapshot if the newest snapshot has it all, and also while
// raft still delivers entries that the data contains since before the start:
// raft would label the snapshot with the last one delivered, and whoever
// restored it would apply those in between twice.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.a.Err(); err != nil {
		return nil, err
	}
	p, err := f.a.s.BeginSnapshot(f.a.ctx)
	if errors.Is(err, fault.ErrNothingNew) {
		return nil, raft.ErrNothingNewToSnapshot
	}
	if err != nil {
		return nil, err
	}
	if p.Info().Index > f.seen {
		if err := p.Release(); err != nil {
			return nil, err
		}
		return nil, raft.ErrNothingNewToSnapshot
	}
	return &pending{a: f.a, p: p}, nil
}

// pending is data on its way into a sink.
type pending struct {
	a *Adapter
	p *trimaran.PendingSnapshot
}

// Persist writes the data to the sink, publishes it, and makes the data durable
// up to the snapshot, because raft deletes log entries next.
func (s *pending) Persist(to raft.SnapshotSink) error {
	if own, ok := to.(*sink); ok {
		own.own = true
	}
	if _, err := s.p.WriteTo(to); err != nil {
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	return s.p.Commit(s.a.ctx)
}

// Release lets go of the captured data.
func (s *pending) Release() {
	if err := s.p.Release(); err != nil {
		s.a.logger.Warn("release of captured data failed", "error", err)
	}
}

// Restore replaces the data, durably and in one step, by a snapshot that
// SnapshotStore.Open opened; raft's wrappers around it are seen through. The
// log follows. Raft decides what to restore, so the state may also go back.
// After an error before that step the old data stays; a snapshot that was
// received and is none of ours is removed again, since raft would count it as
// applied at the next start.
func (f *FSM) Restore(source io.ReadCloser) (err error) {
	r, ok := find(source)
	if !ok {
		return fmt.Errorf("restore: %T is no snapshot of this store: %w", source, fault.ErrInvalid)
	}
	info := r.Meta().Info
	p, err := f.a.s.BeginRestore(f.a.ctx, info, &trimaran.RestoreOptions{Force: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Abort()) }()
	if err := p.Load(f.a.ctx, source); err != nil {
		return errors.Join(err, f.a.discard(r, err))
	}
	if err := p.Switch(f.a.ctx); err != nil {
		return err
	}
	f.seen = info.Index
	return p.FinishLog(f.a.ctx)
}

func find(source io.ReadCloser) (*reader, bool) {
	for {
		switch s := source.(type) {
		case *reader:
			return s, true
		case raft.ReadCloserWrapper:
			source = s.WrappedReadCloser()
		default:
			return nil, false
		}
	}
}
