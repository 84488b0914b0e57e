package main

import (
	"errors"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// keptFactory makes LogDBs that keep everything in memory and, with sync, write
// the bytes that a LogDB has to write, and sync them, and never read them.
type keptFactory struct{ sync bool }

func (keptFactory) Name() string { return "kept" }

func (f keptFactory) Create(_ config.NodeHostConfig, _ config.LogDBCallback, dirs, _ []string) (raftio.ILogDB, error) {
	k := &kept{}
	if !f.sync {
		return k, nil
	}
	var err error
	k.raw, err = peer.Raw().Open(dirs[0]+"/raw", peer.Options{})
	return k, err
}

// kept is a LogDB of one replica whose log is never shortened at its front.
type kept struct {
	raw peer.Log // nil: nothing is written

	mu      sync.Mutex
	boot    *raftpb.Bootstrap
	st      raftpb.State
	entries []raftpb.Entry // from index 1 on
	buf     []byte
}

var errOther = errors.New("this LogDB knows no such thing")

func (k *kept) Name() string         { return "kept" }
func (k *kept) BinaryFormat() uint32 { return 1 }

func (k *kept) Close() error {
	if k.raw == nil {
		return nil
	}
	return k.raw.Close()
}

func (k *kept) SaveRaftState(updates []raftpb.Update, _ uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buf = k.buf[:0]
	for i := range updates {
		if err := k.save(&updates[i]); err != nil {
			return err
		}
	}
	if k.raw == nil || len(k.buf) == 0 {
		return nil
	}
	return k.raw.Append(1, [][]byte{k.buf})
}

// save keeps an update, and collects the bytes that have to be durable: a commit
// index that moved alone is none.
func (k *kept) save(u *raftpb.Update) error {
	durable := len(u.EntriesToSave) > 0
	if !raftpb.IsEmptyState(u.State) {
		durable = durable || u.Term != k.st.Term || u.Vote != k.st.Vote
		k.st = u.State
	}
	if durable {
		k.put(u.State.SizeUpperLimit(), u.State.MarshalTo)
	}
	for i := range u.EntriesToSave {
		e := &u.EntriesToSave[i]
		if e.Index == 0 || e.Index > uint64(len(k.entries))+1 {
			return errOther
		}
		k.entries = append(k.entries[:e.Index-1], *e)
		k.put(e.SizeUpperLimit(), e.MarshalTo)
	}
	return nil
}

func (k *kept) put(limit int, marshal func([]byte) (int, error)) {
	if k.raw == nil {
		return
	}
	at := len(k.buf)
	k.buf = append(k.buf, make([]byte, limit)...)
	n, _ := marshal(k.buf[at:]) // there is room
	k.buf = k.buf[:at+n]
}

func (k *kept) IterateEntries(ents []raftpb.Entry, size, _, _, low, high, maxSize uint64) ([]raftpb.Entry, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for ; low < min(high, uint64(len(k.entries))+1); low++ {
		ents = append(ents, k.entries[low-1])
		if size += uint64(k.entries[low-1].SizeUpperLimit()); size > maxSize {
			break
		}
	}
	return ents, size, nil
}

func (k *kept) ReadRaftState(_, _, last uint64) (raftio.RaftState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if raftpb.IsEmptyState(k.st) {
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	}
	return raftio.RaftState{State: k.st, FirstIndex: last + 1, EntryCount: uint64(len(k.entries)) - last}, nil
}

func (k *kept) SaveBootstrapInfo(_, _ uint64, b raftpb.Bootstrap) error {
	k.boot = &b
	return nil
}

func (k *kept) GetBootstrapInfo(uint64, uint64) (raftpb.Bootstrap, error) {
	if k.boot == nil {
		return raftpb.Bootstrap{}, raftio.ErrNoBootstrapInfo
	}
	return *k.boot, nil
}

func (k *kept) ListNodeInfo() ([]raftio.NodeInfo, error)                  { return nil, nil }
func (k *kept) GetSnapshot(uint64, uint64) (s raftpb.Snapshot, err error) { return s, nil }
func (k *kept) SaveSnapshots([]raftpb.Update) error                       { return errOther }
func (k *kept) RemoveEntriesTo(uint64, uint64, uint64) error              { return errOther }
func (k *kept) RemoveNodeData(uint64, uint64) error                       { return errOther }
func (k *kept) ImportSnapshot(raftpb.Snapshot, uint64) error              { return errOther }
func (k *kept) CompactEntriesTo(_, _, _ uint64) (<-chan struct{}, error)  { return nil, errOther }
