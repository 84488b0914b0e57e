package dragonboat

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
	"github.com/trimarandb/trimaran/raftlog"
)

// binaryFormat is what dragonboat notes beside Name. Frozen: part of format v1.
const binaryFormat = 0x5400 + formatVersion // "T"

// LogDB is a raftio.ILogDB whose replicas are the groups of one log. All methods
// may be called by several goroutines; those that write one replica are called
// one after another, as dragonboat does, but for SaveSnapshots and
// RemoveEntriesTo, which may come at any time. Methods return fault.ErrClosed
// after Close.
//
// Dragonboat ends the process when a call fails, also when the disk is full.
type LogDB struct {
	d      raftlog.Driver
	driver io.Closer // what OpenLogDB opened
	gate   gate.Gate

	snapshots sync.Mutex // held while it is decided which snapshot is the newest, and until that is written

	mu     sync.Mutex
	states map[raftlog.Group]states
}

// states are those of one replica. They differ while a commit index that moved
// alone waits for the next write.
type states struct {
	now   raftpb.State // saved last
	saved raftpb.State // what the log holds; empty: none
}

var _ raftio.ILogDB = (*LogDB)(nil)

// NewLogDB makes a LogDB of an opened driver, which stays the caller's. One that
// forgets with the process is fault.ErrUnsupported: it must not be trusted with
// votes. Under the sync policies interval and never a crash takes entries that
// dragonboat takes for durable.
func NewLogDB(d raftlog.Driver) (*LogDB, error) {
	if d == nil {
		return nil, fmt.Errorf("make a LogDB: no driver: %w", fault.ErrInvalid)
	}
	if v, ok := raftlog.As[raftlog.Volatile](d); ok && v.Volatile() {
		return nil, fmt.Errorf("make a LogDB: %T does not survive the process: %w", d, fault.ErrUnsupported)
	}
	return &LogDB{d: d, states: map[raftlog.Group]states{}}, nil
}

// groupOf is where a replica's log is. Frozen: part of format v1.
func groupOf(shardID, replicaID uint64) raftlog.Group {
	return raftlog.Group{Shard: shardID, Replica: replicaID}
}

func (l *LogDB) enter(what string, g raftlog.Group) error {
	if !l.gate.Enter() {
		return fmt.Errorf("%s of replica %v: LogDB: %w", what, g, fault.ErrClosed)
	}
	return nil
}

// Name implements raftio.ILogDB.
func (l *LogDB) Name() string { return Name }

// BinaryFormat implements raftio.ILogDB.
func (l *LogDB) BinaryFormat() uint32 { return binaryFormat }

// Close writes the commit indexes that no write has taken along, and closes what
// OpenLogDB opened. A driver that NewLogDB was given stays open. Close may be
// called twice.
func (l *LogDB) Close() error {
	if !l.gate.Close() {
		return nil
	}
	err := l.flush()
	if errors.Is(err, fault.ErrClosed) || errors.Is(err, fault.ErrPoisoned) {
		err = nil // they need not be durable
	}
	if l.driver != nil {
		err = joinClose(err, l.driver)
	}
	return err
}

func joinClose(err error, c io.Closer) error { return errors.Join(err, c.Close()) }

// flush writes the commit indexes that wait.
func (l *LogDB) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batches []raftlog.GroupBatch
	for g, st := range l.states {
		if st.now != st.saved {
			batches = append(batches, raftlog.GroupBatch{Group: g, Batch: raftlog.Batch{Stable: []raftlog.StableKV{{Key: stateKey, Value: encodeState(st.now)}}}})
		}
	}
	return l.submit(batches)
}

func (l *LogDB) submit(batches []raftlog.GroupBatch) error {
	if len(batches) == 0 {
		return nil
	}
	return l.d.Submit(batches, nil)
}

// state returns the states of a replica, from the log if need be; l.mu is held.
func (l *LogDB) state(g raftlog.Group) (states, error) {
	if st, ok := l.states[g]; ok {
		return st, nil
	}
	b, err := l.d.Stable(g, stateKey)
	if errors.Is(err, fault.ErrNotFound) {
		return states{}, nil
	}
	var st states
	if err == nil {
		st.saved, err = decodeState(b)
	}
	if err != nil {
		return st, err
	}
	st.now = st.saved
	l.states[g] = st
	return st, nil
}

// ListNodeInfo lists the replicas that have bootstrap information, in order.
func (l *LogDB) ListNodeInfo() ([]raftio.NodeInfo, error) {
	if err := l.enter("list", raftlog.Group{}); err != nil {
		return nil, err
	}
	defer l.gate.Leave()
	groups, err := l.d.Groups()
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	list := []raftio.NodeInfo{}
	for _, g := range groups {
		_, err := l.d.Stable(g, bootstrapKey)
		if errors.Is(err, fault.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list replicas: %w", err)
		}
		list = append(list, raftio.GetNodeInfo(g.Shard, g.Replica))
	}
	return list, nil
}

// SaveBootstrapInfo records with which members a replica began. It is durable on
// return.
func (l *LogDB) SaveBootstrapInfo(shardID, replicaID uint64, bootstrap raftpb.Bootstrap) error {
	g := groupOf(shardID, replicaID)
	if err := l.enter("save bootstrap", g); err != nil {
		return err
	}
	defer l.gate.Leave()
	b := raftlog.GroupBatch{Group: g}
	err := l.putRecord(&b.Batch, g, bootstrapKey, &bootstrap)
	if err == nil {
		err = l.submit([]raftlog.GroupBatch{b})
	}
	if err != nil {
		return fmt.Errorf("save bootstrap of replica %v: %w", g, err)
	}
	return nil
}

// GetBootstrapInfo returns what SaveBootstrapInfo recorded, or
// raftio.ErrNoBootstrapInfo.
func (l *LogDB) GetBootstrapInfo(shardID, replicaID uint64) (raftpb.Bootstrap, error) {
	g := groupOf(shardID, replicaID)
	if err := l.enter("get bootstrap", g); err != nil {
		return raftpb.Bootstrap{}, err
	}
	defer l.gate.Leave()
	var bootstrap raftpb.Bootstrap
	err := l.getRecord(g, bootstrapKey, &bootstrap)
	if errors.Is(err, fault.ErrNotFound) {
		return raftpb.Bootstrap{}, raftio.ErrNoBootstrapInfo
	}
	if err != nil {
		return raftpb.Bootstrap{}, fmt.Errorf("get bootstrap of replica %v: %w", g, err)
	}
	return bootstrap, nil
}

// RemoveNodeData forgets a replica, all of it at once and durably.
func (l *LogDB) RemoveNodeData(shardID, replicaID uint64) error {
	g := groupOf(shardID, replicaID)
	if err := l.enter("remove data", g); err != nil {
		return err
	}
	defer l.gate.Leave()
	l.snapshots.Lock()
	defer l.snapshots.Unlock()
	l.mu.Lock()
	delete(l.states, g)
	l.mu.Unlock()
	if err := l.d.Remove(g); err != nil {
		return fmt.Errorf("remove data of replica %v: %w", g, err)
	}
	return nil
}
