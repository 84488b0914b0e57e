package dragonboat

import (
	"errors"
	"fmt"

	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// SaveRaftState makes states, entries and snapshots' metadata of all updates
// durable, all or nothing, in one write and one sync. Entries replace those from
// the first of them on; what is compacted already is skipped. A snapshot that is
// newer than the newest empties the log, which continues after it.
//
// A commit index that moved alone need not be durable: it waits for the next
// write of its replica, or for Close.
func (l *LogDB) SaveRaftState(updates []raftpb.Update, _ uint64) error {
	if err := l.enter("save raft state", raftlog.Group{}); err != nil {
		return err
	}
	defer l.gate.Leave()
	for i := range updates {
		if !raftpb.IsEmptySnapshot(updates[i].Snapshot) {
			l.snapshots.Lock()
			defer l.snapshots.Unlock()
			break
		}
	}
	batches := make([]raftlog.GroupBatch, 0, len(updates))
	next := make([]states, 0, len(updates))
	for i := range updates {
		b, st, err := l.toBatch(&updates[i])
		if err != nil {
			return fmt.Errorf("save raft state of replica %v: %w", b.Group, err)
		}
		if !b.Batch.IsZero() {
			batches, next = append(batches, b), append(next, st)
		}
	}
	if err := l.submit(batches); err != nil {
		return fmt.Errorf("save raft state: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range batches {
		l.states[b.Group] = next[i]
	}
	return nil
}

// toBatch is what an update writes, and the states after it. Where the commit
// index alone moved it writes nothing, and notes it.
func (l *LogDB) toBatch(u *raftpb.Update) (b raftlog.GroupBatch, next states, err error) {
	b.Group = groupOf(u.ShardID, u.ReplicaID)
	bounds, err := l.d.Bounds(b.Group)
	if err != nil {
		return b, next, err
	}
	if newer, err := l.putSnapshot(&b, &u.Snapshot); err != nil {
		return b, next, err
	} else if newer {
		base := raftlog.Position{Index: u.Snapshot.Index, Term: u.Snapshot.Term}
		b.Batch.Reset, bounds = &base, raftlog.Bounds{Base: base, Last: base.Index}
	}
	entries := u.EntriesToSave
	for len(entries) > 0 && entries[0].Index <= bounds.Base.Index {
		entries = entries[1:]
	}
	if len(entries) > 0 && entries[0].Index <= bounds.Last {
		b.Batch.TruncateFrom = entries[0].Index
	}
	if b.Batch.Entries, err = toEntries(entries); err != nil {
		return b, next, err
	}
	next, err = l.putState(&b, u.State)
	return b, next, err
}

// putState adds the state to a batch, unless it waits for the next one.
func (l *LogDB) putState(b *raftlog.GroupBatch, st raftpb.State) (states, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.state(b.Group)
	if err != nil {
		return s, err
	}
	if !raftpb.IsEmptyState(st) {
		s.now = st
	}
	if s.now == s.saved {
		return s, nil
	}
	if b.Batch.IsZero() && !raftpb.IsEmptyState(s.saved) && s.now.Term == s.saved.Term && s.now.Vote == s.saved.Vote {
		l.states[b.Group] = s
		return s, nil
	}
	b.Batch.Stable = append(b.Batch.Stable, raftlog.StableKV{Key: stateKey, Value: encodeState(s.now)})
	s.saved = s.now
	return s, nil
}

// putSnapshot adds a snapshot's metadata to a batch if it is newer than the
// newest; l.snapshots is held, or there is none.
func (l *LogDB) putSnapshot(b *raftlog.GroupBatch, ss *raftpb.Snapshot) (newer bool, err error) {
	if raftpb.IsEmptySnapshot(*ss) {
		return false, nil
	}
	newest, err := l.newest(b.Group)
	if err != nil || ss.Index <= newest.Index {
		return false, err
	}
	return true, l.putRecord(&b.Batch, b.Group, snapshotKey, ss)
}

// newest is the snapshot recorded last, empty if there is none.
func (l *LogDB) newest(g raftlog.Group) (ss raftpb.Snapshot, err error) {
	err = l.getRecord(g, snapshotKey, &ss)
	if errors.Is(err, fault.ErrNotFound) {
		return raftpb.Snapshot{}, nil
	}
	return ss, err
}

// SaveSnapshots records the metadata of snapshots that the replicas themselves
// took, each if it is newer than the newest of its replica. They are durable on
// return, all or none; logs stay as they are.
func (l *LogDB) SaveSnapshots(updates []raftpb.Update) error {
	if err := l.enter("save snapshots", raftlog.Group{}); err != nil {
		return err
	}
	defer l.gate.Leave()
	l.snapshots.Lock()
	defer l.snapshots.Unlock()
	batches := make([]raftlog.GroupBatch, 0, len(updates))
	for i := range updates {
		u := &updates[i]
		b := raftlog.GroupBatch{Group: groupOf(u.ShardID, u.ReplicaID)}
		newer, err := l.putSnapshot(&b, &u.Snapshot)
		if err != nil {
			return fmt.Errorf("save snapshot of replica %v: %w", b.Group, err)
		}
		if newer {
			batches = append(batches, b)
		}
	}
	if err := l.submit(batches); err != nil {
		return fmt.Errorf("save snapshots: %w", err)
	}
	return nil
}

// GetSnapshot returns the metadata of the newest snapshot of a replica; it is
// empty if there is none.
func (l *LogDB) GetSnapshot(shardID, replicaID uint64) (raftpb.Snapshot, error) {
	g := groupOf(shardID, replicaID)
	if err := l.enter("get snapshot", g); err != nil {
		return raftpb.Snapshot{}, err
	}
	defer l.gate.Leave()
	ss, err := l.newest(g)
	if err != nil {
		return ss, fmt.Errorf("get snapshot of replica %v: %w", g, err)
	}
	return ss, nil
}

// ImportSnapshot makes a replica begin with a snapshot, whatever it held: it
// joins, its state is the snapshot's, its log continues after it. All of that is
// durable on return, or none. A snapshot of an unknown type is fault.ErrInvalid.
func (l *LogDB) ImportSnapshot(ss raftpb.Snapshot, replicaID uint64) error {
	g := groupOf(ss.ShardID, replicaID)
	if err := l.enter("import snapshot", g); err != nil {
		return err
	}
	defer l.gate.Leave()
	if err := l.importSnapshot(g, &ss); err != nil {
		return fmt.Errorf("import snapshot of index %d to replica %v: %w", ss.Index, g, err)
	}
	return nil
}

func (l *LogDB) importSnapshot(g raftlog.Group, ss *raftpb.Snapshot) error {
	if ss.Type == raftpb.UnknownStateMachine || raftpb.IsEmptySnapshot(*ss) {
		return fmt.Errorf("its type is %v: %w", ss.Type, fault.ErrInvalid)
	}
	l.snapshots.Lock()
	defer l.snapshots.Unlock()
	st := raftpb.State{Term: ss.Term, Commit: ss.Index}
	b := raftlog.GroupBatch{Group: g, Batch: raftlog.Batch{
		Reset:  &raftlog.Position{Index: ss.Index, Term: ss.Term},
		Stable: []raftlog.StableKV{{Key: stateKey, Value: encodeState(st)}},
	}}
	err := l.putRecord(&b.Batch, g, bootstrapKey, &raftpb.Bootstrap{Join: true, Type: ss.Type})
	if err == nil {
		err = l.putRecord(&b.Batch, g, snapshotKey, ss)
	}
	if err == nil {
		err = l.submit([]raftlog.GroupBatch{b})
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[g] = states{now: st, saved: st}
	return nil
}
