package dragonboat

import (
	"errors"
	"fmt"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// IterateEntries appends to ents the entries of [low, high) from the first on,
// in memory of their own, and adds their sizes to size. It ends after the entry
// with which size exceeds maxSize, at the end of the log, and before the first
// entry that is compacted or was replaced meanwhile: none of these is an error.
// A damaged entry is *fault.Corruption.
func (l *LogDB) IterateEntries(ents []raftpb.Entry, size, shardID, replicaID, low, high, maxSize uint64) ([]raftpb.Entry, uint64, error) {
	g := groupOf(shardID, replicaID)
	if err := l.enter("read", g); err != nil {
		return nil, 0, err
	}
	defer l.gate.Leave()
	b, err := l.d.Bounds(g)
	if err != nil {
		return nil, 0, fmt.Errorf("read replica %v: %w", g, err)
	}
	for high = min(high, b.Last+1); low < high; {
		room := maxSize - min(size, maxSize)
		got, err := l.d.Read(nil, g, low, high, room) // payload alone, so never too few
		if errors.Is(err, fault.ErrCompacted) || errors.Is(err, fault.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read [%d, %d) of replica %v: %w", low, high, g, err)
		}
		for i := range got {
			e, err := fromEntry(&got[i])
			if err != nil {
				return nil, 0, fmt.Errorf("read replica %v: %w", g, err)
			}
			ents = append(ents, e)
			if size += uint64(e.SizeUpperLimit()); size > maxSize {
				return ents, size, nil
			}
		}
		low += uint64(len(got))
	}
	return ents, size, nil
}

// ReadRaftState returns the state saved last, and which entries there are from
// lastIndex on, where lastIndex is that of the newest snapshot. The entry at
// lastIndex counts if it is still there; nothing counts where the log ends at
// lastIndex or before. Without a state it is raftio.ErrNoSavedLog.
func (l *LogDB) ReadRaftState(shardID, replicaID, lastIndex uint64) (raftio.RaftState, error) {
	g := groupOf(shardID, replicaID)
	if err := l.enter("read state", g); err != nil {
		return raftio.RaftState{}, err
	}
	defer l.gate.Leave()
	st, b, err := l.stateAndBounds(g)
	switch {
	case err != nil:
		return raftio.RaftState{}, fmt.Errorf("read state of replica %v: %w", g, err)
	case raftpb.IsEmptyState(st):
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	case b.Last <= lastIndex:
		return raftio.RaftState{State: st, FirstIndex: lastIndex}, nil
	}
	first := max(b.First(), lastIndex)
	return raftio.RaftState{State: st, FirstIndex: first, EntryCount: b.Last - first + 1}, nil
}

func (l *LogDB) stateAndBounds(g raftlog.Group) (raftpb.State, raftlog.Bounds, error) {
	l.mu.Lock()
	st, err := l.state(g)
	l.mu.Unlock()
	if err != nil {
		return st.now, raftlog.Bounds{}, err
	}
	b, err := l.d.Bounds(g)
	return st.now, b, err
}

// RemoveEntriesTo drops the entries up to index, durably; beyond the last one it
// drops all.
func (l *LogDB) RemoveEntriesTo(shardID, replicaID, index uint64) error {
	g := groupOf(shardID, replicaID)
	if err := l.enter("remove entries", g); err != nil {
		return err
	}
	defer l.gate.Leave()
	b, err := l.d.Bounds(g)
	if err == nil && min(index, b.Last) > b.Base.Index {
		err = l.submit([]raftlog.GroupBatch{{Group: g, Batch: raftlog.Batch{CompactTo: min(index, b.Last)}}})
	}
	if err != nil {
		return fmt.Errorf("remove entries up to %d of replica %v: %w", index, g, err)
	}
	return nil
}

// CompactEntriesTo has nothing to do: the log gives back the space of what was
// removed by itself. The channel is closed.
func (l *LogDB) CompactEntriesTo(_, _, _ uint64) (<-chan struct{}, error) {
	done := make(chan struct{})
	close(done)
	return done, nil
}
