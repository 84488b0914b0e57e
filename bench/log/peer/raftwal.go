package peer

import (
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// RaftWAL is hashicorp/raft-wal. It checks no checksum when it reads.
func RaftWAL() Kind {
	return Kind{Name: "raft-wal", Version: "v0.4.0", Open: openRaftWAL}
}

type raftWAL struct {
	hashicorpLog
	wal  *wal.WAL
	meta *metadb.BoltMetaDB
}

func openRaftWAL(dir string, o Options) (Log, error) {
	if o.Relaxed {
		return nil, ErrUnsupported
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// A metadata store of our own: Close of this version leaves its own open, and
	// the next Open of the directory would wait for its lock.
	meta := &metadb.BoltMetaDB{}
	w, err := wal.Open(dir, wal.WithLogger(hclog.NewNullLogger()), wal.WithMetaStore(meta))
	if err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	return &raftWAL{hashicorpLog: hashicorpLog{store: w}, wal: w, meta: meta}, nil
}

func (w *raftWAL) Close() error { return errors.Join(w.wal.Close(), w.meta.Close()) }

// hashicorpLog is what the stores for hashicorp/raft have in common.
type hashicorpLog struct {
	store raft.LogStore
	logs  []*raft.Log
	got   raft.Log
}

func (h *hashicorpLog) Append(first uint64, payloads [][]byte) error {
	for len(h.logs) < len(payloads) {
		h.logs = append(h.logs, &raft.Log{Term: 1})
	}
	logs := h.logs[:len(payloads)]
	for i, p := range payloads {
		logs[i].Index, logs[i].Data = first+uint64(i), p
	}
	return h.store.StoreLogs(logs)
}

func (h *hashicorpLog) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	for i := lo; i < hi; i++ {
		p, err := h.Get(i)
		if err != nil {
			return err
		}
		if err := visit(i, p); err != nil {
			return err
		}
	}
	return nil
}

func (h *hashicorpLog) Get(index uint64) ([]byte, error) {
	h.got = raft.Log{}
	err := h.store.GetLog(index, &h.got)
	return h.got.Data, err
}

func (h *hashicorpLog) DropFront(index uint64) error {
	first, err := h.store.FirstIndex()
	if err != nil {
		return err
	}
	return h.store.DeleteRange(first, index-1)
}

func (h *hashicorpLog) DropBack(index uint64) error {
	last, err := h.store.LastIndex()
	if err != nil {
		return err
	}
	return h.store.DeleteRange(index, last)
}
